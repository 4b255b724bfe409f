"""Lines of Markdown, as far as it decides what is a fenced block: quotes, list items, HTML and paragraphs around it.

One line at a time, by the rules of CommonMark 0.31. What becomes of the blocks is known to `fences`.
"""

import re
from dataclasses import dataclass
from typing import Literal

from handiwork.collect.columns import indentation, without

DEEPEST = 20
"""So many quotes and list items may lie in each other; what is deeper is taken for text."""
INDENTED = 4

Leaf = Literal["none", "paragraph", "fence", "html"]
Read = Literal["outside", "opening", "body", "closing"]

OPENING = re.compile(r"(?P<mark>`{3,})(?P<plain>[^`]*)$|(?P<wave>~{3,})(?P<any>.*)$")
CLOSING = re.compile(r"(`{3,}|~{3,})[ \t]*$")
HEADING = re.compile(r"#{1,6}(?:[ \t]|$)")
UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*$")
RULE = re.compile(r"(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
MARKER = re.compile(r"(?:[*+-]|(?P<number>\d{1,9})[.)])(?=[ \t]|$)", re.ASCII)

_TAGS = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt"
    "|fieldset|figcaption|figure|footer|form|frame|frameset|h1|h2|h3|h4|h5|h6|head|header|hr|html|iframe|legend|li"
    "|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td|tfoot|th"
    "|thead|title|tr|track|ul"
)
_ATTRIBUTE = r"(?>\s+[A-Za-z_:][A-Za-z0-9:._-]*(?>\s*=\s*(?:[^\"'=<>`\x00-\x20]+|'[^']*'|\"[^\"]*\"))?)"
_BLANK = re.compile(r"\A[ \t]*\Z")
_ALONE = re.compile(rf"<(?:[A-Za-z][A-Za-z0-9-]*{_ATTRIBUTE}*\s*/?>|/[A-Za-z][A-Za-z0-9-]*\s*>)\s*$")
# How HTML begins, and the line with which it ends.
_HTML = (
    (re.compile(r"(?i)<(?:script|pre|style|textarea)(?:\s|>|$)"), re.compile(r"(?i)</(?:script|pre|style|textarea)>")),
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<\?"), re.compile(r"\?>")),
    (re.compile(r"<![A-Za-z]"), re.compile(r">")),
    (re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>")),
    (re.compile(rf"(?i)</?(?:{_TAGS})(?:\s|/?>|$)"), _BLANK),
)  # fmt: skip


@dataclass(slots=True)
class Quote:
    """A block quote."""


@dataclass(slots=True)
class Item:
    """A list item; its lines are indented by `width` columns."""

    width: int
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Fence:
    """The opening fence of a block."""

    mark: str
    indent: int
    info: str

    def is_closed_by(self, line: str) -> bool:
        found = CLOSING.match(line)
        return found is not None and found[1].startswith(self.mark)


class Structure:
    """What is open at the end of the lines that were read, from the outermost to the innermost."""

    def __init__(self) -> None:
        self.containers: list[Quote | Item] = []
        self.leaf: Leaf = "none"
        self.fence: Fence | None = None
        self.body_line = ""
        """The line of the block that was read last, as it belongs to its body."""
        self._html_end = _BLANK

    def read(self, line: str) -> Read:
        """Take a line without its end, and return what it is; a fence that was open before may have ended with it."""
        depth, rest, column = self._matched(line)
        is_matched = depth == len(self.containers)
        if self.fence is not None:
            if is_matched:
                return self._read_in_fence(self.fence, rest, column)
            self._cut(depth)
            is_matched = True
        if self.leaf == "html" and is_matched:
            if self._html_end.search(rest):
                self.leaf = "none"
            return "outside"
        return self._begin(rest, column, depth)

    def read_flat(self, line: str) -> None:
        """Take a line that neither opens a block nor a quote, list or HTML, while none is open."""
        plain = line.strip(" \t")
        if not plain:
            self.leaf = "none"
        elif self.leaf != "paragraph":
            is_text = indentation(line, 0) < INDENTED and not HEADING.match(plain) and not RULE.match(plain)
            self.leaf = "paragraph" if is_text else "none"
        elif indentation(line, 0) < INDENTED and _ends_paragraph(plain):
            self.leaf = "none"

    def _matched(self, line: str) -> tuple[int, str, int]:
        """Return how many of the open containers the line goes on with, and what follows their marks."""
        rest, column = line, 0
        for depth, container in enumerate(self.containers):
            plain = rest.lstrip(" \t")
            indent = indentation(rest, column)
            if isinstance(container, Quote):
                if indent >= INDENTED or not plain.startswith(">"):
                    return depth, rest, column
                rest, column = _behind_quote(rest, column, indent)
            elif not plain and container.is_empty:
                return depth, rest, column
            elif indent >= container.width:
                rest, column = without(rest, column, container.width), column + container.width
            elif not plain:
                rest, column = "", column + indent
            else:
                return depth, rest, column
        return len(self.containers), rest, column

    def _read_in_fence(self, fence: Fence, rest: str, column: int) -> Read:
        indent = indentation(rest, column)
        if indent < INDENTED and fence.is_closed_by(rest.lstrip(" \t")):
            self.fence, self.leaf = None, "none"
            return "closing"
        self.body_line = without(rest, column, min(indent, fence.indent)) if fence.indent else rest
        return "body"

    def _begin(self, rest: str, column: int, depth: int) -> Read:
        """Open what the line opens, and return what it is."""
        is_open = depth == len(self.containers)
        """Whether all that was open goes on so far."""
        while (plain := rest.lstrip(" \t")) and (indent := indentation(rest, column)) < INDENTED:
            interrupts = is_open and self.leaf == "paragraph"
            if plain[0] == ">" and depth < DEEPEST:
                self._cut(depth)
                self._push(Quote())
                rest, column = _behind_quote(rest, column, indent)
            elif (opening := OPENING.match(plain)) is not None:
                self._cut(depth)
                self._fill()
                info = opening["plain"] if opening["mark"] else opening["any"]
                self.fence = Fence(opening["mark"] or opening["wave"], indent, info.strip(" \t"))
                self.leaf = "fence"
                return "opening"
            elif self._is_html(plain):
                self._cut(depth)
                self._fill()
                self.leaf = "none" if self._html_end is not _BLANK and self._html_end.search(plain) else "html"
                return "outside"
            elif HEADING.match(plain) or (interrupts and UNDERLINE.match(plain)) or RULE.match(plain):
                self._cut(depth)
                self._fill()
                self.leaf = "none"
                return "outside"
            elif depth < DEEPEST and (marker := _item(plain, interrupts=interrupts)) is not None:
                self._cut(depth)
                rest, column = self._push_item(rest, column, indent, marker)
            else:
                break
            depth, is_open = len(self.containers), True
        self._read_text(rest, column, depth)
        return "outside"

    def _read_text(self, rest: str, column: int, depth: int) -> None:
        if not rest.strip(" \t"):
            self._cut(depth)
            self.leaf = "none"
            return
        if depth < len(self.containers) and self.leaf == "paragraph":
            return  # A line that goes on with a paragraph need not repeat the marks around it.
        self._cut(depth)
        self._fill()
        if self.leaf != "paragraph" and indentation(rest, column) < INDENTED:
            self.leaf = "paragraph"

    def _is_html(self, plain: str) -> bool:
        if plain[0] != "<":
            return False
        for start, end in _HTML:
            if start.match(plain):
                self._html_end = end
                return True
        self._html_end = _BLANK
        return self.leaf != "paragraph" and _ALONE.match(plain) is not None

    def _push(self, container: Quote | Item) -> None:
        self._fill()
        self.containers.append(container)
        self.leaf = "none"

    def _push_item(self, rest: str, column: int, indent: int, marker: str) -> tuple[str, int]:
        at = column + indent + len(marker)
        behind = rest.lstrip(" \t")[len(marker) :]
        space = indentation(behind, at)
        is_empty = not behind.strip(" \t")
        gap = 1 if is_empty or space > INDENTED else space
        self._push(Item(indent + len(marker) + gap, is_empty))
        return ("", at) if is_empty else (without(behind, at, gap), at + gap)

    def _fill(self) -> None:
        for container in self.containers:
            if isinstance(container, Item):
                container.is_empty = False

    def _cut(self, depth: int) -> None:
        """Close the containers below `depth` with what they hold."""
        if depth < len(self.containers):
            del self.containers[depth:]
            self.leaf, self.fence = "none", None


def _ends_paragraph(plain: str) -> bool:
    return any(pattern.match(plain) for pattern in (HEADING, UNDERLINE, RULE))


def _behind_quote(rest: str, column: int, indent: int) -> tuple[str, int]:
    """Return what follows a quote's mark and the one space that belongs to it."""
    behind, at = rest.lstrip(" \t")[1:], column + indent + 1
    return (without(behind, at, 1), at + 1) if behind[:1] in {" ", "\t"} else (behind, at)


def _item(plain: str, *, interrupts: bool) -> str | None:
    """Return the marker of a list item; within a paragraph only one that has text, and of numbers only the first."""
    marker = MARKER.match(plain)
    if marker is None:
        return None
    if interrupts and (not plain[marker.end() :].strip(" \t") or marker["number"] not in (None, "1")):
        return None
    return marker[0]
