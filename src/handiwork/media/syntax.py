"""What kind of text a text is, told from the text alone. The file's name is not weighed here."""

import json
import re
from typing import Literal

from handiwork.media.text import Text

Markup = Literal["html", "fragment", "svg", "xml"]

_MOST_PROLOG_PARTS = 16
_DOCTYPE = re.compile(r"<!doctype\s+([a-z][\w.:-]*)", re.IGNORECASE)
_ROOT = re.compile(r"<([A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
_FRAGMENT_TAG = re.compile(
    r"a|article|b|base|body|br|button|canvas|center|div|font|footer|form|h[1-6]|head|header|hr|i|iframe|img|input|link|"
    r"main|meta|nav|object|ol|p|pre|script|section|span|strong|style|table|template|title|ul|video",
    re.IGNORECASE,
)
_JSON_START = re.compile(r'\s*(?:\{\s*(?:"[^"\\]{0,200}"\s*:)|\[\s*(?:[\[{"]|-?\d|true\b|false\b|null\b))')
_SHEBANG = re.compile(r"#!\s*\S*?(?:/env\s+(?:-S\s+)?|/)?(python|node|deno|bash|zsh|sh|dash|ruby|perl|php|lua)[\d.]*\s")
_SHELLS = frozenset({"bash", "zsh", "sh", "dash"})
_SCRIPTS = {"node": "javascript", "deno": "typescript"}


def markup_of(text: Text) -> Markup | None:
    """Tell a page (`html`), a part of a page (`fragment`), an SVG and other XML apart; None for any other text."""
    is_declared = text.start.lstrip().startswith("<?xml")
    body = _after_prolog(text.start)
    if doctype := _DOCTYPE.match(body):
        return _markup_named(doctype[1]) or "xml"
    root = _ROOT.match(body)
    if root is None:
        return "xml" if is_declared else None
    if named := _markup_named(root[2]):
        return named
    if not root[1] and not is_declared and _FRAGMENT_TAG.fullmatch(root[2]):
        return "fragment"
    return "xml" if is_declared or _closes(text, root) else None


def is_pdf(text: Text) -> bool:
    """Tell a PDF without binary streams from a text that only begins like one."""
    return text.start.startswith("%PDF-") and " obj" in text.start


def is_rtf(text: Text) -> bool:
    return text.start.startswith("{\\rtf")


def is_json(text: Text) -> bool:
    """Whether it is a JSON object or array; a long text is judged by its two ends."""
    if not text.start.lstrip().startswith(("{", "[")):
        return False
    if text.is_whole:
        return _parses(text.start)
    opening = text.start.lstrip()[0]
    return bool(_JSON_START.match(text.start)) and text.end.rstrip().endswith("}" if opening == "{" else "]")


def is_json_lines(text: Text) -> bool:
    """Whether its first two lines are each a JSON object."""
    lines = text.start.split("\n", 2)
    is_second_cut = len(lines) == 2 and not text.is_whole
    if len(lines) < 2 or is_second_cut:
        return False
    return all(line.lstrip().startswith("{") and _parses(line) for line in lines[:2])


def script_of(text: Text) -> str | None:
    """Return the format that the first line names as interpreter, if it is one that is known."""
    found = _SHEBANG.match(text.start[:200] + "\n")
    if found is None:
        return None
    return "shell" if found[1] in _SHELLS else _SCRIPTS.get(found[1], found[1])


def _after_prolog(text: str) -> str:
    rest = text.lstrip()
    for _ in range(_MOST_PROLOG_PARTS):
        if rest.startswith("<!--"):
            closing = "-->"
        elif rest.startswith("<?"):
            closing = "?>"
        else:
            return rest
        rest = rest.partition(closing)[2].lstrip()
    return rest


def _markup_named(tag: str) -> Literal["html", "svg"] | None:
    match tag.lower():
        case "html":
            return "html"
        case "svg":
            return "svg"
        case _:
            return None


def _closes(text: Text, root: re.Match[str]) -> bool:
    end = text.end.rstrip()
    return end.endswith(("/>", f"</{root[1] or ''}{root[2]}>", "-->"))


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
