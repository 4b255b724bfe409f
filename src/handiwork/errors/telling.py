"""What of an error is told to whom is not on this machine, such as a client over HTTP or a model.

In which form, and what errors know beside their message, is not decided here.
"""

from handiwork import errors
from handiwork.errors.root import HandiworkError

# Their messages and facts name paths, keys and processes of this machine.
INSIDE: frozenset[type[HandiworkError]] = frozenset(
    {
        HandiworkError,
        errors.InvalidSetting,
        errors.InvalidTool,
        errors.InvalidType,
        errors.IsolationUnavailable,
        errors.SandboxBroken,
        errors.StorageFull,
        errors.StorageFailed,
        errors.BlobNotFound,
        errors.ContentDamaged,
        errors.BlobExists,
        errors.EncryptionChanged,
        errors.EncryptionKeyMissing,
        errors.EncryptionKeyWrong,
    }
)


def told_outside(error: HandiworkError) -> str:
    """Return the message, or of an error about the inside of a machine its kind alone."""
    return f"{title_of(type(error))}." if type(error) in INSIDE else str(error)


def told_with_hint(error: HandiworkError) -> str:
    """Return what `told_outside` does and the next step, as one text for a model."""
    return f"{told_outside(error)} {error.hint}" if error.hint else told_outside(error)


def title_of(kind: type[HandiworkError]) -> str:
    """Return what an error of this kind says in general, without a full stop."""
    # Without docstrings, as under `python -OO`, the words of the code are what is left.
    told = (kind.__doc__ or kind.code.replace("_", " ").capitalize()).strip()
    first_line = told.partition("\n")[0]
    return first_line.partition(". ")[0].removesuffix(".")
