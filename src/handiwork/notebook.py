"""How values are shown in a notebook: a card, as plain text and as HTML that loads nothing and runs nothing.

What a value is, and what of it is worth a look, is not known here. All words come from programs, models and users: they
are cut, cleaned and escaped.
"""

import html
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

LONGEST_WORD = 200
LONGEST_TEXT = 2_000
MOST_ROWS = 20
PLAIN, HTML = "text/plain", "text/html"

Bundle = tuple[dict[str, str], dict[str, object]]
Types = Container[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is shown of a value: its title, facts by name, rows of a table, and texts by name, of each the end."""

    title: str
    facts: Sequence[tuple[str, str]] = ()
    rows: Sequence[Sequence[str]] = ()
    texts: Sequence[tuple[str, str]] = ()

    def bundle(self, include: Types, exclude: Types) -> Bundle:
        """Return the card in the formats that are asked for, and nothing said of them."""
        data = {PLAIN: self._plain(), HTML: self._html()}
        wanted = [each for each in data if include is None or each in include]
        return {each: data[each] for each in wanted if exclude is None or each not in exclude}, {}

    def _plain(self) -> str:
        lines = [_word(self.title)]
        lines += [f"  {name}: {_word(value)}" for name, value in self.facts if value]
        lines += [f"  - {'  '.join(map(_word, row))}" for row in self._first_rows()]
        for name, text in self.texts:
            if text:
                lines += [f"  {name}:", *(f"    {line}" for line in _end(text).splitlines())]
        return "\n".join(lines)

    def _html(self) -> str:
        parts = [f"<strong>{_marked_up(self.title)}</strong>"]
        facts = [_row("th", name, (value,)) for name, value in self.facts if value]
        rows = [_row("td", row[0], row[1:]) for row in self._first_rows()]
        parts += [f"<table>{''.join(each)}</table>" for each in (facts, rows) if each]
        texts = [(_marked_up(name), html.escape(_end(text))) for name, text in self.texts if text]
        parts += [f"<div>{name}</div><pre>{text}</pre>" for name, text in texts]
        return f"<div>{''.join(parts)}</div>"

    def _first_rows(self) -> Sequence[Sequence[str]]:
        if len(self.rows) <= MOST_ROWS:
            return self.rows
        return [*self.rows[:MOST_ROWS], (f"and {len(self.rows) - MOST_ROWS:,} more",)]


def _row(tag: str, first: str, rest: Iterable[str]) -> str:
    cells = "".join(f"<td>{_marked_up(each)}</td>" for each in rest)
    return f"<tr><{tag}>{_marked_up(first)}</{tag}>{cells}</tr>"


def _marked_up(word: str) -> str:
    return html.escape(_word(word))


def _word(text: str) -> str:
    """Return a text on one line, without what a terminal obeys or what turns the order of characters."""
    told = _printable(text[: LONGEST_WORD + 1], kept="")
    return told if len(told) <= LONGEST_WORD else f"{told[: LONGEST_WORD - 1]}…"


def _end(text: str) -> str:
    told = _printable(text[-LONGEST_TEXT:], kept="\n\t")
    return told if len(text) <= LONGEST_TEXT else f"…{told}"


def _printable(text: str, *, kept: str) -> str:
    return "".join(each if each.isprintable() or each in kept else " " for each in text)
