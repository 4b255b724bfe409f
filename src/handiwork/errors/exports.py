"""What is wrong with an export that came back. How it is looked at is known to `export`."""

from handiwork.errors.root import HandiworkError


class ExportInvalid(HandiworkError):
    """An export is not as it was written: something of it differs, is missing, or was put in."""

    code = "export_invalid"

    def __init__(self, file: str, problem: str, *, more: int = 0) -> None:
        others = f" {more:,} more faults were found." if more else ""
        super().__init__(f"The export is not as it was written: `{file}` {problem}.{others}")
        self.file, self.problem, self.more = file, problem, more
        self.hint = "Trust nothing of it, and get the export anew from where it was made."
