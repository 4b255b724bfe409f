"""A tool of one's own cannot be used as it was declared. What a tool has answered is in `tool_results`."""

from handiwork.errors.root import HandiworkError


class InvalidTool(HandiworkError):
    """A function cannot be given to a model as a tool."""

    code = "invalid_tool"

    def __init__(self, name: str, *, problem: str) -> None:
        super().__init__(f"The tool `{name}` cannot be used: {problem}.")
        self.name, self.problem = name, problem
        self.hint = "Mend the function or its mark, or leave it out of `extra`."
