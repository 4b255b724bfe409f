"""Fences by the rule of the collectors that came before: three backticks, a word, a line end, up to three backticks.

Neither end has to be at the start of a line, and nothing else of Markdown is known; the strict rule is in `fences`.
"""

import re

from handiwork.collect.block import Block

OPENING = re.compile(r"```([A-Za-z0-9_+.-]*)\n")
CLOSING = "\n```"


class LegacyFences:
    """The old rule, for text that comes in pieces. A block that does not close is none."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        """Text that may hold the first part of a fence, before or in a block."""
        self._opening: str | None = None
        self._body: list[str] = []
        self._outside: list[str] = []

    def feed(self, text: str) -> list[Block]:
        blocks: list[Block] = []
        if self._opening is None and "\n" not in text:
            self._waiting.append(text)
            return blocks
        text, at = "".join(self._waiting) + text, 0
        while at < len(text):
            at = self._read_outside(text, at) if self._opening is None else self._read_body(text, at, blocks)
        return blocks

    def close(self) -> list[Block]:
        if self._opening is not None:
            self._outside += [self._opening, *self._body]
            self._opening, self._body = None, []
        self._outside += self._waiting
        self._waiting = []
        return []

    def outside(self) -> str:
        return "".join(self._outside)

    def _read_outside(self, text: str, at: int) -> int:
        opening = OPENING.search(text, at)
        if opening is None:
            # It ends with its line, so that none has begun before the last one.
            end = max(text.rfind("\n") + 1, at)
            self._outside.append(text[at:end])
            self._waiting = [text[end:]]
            return len(text)
        self._outside.append(text[at : opening.start()])
        self._opening, self._waiting = opening[0], []
        return opening.end()

    def _read_body(self, text: str, at: int, blocks: list[Block]) -> int:
        assert self._opening is not None
        end = text.find(CLOSING, at)
        if end < 0:
            end = max(len(text) - len(CLOSING) + 1, at)
            self._body.append(text[at:end])
            self._waiting = [text[end:]]
            return len(text)
        body = "".join([*self._body, text[at:end]])
        blocks.append(Block(info=self._opening[3:-1], body=body, is_closed=True))
        self._opening, self._body, self._waiting = None, [], []
        return end + len(CLOSING)
