"""The root of every error of Handiwork. What can go wrong is said beside it, by what it is about."""


class HandiworkError(Exception):
    """The root: catch this to catch everything that Handiwork raises on purpose."""

    code = "error"
    hint: str | None = None
