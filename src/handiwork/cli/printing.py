"""How things are put on a terminal or into a pipe: text made harmless, tables, JSON, progress.

Results go to standard output, progress and remarks to standard error. What is said is decided by the commands.
"""

import contextlib
import json
import logging
import re
import sys
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from handiwork.media.formats import format_of_media_type
from handiwork.model import Artifact
from handiwork.quantities import size_text

_PIPED_WIDTH = 10_000
_KEPT = frozenset("\n\t")
# They reorder what is shown, so that a name or a line can look like another.
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HARMFUL = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LINE_ENDS = re.compile("\r\n?")


def harmless(text: str) -> str:
    """Return text that cannot steer a terminal: only newlines and tabs are kept of the control characters."""
    return "".join(_shown(character) for character in _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """The same for a name or a message of which nothing may start a line of its own."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def size(count: int) -> str:
    """Return bytes as people read them; a KB is 1024 bytes, as everywhere in Handiwork."""
    return size_text(count)


def format_word(artifact: Artifact) -> str:
    """Return the short name of an artifact's format, such as `xlsx`, for a table."""
    found = format_of_media_type(artifact.media_type)
    return found.name if found is not None else artifact.media_type


def results() -> Console:
    """Return the console of standard output."""
    return _console(is_error=False)


def notes() -> Console:
    """Return the console of standard error."""
    return _console(is_error=True)


def say(console: Console, *parts: str | tuple[str, str]) -> None:
    """Print one paragraph, made harmless; a pair is text with a style. Breaking its lines is left to the terminal."""
    shown = (harmless(part) if isinstance(part, str) else (harmless(part[0]), part[1]) for part in parts)
    console.print(Text.assemble(*shown), soft_wrap=True)


def print_table(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()
) -> None:
    """Print a table under its title; columns named in `right` hold numbers."""
    drawn = Table(box=SIMPLE_HEAD if console.is_terminal else None, show_edge=False, pad_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold", header_style="bold")
    for row in rows:
        drawn.add_row(*(Text(harmless(cell)) for cell in row))
    if title:
        console.print()
        say(console, (title, "bold"))
    _put(console, drawn)


def print_facts(console: Console, pairs: Mapping[str, str]) -> None:
    """Print names and values side by side."""
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs.items():
        grid.add_row(Text(name, style="bold"), Text(one_line(value), overflow="fold"))
    _put(console, grid)


def print_json(shape: Mapping[str, Any]) -> None:
    """Print one JSON object; outside ASCII all is escaped, so that it suits every terminal and pipe."""
    sys.stdout.write(json.dumps(shape, indent=2) + "\n")


def print_text(text: str, *, is_error: bool = False) -> None:
    """Print text of a program, made harmless, ending in a newline."""
    if not text:
        return
    stream = sys.stderr if is_error else sys.stdout
    shown = harmless(text)
    stream.write(shown if shown.endswith("\n") else shown + "\n")
    stream.flush()


@contextlib.contextmanager
def progress(first: str, *, least: int = logging.WARNING) -> Generator[Callable[[str], None]]:
    """Show what goes on and for how long, on a terminal only; the value given changes the words.

    Remarks that are logged meanwhile are shown if they are of the level `least` or above.
    """
    console = notes()
    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), words, TextColumn("{task.elapsed:.0f} s", style="dim", markup=False))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(one_line(first), total=None)
        with _remarks_on(console, least):
            yield lambda now: shown.update(task, description=one_line(now))


class _Remarks(logging.Handler):
    def __init__(self, console: Console, least: int) -> None:
        super().__init__(least)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        say(self._console, (f"{record.levelname.lower()}: ", "bold yellow"), record.getMessage())


@contextlib.contextmanager
def _remarks_on(console: Console, least: int) -> Generator[None]:
    handler, log = _Remarks(console, least), logging.getLogger("handiwork")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _put(console: Console, table: Table) -> None:
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as drawn:
        console.print(table)
    console.file.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def _console(*, is_error: bool) -> Console:
    console = Console(stderr=is_error, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH  # a pipe has no edge at which to fold
    return console


def _shown(character: str) -> str:
    if character in _KEPT or (character not in _REORDERING and unicodedata.category(character) not in _HARMFUL):
        return character
    return character.encode("unicode_escape").decode("ascii")
