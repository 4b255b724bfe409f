"""Why a part of some content cannot be had: no selector, or none that fits. What the content has is not known here."""

from handiwork.errors.root import HandiworkError

LONGEST_QUOTE = 100

FORMS = (
    "`rows=10:20` (rows 10 to 19, counted from 0), `lines=1:50` (lines 1 to 50), `head=20`, `tail=20`, "
    "`path=$.items[3].name`, `grep=text`, `search=words`"
)


class SelectorRefused(HandiworkError):
    """The text is none of the selectors, or one with a value that it cannot have."""

    code = "selector_refused"

    def __init__(self, selector: str, *, expected: str) -> None:
        super().__init__(f"The selector {quoted(selector)} cannot be used: expected {expected}.")
        self.selector, self.expected = selector[:LONGEST_QUOTE], expected
        self.hint = f"Use exactly one of {FORMS}."


class SelectorMisfit(HandiworkError):
    """The selector is well-formed, and this content has nothing that it could select."""

    code = "selector_misfit"

    def __init__(self, selector: str, *, media_type: str, problem: str, hint: str) -> None:
        super().__init__(f"The selector {quoted(selector)} does not fit this {media_type} content: {problem}.")
        self.selector, self.media_type, self.problem = selector[:LONGEST_QUOTE], media_type, problem
        self.hint = hint


def quoted(text: str) -> str:
    """Return the text as a message can show it: printable, whole, not too long."""
    shown = ascii(text) if any("\ud800" <= character <= "\udfff" for character in text) else repr(text)
    return shown if len(shown) <= LONGEST_QUOTE else shown[:LONGEST_QUOTE] + "…"
