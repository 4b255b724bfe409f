"""Why a patch is turned away. Content that is at fault itself, or too large once patched, has errors of its own."""

from collections.abc import Mapping, Sequence

from handiwork.errors.root import HandiworkError


class PatchRefused(HandiworkError):
    """The patch is none of the three dialects, or not the one that this content takes."""

    code = "patch_refused"

    def __init__(self, where: str, *, expected: str, got: str, example: str, index: int | None = None) -> None:
        super().__init__(f"The patch cannot be used: {where}: expected {expected}, got {got}.")
        self.where, self.expected, self.got, self.index, self.example = where, expected, got, index, example
        self.hint = f"A right one looks like this: `{example}`. Nothing was changed."


class EditMissed(HandiworkError):
    """The text that an edit looks for is not there exactly once."""

    code = "edit_missed"

    def __init__(
        self, edit: int, *, found: int, lines: Sequence[int] = (), nearest: Mapping[str, object] | None = None
    ) -> None:
        """Take the lines where it was found, and the nearest text as `{"line": 12, "lines": [...]}`."""
        where = f" (lines {', '.join(map(str, lines))}{', …' if found > len(lines) else ''})" if found else ""
        super().__init__(
            f"Edit {edit}: its `find` must be in the text exactly once, and is there {found:,} times{where}; "
            "nothing was changed."
        )
        self.edit, self.found, self.lines, self.nearest = edit, found, tuple(lines), nearest
        if found:
            self.hint = "Take more of the text around it into `find`, until it is there only once."
        elif nearest is None:
            self.hint = "Nothing in the text comes near it: read the current version, and copy `find` from it."
        else:
            self.hint = f"The nearest text begins in line {nearest['line']}: copy `find` from `nearest`, as it is now."


class OperationFailed(HandiworkError):
    """An operation of a JSON Patch does not fit what the content has at its path."""

    code = "operation_failed"

    def __init__(self, operation: int, *, op: str, path: str, problem: str) -> None:
        super().__init__(f"Operation {operation} (`{op}` at `{path}`): {problem}; nothing was changed.")
        self.operation, self.op, self.path, self.problem = operation, op, path, problem
        self.hint = "Read the current version, and mend this operation; the ones before it are applied first."
