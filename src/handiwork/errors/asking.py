"""What a caller said cannot be done as it was said: names, inputs, contents, limits, settings.

What is wrong with typed content is in `contents`.
"""

from collections.abc import Sequence

from handiwork.errors.root import HandiworkError


class UnknownType(HandiworkError):
    """No artifact type has this name."""

    code = "unknown_type"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"No artifact type `{name}`; the types are {', '.join(f'`{k}`' for k in known)}.")
        self.name, self.known = name, tuple(known)


class ContentTooLarge(HandiworkError):
    """The content is over the cap of its type."""

    code = "content_too_large"

    def __init__(self, name: str, *, size: int, limit: int) -> None:
        unit = "byte" if limit == 1 else "bytes"
        super().__init__(f"`{name}` has {size:,} bytes; the limit is {limit:,} {unit}.")
        self.name, self.size, self.limit = name, size, limit
        self.hint = "Make it smaller, compress it, or split it into parts below the limit."


class InvalidContent(HandiworkError):
    """The content is not what its type or format demands."""

    code = "invalid_content"

    def __init__(self, subject: str, *, expected: str, got: str, hint: str | None = None) -> None:
        super().__init__(f"`{subject}` is not valid: expected {expected}, got {got}.")
        self.subject, self.expected, self.got, self.hint = subject, expected, got, hint


class UnsupportedFormat(HandiworkError):
    """The format is not one that Handiwork delivers, or not one that this deployment allows."""

    code = "unsupported_format"

    def __init__(self, name: str, *, media_type: str, hint: str) -> None:
        super().__init__(f"`{name}` is {media_type}, which is not delivered here.")
        self.name, self.media_type, self.hint = name, media_type, hint


class InvalidName(HandiworkError):
    """A session, user, tenant or file name cannot be used."""

    code = "invalid_name"

    def __init__(self, what: str, value: str, *, expected: str) -> None:
        super().__init__(f"The {what} {value!r} cannot be used: expected {expected}.")
        self.what, self.value, self.expected = what, value, expected


class InputNotFound(HandiworkError):
    """An input is neither a readable file nor an artifact of the session."""

    code = "input_not_found"

    def __init__(self, reference: str, why: str) -> None:
        super().__init__(f"The input `{reference}` cannot be used: {why}.")
        self.reference, self.why = reference, why
        self.hint = (
            "Name an artifact of this session by id or handle: upload the file first, or in Python pass its `Path`."
        )


class LimitExceeded(HandiworkError):
    """A call asks for more than the deployment allows."""

    code = "limit_exceeded"

    def __init__(self, limit: str, *, asked: str, maximum: str) -> None:
        super().__init__(f"`{limit}` of {asked} was asked for; the maximum here is {maximum}.")
        self.limit, self.asked, self.maximum = limit, asked, maximum
        self.hint = f"Ask for at most {maximum}, or raise `artifacts.maximum` in the configuration."


class QuotaExceeded(HandiworkError):
    """A session or a user would keep more than the deployment allows; nothing was stored."""

    code = "quota_exceeded"

    def __init__(self, quota: str, *, used: int, asked: int, limit: int) -> None:
        super().__init__(f"The quota of {limit:,} {quota} does not allow {asked:,} more: {used:,} are used.")
        self.quota, self.used, self.asked, self.limit = quota, used, asked, limit
        self.hint = "Remove artifacts that are no longer needed, or wait until some expire."


class InvalidLimit(HandiworkError):
    """A limit is not a positive number of its unit."""

    code = "invalid_limit"

    def __init__(self, limit: str, value: object, *, expected: str) -> None:
        super().__init__(f"`{limit}` is {value!r}: expected {expected}.")
        self.limit, self.value, self.expected = limit, value, expected


class InvalidSetting(HandiworkError):
    """A configuration key is unknown or has a value that cannot be used."""

    code = "invalid_setting"

    def __init__(self, key: str, *, problem: str, where: str) -> None:
        super().__init__(f"`{key}` in {where}: {problem}.")
        self.key, self.problem, self.where = key, problem, where


class ProducingDisabled(HandiworkError):
    """The deployment lets nothing be made or changed; what is there can be read."""

    code = "artifacts_disabled"
    hint = "What is there can be read; the configuration of this deployment decides."

    def __init__(self) -> None:
        super().__init__("Nothing can be made or changed here: `artifacts.enabled` is false.")
