"""Source text as markup, its syntax in classes that a stylesheet colours. Which text that is, others know.

Text is hostile here, and expressions that read languages can be made to take very long: of a text, only so many
characters are coloured and only for so long, and only in languages whose readers have been tried with such text.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from types import MappingProxyType
from typing import Any, cast

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name  # pyright: ignore[reportUnknownVariableType]  # its options are untyped
from pygments.token import STANDARD_TYPES

from handiwork.media.formats import format_named
from handiwork.model import KIB

MOST_CHARACTERS = 128 * KIB
LONGEST_LINE = 2000
MOST_SECONDS = 1.0
DEEPEST_INDENT = 40
MOST_GROWTH = 8

# The languages of `media`, as Pygments calls them.
READERS: Mapping[str, str] = MappingProxyType(
    {
        name: name
        for name in (
            *("c", "cpp", "csharp", "css", "dart", "diff", "elixir", "go", "graphql", "haskell", "html", "java"),
            *("javascript", "json", "julia", "kotlin", "lua", "perl", "php", "powershell", "protobuf", "python", "r"),
            *("ruby", "rust", "scala", "scss", "sql", "swift", "tex", "toml", "tsx", "typescript", "xml", "yaml"),
        )
    }
    | {
        "batch": "batch",
        "dockerfile": "docker",
        "dot": "dot",
        "jsx": "javascript",
        "makefile": "make",
        "shell": "bash",
        "svelte": "html",
        "terraform": "terraform",
        "vue": "html",
        "zig": "zig",
    }
)

_JSON_PART = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},:]|[^\s"\[\]{},:]+', re.DOTALL)
# Read character by character, so that no line is too long.
_STEADY = frozenset({"json"})
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")


@dataclass(slots=True)
class Patience:
    """How long one page may take to be coloured, all its pieces together."""

    clock: Callable[[], float] = time.monotonic
    seconds: float = MOST_SECONDS
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends = self.clock() + self.seconds

    @property
    def is_over(self) -> bool:
        return self.clock() >= self._ends


def reader_of(language: str | None) -> str | None:
    """Return what reads a language, or a format with this name or extension; None when nothing does."""
    if not language:
        return None
    found = format_named(language)
    word = (found.language or found.name) if found is not None else language.strip().lower()
    return READERS.get(word)


def coloured(text: str, language: str | None, *, patience: Patience) -> str:
    """Return markup for a `<code>`; what nothing reads, and what is too long, comes out in one colour."""
    reader = reader_of(language)
    if reader is None or len(text) > MOST_CHARACTERS or (reader not in _STEADY and _has_long_line(text)):
        return escape(text)
    return "".join(_pieces(text, _lexer(reader), patience))


def numbered(markup: str, lines: int) -> str:
    """Return a listing: the numbers of its lines beside it."""
    numbers = "\n".join(map(str, range(1, lines + 1)))
    return f'<pre class="numbers" aria-hidden="true">{numbers}</pre><pre><code>{markup}</code></pre>'


def indented(text: str) -> str:
    """Return JSON with every entry on a line of its own, every word of it as it was; also when it breaks off.

    What would grow beyond all measure stays as it is.
    """
    pieces: list[str] = []
    depth, size, before = 0, 0, ""
    for found in _JSON_PART.finditer(text):
        part = found[0]
        if before in _OPENING and part not in _CLOSING:
            depth += 1
            pieces.append(_line(depth))
        elif part in _CLOSING and before not in _OPENING:
            depth = max(depth - 1, 0)
            pieces.append(_line(depth))
        elif before == ",":
            pieces.append(_line(depth))
        pieces.append(": " if part == ":" else part)
        size += 2 * min(depth, DEEPEST_INDENT) + len(part)
        if size > MOST_GROWTH * len(text) + KIB:
            return text
        before = part
    return "".join(pieces)


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, DEEPEST_INDENT)


def _pieces(text: str, lexer: Lexer, patience: Patience) -> Iterator[str]:
    """Yield the text piece by piece, without colour from where patience has ended."""
    at = 0
    for start, kind, value in lexer.get_tokens_unprocessed(text):
        if patience.is_over:
            break
        class_ = _class_of(kind)
        words = escape(value)
        yield f'<span class="{class_}">{words}</span>' if class_ else words
        at = start + len(value)
    yield escape(text[at:])


@lru_cache(maxsize=64)
def _lexer(reader: str) -> Lexer:
    return get_lexer_by_name(reader)


def _has_long_line(text: str) -> bool:
    return len(text) > LONGEST_LINE and any(len(line) > LONGEST_LINE for line in text.split("\n"))


def _class_of(kind: Any) -> str:
    """Return the short name of a kind of token, or of the nearest one above it that has one."""
    while kind is not None:
        if (name := cast("Mapping[object, str]", STANDARD_TYPES).get(kind)) is not None:
            return "" if name in _WITHOUT_COLOUR else name
        kind = kind.parent
    return ""


_WITHOUT_COLOUR = frozenset({"", "err", "esc", "g", "n", "o", "p", "w", "x"})
