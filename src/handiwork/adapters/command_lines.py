"""A line of shell as a tree: the small part of the language that agents write most, read and nothing else.

Lists, pipes, redirects, here-documents, quotes, variables, `$(…)` and `for`. What is outside of it is refused by name;
what a command does is not known here.
"""

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

LONGEST = 1024 * 1024
DEEPEST = 20
MOST_DOCUMENTS = 50

_ENDS = frozenset(";&|\n()<>")
_BLANK = " \t\r"
_OTHER_STREAM = re.compile(r"(?!2>)[0-9]+[<>]")
_ALTERNATIVES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_PARAMETERS = tuple("0123456789@*#!$-")
_NOT_HERE = frozenset({"if", "while", "until", "case", "function", "select", "{", "[[", "!", "time", "coproc"})


class NotUnderstood(Exception):
    """The line is no shell, or more of it than is known here."""


@dataclass(frozen=True, slots=True)
class Text:
    """Characters as they are; those that were not quoted may be a pattern of file names."""

    text: str
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Substitution:
    body: "Script"
    is_quoted: bool = False


Word = tuple[Text | Variable | Substitution, ...]


@dataclass(frozen=True, slots=True)
class Redirect:
    operator: Literal["<", ">", ">>", "<<", "2>", "2>>", "2>&1", "&>"]
    target: Word


@dataclass(frozen=True, slots=True)
class Simple:
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    variable: str
    words: tuple[Word, ...]
    body: "Script"


@dataclass(frozen=True, slots=True)
class Group:
    body: "Script"


