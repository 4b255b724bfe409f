"""Errors on the command line: which exit code each has, and how it is told. What went wrong is known to the error."""

from handiwork.cli.printing import notes, print_json, say
from handiwork.errors import (
    ActionNotFound,
    ArtifactExpired,
    ArtifactNotFound,
    ExecutionNotFound,
    ExtraMissing,
    HandiworkError,
    InputNotFound,
    InvalidLimit,
    InvalidSetting,
    IsolationUnavailable,
    KeyNotFound,
    LimitExceeded,
    ModelUnusable,
    VersionNotFound,
)

DONE = 0
FAILED = 1
WRONG_USAGE = 2
NO_ISOLATION = 3
NOT_FOUND = 4


class ScriptUnusable(HandiworkError):
    """What was named as a script is no readable Python source."""

    code = "script_unusable"

    def __init__(self, script: str, why: str) -> None:
        super().__init__(f"`{script}` cannot be run: {why}.")
        self.script, self.why = script, why
        self.hint = "Give the path of a Python file, or `-` to read the program from standard input."


class StoreNotFound(HandiworkError):
    """The folder that was named holds no store."""

    code = "store_not_found"

    def __init__(self, folder: str) -> None:
        super().__init__(f"There is no store in `{folder}`.")
        self.folder = folder
        self.hint = "`--data` names the folder of the store; `run` with `--data` or `--session` makes one."


class TargetRefused(HandiworkError):
    """A file cannot be written to where it was asked for."""

    code = "target_refused"

    def __init__(self, target: str, why: str) -> None:
        super().__init__(f"`{target}` cannot be written: {why}.")
        self.target, self.why = target, why
        self.hint = "Name another file or folder with `--out`."


class ModelNeeded(HandiworkError):
    """A command asks a model, and none was named."""

    code = "model_needed"

    def __init__(self) -> None:
        super().__init__("No model is configured, so there is nobody to ask.")
        self.hint = (
            "Name one with `--model`, such as `--model openai:gpt-5`, or set `HANDIWORK_MODEL`, or `model` in "
            "`handiwork.yaml`. `handiwork demo` needs none and shows what comes of it."
        )


class KeysNeeded(HandiworkError):
    """Others can reach the server, and nobody has a key."""

    code = "keys_needed"

    def __init__(self, where: str, *, data: str | None = None) -> None:
        super().__init__(f"Others can reach this server (`{where}`), and there is no key with which they could use it.")
        self.where = where
        place = "" if data is None else f" --data {data}"
        self.hint = f"Make one with `handiwork keys create --kind admin{place}`, or serve on `127.0.0.1` alone."


def missing_file(path: str) -> InputNotFound:
    """Return the error for what was named as an input, can only be a file, and is not there."""
    error = InputNotFound(path, "there is no such file")
    error.hint = "`--input` names a file by its path from here."
    return error


def exit_code(error: HandiworkError) -> int:
    match error:
        case (
            ArtifactNotFound()
            | VersionNotFound()
            | ArtifactExpired()
            | ExecutionNotFound()
            | ActionNotFound()
            | InputNotFound()
            | KeyNotFound()
            | StoreNotFound()
        ):
            return NOT_FOUND
        case IsolationUnavailable():
            return NO_ISOLATION
        case InvalidSetting() | InvalidLimit() | KeysNeeded() | LimitExceeded() | ScriptUnusable() | ModelNeeded():
            return WRONG_USAGE
        case ModelUnusable() | ExtraMissing():
            return WRONG_USAGE
        case _:
            return FAILED


def tell(error: HandiworkError, *, as_json: bool) -> int:
    """Say what went wrong and what to do next, and return the exit code."""
    if as_json:
        print_json({"error": {"code": error.code, "message": str(error), "hint": error.hint}})
        return exit_code(error)
    console = notes()
    say(console, ("error: ", "bold red"), str(error))
    if error.hint:
        say(console, ("hint: ", "bold"), error.hint)
    return exit_code(error)
