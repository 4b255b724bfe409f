"""Why an Autopilot does not begin. What goes wrong while it runs is told by its result."""

from handiwork.errors.root import HandiworkError


class ModelUnusable(HandiworkError):
    """A model that was named is not to be had here."""

    code = "model_unusable"

    def __init__(self, name: str, *, why: str) -> None:
        super().__init__(f"The model `{name}` cannot be used: {why}.")
        self.name, self.why = name, why
        self.hint = (
            "Name one as pydantic-ai does, such as `openai:gpt-5` or `anthropic:claude-sonnet-4-5`, with its package "
            "installed and its key in the environment, or one of your own as `python:MODULE:NAME`."
        )


class LoopRunning(HandiworkError):
    """A call that waits by itself was made where an event loop is running, which it would stop."""

    code = "loop_running"

    def __init__(self, call: str, *, instead: str) -> None:
        super().__init__(f"`{call}` cannot be used while an event loop is running, as in a notebook or in async code.")
        self.call, self.instead = call, instead
        self.hint = f"Use `{instead}` there."
