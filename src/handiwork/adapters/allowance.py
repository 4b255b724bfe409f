"""What one line of the small shell may use before it is stopped, in characters and in commands.

Which commands there are, and what is refused for other reasons, is known to `words` and `commands`.
"""

from dataclasses import dataclass

MOST_STEPS = 2_000
MOST_CHARACTERS = 64 * 1024 * 1024


class Failed(Exception):
    """A command cannot do what it was asked for; the message says why."""


@dataclass(slots=True, kw_only=True)
class Allowance:
    """What is left of it for one line. Whoever goes on after it is used up is told so again."""

    steps: int = MOST_STEPS
    characters: int = MOST_CHARACTERS

    def step(self) -> None:
        """Take one command, or one look at all files. Raises `Failed`."""
        self.steps -= 1
        if self.steps < 0:
            raise Failed(f"more than {MOST_STEPS:,} commands in one line")

    def handle(self, text: str) -> str:
        """Take what is read, put together or written, and return it. Raises `Failed`."""
        self.characters -= len(text)
        if self.characters < 0:
            raise Failed(f"more than {MOST_CHARACTERS:,} characters were read and written in one line")
        return text