@dataclass(frozen=True, slots=True)
class Pipe:
    parts: tuple[Simple | Loop | Group, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Pipes, each with what stands before it: `;` always, `&&` after success, `||` after failure."""

    steps: tuple[tuple[Literal[";", "&&", "||"], Pipe], ...]


def parsed(text: str) -> Script:
    """Return a line as a tree. Raises `NotUnderstood`, whose message tells what is not known."""
    if len(text) > LONGEST:
        raise NotUnderstood(f"the command has {len(text):,} characters, {LONGEST:,} are the most")
    reader = _Reader(text)
    script = reader.script(0)
    if reader.at < len(reader.text):
        reader.refuse(f"`{reader.text[reader.at]}`")
    return script


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.documents = text, 0, 0

    def script(self, depth: int, *, until: frozenset[str] = frozenset()) -> Script:
        if depth > DEEPEST:
            raise NotUnderstood(f"the command is nested deeper than {DEEPEST}")
        steps: list[tuple[Literal[";", "&&", "||"], Pipe]] = []
        operator: Literal[";", "&&", "||"] = ";"
        while True:
            self._skip(lines=True)
            if self.at >= len(self.text) or self._peek() == ")" or self._reserved() in until:
                return Script(tuple(steps))
            steps.append((operator, self._pipe(depth)))
            operator = self._operator()

    def _operator(self) -> Literal[";", "&&", "||"]:
        self._skip()
        for operator in ("&&", "||"):
            if self._take(operator):
                return operator
        if self._peek() == "&":
            self.refuse("`&` (nothing runs in the background)")
        return ";"

    def _pipe(self, depth: int) -> Pipe:
        parts = [self._part(depth)]
        while True:
            self._skip()
            if self._peek() != "|" or self.text.startswith("||", self.at):
                return Pipe(tuple(parts))
            self.at += 1
            self._skip(lines=True)
            parts.append(self._part(depth))

    def _part(self, depth: int) -> Simple | Loop | Group:
        if self._take("("):
            body = self.script(depth + 1)
            self._demand(")")
            self._demand_end()
            return Group(body)
        word = self._reserved()
        if word == "for":
            return self._loop(depth)
        if word in _NOT_HERE:
            self.refuse(f"`{word}`")
        return self._simple(depth)

    def _loop(self, depth: int) -> Loop:
        self._word_is("for")
        variable = self._name()
        self._word_is("in")
        words: list[Word] = []
        self._skip()
        while (word := self._word(depth)) is not None:
            words.append(word)
            self._skip()
        self._skip()
        self._word_is("do")
        body = self.script(depth + 1, until=frozenset({"done"}))
        self._word_is("done")
        self._demand_end()
        return Loop(variable, tuple(words), body)

    def _simple(self, depth: int) -> Simple:
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self._skip()
            if self._redirect(depth, redirects):
                continue
            word = self._word(depth)
            if word is None:
                if not words and not redirects:
                    self.refuse(f"`{self._peek() or 'the end of the line'}`")
                return Simple(tuple(words), tuple(redirects))
            words.append(word)

    def _redirect(self, depth: int, redirects: list[Redirect]) -> bool:
        if self.text.startswith("1>", self.at):
            self.at += 1
        elif (other := _OTHER_STREAM.match(self.text, self.at)) is not None:
            self.refuse(f"`{other[0]}` (there are the streams 1 and 2)")
        if self._take("2>&1"):
            redirects.append(Redirect("2>&1", ()))
            return True
        if self._take("<<<"):
            self.refuse("`<<<`")
        if self._take("<<"):
            self._here(depth, redirects)
            return True
        for operator in ("2>>", "2>", "&>", ">>", ">", "<"):
            if self._take(operator):
                self._skip()
                target = self._word(depth)
                if target is None:
                    self.refuse(f"`{operator}` without a file")
                redirects.append(Redirect(operator, target))
                return True
        return False

    def _here(self, depth: int, redirects: list[Redirect]) -> None:
        is_indented = self._take("-")
        self._skip()
        word = self._word(DEEPEST)
        if word is None or not all(isinstance(part, Text) for part in word):
            self.refuse("`<<` without a word")
        mark = "".join(part.text for part in word if isinstance(part, Text))
        self.documents += 1
        if self.documents > MOST_DOCUMENTS:
            self.refuse(f"more than {MOST_DOCUMENTS} times `<<`")
        # Its lines come after this one, and are taken out of the text here.
        start = self.text.find("\n", self.at) + 1 or len(self.text)
        lines: list[str] = []
        end = start
        while end < len(self.text):
            begin, end = end, self.text.find("\n", end) + 1 or len(self.text)
            line = self.text[begin:end]
            bare = line.lstrip("\t") if is_indented else line
            if bare.removesuffix("\n") == mark:
                break
            lines.append(bare)
        self.text = self.text[:start] + self.text[end:]
        is_literal = any(isinstance(part, Text) and part.is_quoted for part in word)
        said = "".join(lines)
        target: Word = (Text(said, is_quoted=True),) if is_literal else self._document(said, mark, depth)
        redirects.append(Redirect("<<", target))

    def _document(self, said: str, mark: str, depth: int) -> Word:
        """Read lines in which variables and commands are replaced, since the word that ends them was not quoted."""
        reader = _Reader(said)
        reader.documents = self.documents
        try:
            parts = reader.expandable(depth + 1)
        except NotUnderstood as wrong:
            instead = f"write `<<'{mark}'` for lines as they are"
            raise NotUnderstood(f"in the lines up to `{mark}` {wrong} ({instead})") from None
        self.documents = reader.documents
        return tuple(parts)

    def _word(self, depth: int) -> Word | None:
        parts: list[Text | Variable | Substitution] = []
        bare: list[str] = []

        def close() -> None:
            if bare:
                parts.extend(self._unquoted("".join(bare), is_first=not parts))
                bare.clear()

        start = self.at
        while self.at < len(self.text):
            character = self._peek()
            if character in _ENDS or character in _BLANK or (character == "#" and self.at == start):
                break
            if character == "\\":
                close()
                parts.append(Text(self.text[self.at + 1 : self.at + 2], is_quoted=True))
                self.at += 2
            elif character == "'":
                close()
                parts.append(Text(self._until("'"), is_quoted=True))
            elif character == '"':
                close()
                parts += self._quoted(depth)
            elif character == "`":
                self.refuse("a backquote (write `$(…)`)")
            elif character == "$":
                close()
                parts.append(self._dollar(depth, is_quoted=False))
            else:
                bare.append(character)
                self.at += 1
        close()
        return tuple(parts) if self.at > start else None

    def _unquoted(self, text: str, *, is_first: bool) -> list[Text | Variable]:
        if _ALTERNATIVES.search(text):
            self.refuse("`{…}` for several words (write them out)")
        if is_first and (text == "~" or text.startswith("~/")):
            return [Variable("HOME", is_quoted=True), Text(text[1:])]
        return [Text(text)]

    def _quoted(self, depth: int) -> list[Text | Variable | Substitution]:
        self.at += 1
        parts = self.expandable(depth, until='"')
        self.at += 1
        return parts

    def expandable(self, depth: int, *, until: str = "") -> list[Text | Variable | Substitution]:
        """Read text in which variables and commands are replaced, up to a mark or to the end."""
        parts: list[Text | Variable | Substitution] = []
        said: list[str] = []
        escaped = ("$", "`", "\\", "\n", *until)
        while (character := self._peek()) != until:
            if not character:
                self.refuse(f"a `{until}` without its second")
            if character == "$":
                parts += [Text("".join(said), is_quoted=True), self._dollar(depth, is_quoted=True)]
                said.clear()
                continue
            if character == "`":
                self.refuse("a backquote (write `$(…)`)")
            is_escape = character == "\\" and self.text[self.at + 1 : self.at + 2] in escaped
            self.at += is_escape
            said.append("" if is_escape and self._peek() == "\n" else self._peek())
            self.at += 1
        return [*parts, Text("".join(said), is_quoted=True)]

    def _dollar(self, depth: int, *, is_quoted: bool) -> Text | Variable | Substitution:
        self.at += 1
        if self.text.startswith("((", self.at):
            self.refuse("`$((…))`")
        if self._take("("):
            body = self.script(depth + 1)
            self._demand(")")
            return Substitution(body, is_quoted)
        if self._take("{"):
            name = self._name()
            if not self._take("}"):
                self.refuse("`${…}` with more than a name")
            return Variable(name, is_quoted)
        if self._peek() == "?":
            self.at += 1
            return Variable("?", is_quoted)
        if self._peek().isalpha() or self._peek() == "_":
            return Variable(self._name(), is_quoted)
        if self._peek() in _PARAMETERS:
            self.refuse(f"`${self._peek()}` (a line has no arguments; write `\\$` for the character)")
        return Text("$", is_quoted)

    def _name(self) -> str:
        self._skip()
        start = self.at
        while self._peek().isalnum() or self._peek() == "_":
            self.at += 1
        if self.at == start:
            self.refuse("a variable without a name")
        return self.text[start : self.at]

    def _until(self, mark: str) -> str:
        end = self.text.find(mark, self.at + 1)
        if end < 0:
            self.refuse(f"a `{mark}` without its second")
        found, self.at = self.text[self.at + 1 : end], end + 1
        return found

    def _reserved(self) -> str:
        """Return the plain word that comes next, without taking it."""
        end = self.at
        while end < len(self.text) and self.text[end] not in _ENDS and self.text[end] not in _BLANK:
            end += 1
        return self.text[self.at : end]

    def _word_is(self, word: str) -> None:
        self._skip(lines=True)
        if self._reserved() != word:
            self.refuse(f"`{self._reserved() or 'the end of the line'}` where `{word}` was expected")
        self.at += len(word)

    def _skip(self, *, lines: bool = False) -> None:
        while self.at < len(self.text):
            if self.text.startswith("\\\n", self.at):
                self.at += 2
            elif self._peek() in _BLANK or (lines and self._peek() in ("\n", ";")):
                self.at += 1
            elif self._peek() == "#":
                end = self.text.find("\n", self.at)
                self.at = end if end >= 0 else len(self.text)
            else:
                return

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def _demand(self, text: str) -> None:
        if not self._take(text):
            self.refuse(f"`{self._peek() or 'the end of the line'}` where `{text}` was expected".replace("\n", "↵"))

    def _demand_end(self) -> None:
        self._skip()
        if self._peek() not in ("", ";", "|", "\n", ")", "&") or self.text.startswith("&>", self.at):
            self.refuse("what comes after a group or a loop (redirect each command within it)")

    def refuse(self, what: str) -> NoReturn:
        raise NotUnderstood(f"{what} at character {self.at + 1} is not understood here")
