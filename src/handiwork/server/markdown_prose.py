"""Markdown as markup that is safe in any page: read without raw HTML, then cleaned by an allow-list all the same.

A picture from elsewhere tells elsewhere that somebody looks, and a link leads out of a frame that lets nobody out:
of both, the address is shown as text. What stands around the markup is not known here.
"""

import re
from collections.abc import Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from handiwork.server.coloured_code import Patience, coloured

# As deep as people read; a reader that goes deeper takes longer with every level.
DEEPEST = 20
MOST_PIECES = 120_000
"""Of how many elements and runs of text a page is made at most: each takes time to be written and to be cleaned."""
TAGS = {
    *("a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol"),
    *("p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {
    "a": {"href"},
    "code": {"class"},
    "div": {"class"},
    "img": {"alt", "src"},
    "li": {"class"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}
SCHEMES = {"data", "http", "https", "mailto"}

_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
_TASK = re.compile(r"\[([ xX])\] ")


def prose(text: str, *, patience: Patience, reading: Patience) -> str | None:
    """Return the markup of the document; None for one that `reading` is too short for, or that has too many pieces.

    Brackets that nothing closes, and much else, are looked at again and again, so that the time may grow with the
    square of the text. `patience` is for colours.
    """

    def highlight(code: str, language: str, _: str) -> str:
        return coloured(code, language, patience=patience)

    def keep_pace(*_state: Any) -> bool:
        if reading.is_over:
            raise _OutOfTime
        return False

    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    reader.options["highlight"] = highlight
    # Asked at every place that a block or an element of text may begin at; also between the parts of a paragraph.
    reader.block.ruler.before("table", "pace", keep_pace, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    reader.inline.ruler.before("text", "pace", keep_pace)
    reader.core.ruler.push("told", _tell)
    reader.add_render_rule("table_open", _opening_wide)
    reader.add_render_rule("table_close", _closing_wide)
    try:
        tokens = reader.parse(text)
    except _OutOfTime:
        return None
    if sum(1 + len(token.children or ()) for token in tokens) > MOST_PIECES:
        return None
    return nh3.clean(
        reader.renderer.render(tokens, reader.options, {}),
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_allowed,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        # A window is refused by the frame, and what is shown stays; a link in place would put an error there.
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


class _OutOfTime(Exception):
    """The document takes longer to be read than it may."""


def _allowed(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "src":
        return value if _PICTURE.fullmatch(value) else None
    if tag == "a" and value.strip().lower().startswith("data:"):
        return None
    return value


def _tell(state: StateCore) -> None:
    """Say in words where links and pictures lead, mark tasks, and name alignment as the allow-list knows it."""
    tokens = state.tokens
    for place, token in enumerate(tokens):
        if token.type in ("td_open", "th_open") and "style" in token.attrs:
            token.attrSet("align", str(token.attrs.pop("style")).rpartition(":")[2])
        if token.type == "inline" and token.children:
            if place > 1 and tokens[place - 2].type == "list_item_open":
                _mark_task(tokens[place - 2], token.children[0])
            token.children = _told(token.children)


def _mark_task(item: Token, first: Token) -> None:
    if first.type == "text" and (found := _TASK.match(first.content)):
        item.attrSet("class", "task")
        first.content = ("☐ " if found[1] == " " else "☑ ") + first.content[found.end() :]


def _told(children: Sequence[Token]) -> list[Token]:
    told: list[Token] = []
    address, words = "", list[str]()
    for token in children:
        if token.type == "image" and not _PICTURE.fullmatch(str(token.attrs.get("src", ""))):
            told += _span("absent", f"Picture: {token.content or 'without a description'}")
            told += _span("target", str(token.attrs.get("src", "")))
            continue
        told.append(token)
        words.append(token.content)
        if token.type == "link_open":
            address, words = str(token.attrs.get("href", "")), []
        elif token.type == "link_close" and not address.startswith("#"):
            shown = address.removeprefix("mailto:")
            told += [] if shown in ("".join(words), "") else _span("target", shown)
    return told


def _span(class_: str, content: str) -> list[Token]:
    text = Token("text", "", 0, content=content)
    return [Token("span_open", "span", 1, attrs={"class": class_}), text, Token("span_close", "span", -1)]


def _opening_wide(*_rendered: Any) -> str:
    return '<div class="wide"><table>\n'


def _closing_wide(*_rendered: Any) -> str:
    return "</table></div>\n"
