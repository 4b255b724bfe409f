"""What an artifact type is: one declaration with everything that the rest of Handiwork asks of it.

The types themselves are declared in modules of their own and gathered in `registry`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from handiwork.errors import ContentRefused, ContentTooLarge, InvalidType
from handiwork.media.formats import BY_NAME, Format, format_named
from handiwork.media.places import Places
from handiwork.model import Category
from handiwork.quantities import counted
from handiwork.types.action_type import ActionType
from handiwork.types.plain_text import bytes_of, text_of
from handiwork.types.strict_json import written

LONGEST_STATE = 64
LONGEST_LANGUAGE = 64
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Content that is what its type demands."""

    data: bytes
    """What is stored: the bytes as they came, or canonical JSON of what came as a value."""
    value: object = None
    """What JSON content says; None for every other kind, and for `null`."""
    format: Format | None = None
    """The format of the bytes; None where only the file's name can tell."""
    places: Places = field(default_factory=Places)
    """Where some units of long content begin, which those who select from it need not look for then."""


def describe_by_size(name: str, format_: Format, size: int) -> str:
    return f"{name} ({format_.media_type}, {counted(size, 'byte')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactType:
    """One kind of artifact. `cap_bytes` bounds the content; `summarize` takes name, format and size.

    Raises `InvalidType` for a name, states or transitions that cannot be.
    """

    name: str
    label: str
    icon: str
    display: Literal["panel", "inline"]
    cap_bytes: int
    is_streamed: bool
    summarize: Callable[[str, Format, int], str] = describe_by_size
    aliases: tuple[str, ...] = ()
    content: Literal["text", "json", "bytes"] = "bytes"
    format: Format = BY_NAME["binary"]
    """The format of content that does not tell its own."""
    category: Category | None = None
    """None is the one that the content is found to be in."""
    has_language: bool = False
    """Whether a language belongs to it, which then tells the format."""
    schema: Mapping[str, object] | None = field(default=None, hash=False)
    """JSON Schema of the content; None is any that `examine` takes."""
    states: tuple[str, ...] = ()
    """The first is the initial one. A type without states leaves the artifact's state None."""
    transitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]], hash=False)
    """Which states may follow a state."""
    retention: timedelta | None = None
    """How long one is kept unless somebody says otherwise; None is what the deployment says."""
    examine: "Callable[[ArtifactType, bytes], Checked] | None" = None
    """Raises `ContentRefused`. None takes any bytes, so that they need not be read as a whole."""

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not NAME.fullmatch(name):
                problem = "expected a name of 1 to 64 characters of `a-z 0-9 _ -`, beginning with a letter"
                raise InvalidType(name[:100], problem=problem)
        if len(set(self.states)) < len(self.states) or not all(0 < len(s) <= LONGEST_STATE for s in self.states):
            raise InvalidType(self.name, problem=f"expected different states of 1 to {LONGEST_STATE} characters")
        named = {state for pair in self.transitions.items() for state in (pair[0], *pair[1])}
        if unknown := sorted(named - set(self.states)):
            raise InvalidType(self.name, problem=f"its transitions name `{unknown[0]}`, which is not among its states")

    @property
    def media_type(self) -> str:
        return self.format.media_type

    @property
    def suffix(self) -> str:
        """The end of a file name, without dot."""
        return self.format.extensions[0]

    @property
    def initial_state(self) -> str | None:
        return self.states[0] if self.states else None

    @property
    def actions(self) -> tuple[ActionType, ...]:
        """What can be done with an artifact of this type in one state or another."""
        return self._leading_to({state for following in self.transitions.values() for state in following})

    def actions_in(self, state: str | None) -> tuple[ActionType, ...]:
        """Return what can be done with an artifact in this state."""
        return self._leading_to(self.transitions.get(state or "", ()))

    def _leading_to(self, states: Collection[str]) -> tuple[ActionType, ...]:
        return tuple(ActionType(name=state) for state in self.states if state in states)

    def check(self, content: object, *, language: str | None = None) -> Checked:
        """Return what is to be stored of `content`, in time that grows with its size alone.

        Text and bytes are taken as they are; a type of JSON content takes any other value as what the JSON says.
        Checking twice changes nothing: `check(check(c).data).data == check(c).data`.

        Raises:
            ContentTooLarge: it has more bytes than `cap_bytes`.
            ContentRefused: it is not what the type demands.
        """
        data = self._data(content)
        self._demand_size(len(data))
        format_ = self._format_in(language)
        if self.examine is None:
            return Checked(data=data)
        checked = self.examine(self, data)
        self._demand_size(len(checked.data))
        return checked if checked.format else replace(checked, format=format_)

    def _data(self, content: object) -> bytes:
        match content:
            case str():
                # Every character has one byte at least, so that a hopeless text is not even encoded.
                self._demand_size(len(content))
                return bytes_of(content, self.name)
            case bytes() | bytearray():
                return bytes(content)
            case _:
                return self.spelled(content)

    def spelled(self, value: object) -> bytes:
        """Return a value as the JSON that says it, also a text, which `check` takes for JSON itself.

        Raises:
            ContentTooLarge: it would have more bytes than `cap_bytes`.
            ContentRefused: JSON cannot hold it, or the content of this type is no JSON.
        """
        if self.content != "json":
            expected = "text" if self.content == "text" else "bytes"
            got = f"a value of the Python type `{type(value).__name__}`"
            raise ContentRefused(self.name, expected=expected, got=got)
        return written(value, type_name=self.name, most_bytes=self.cap_bytes)

    def _demand_size(self, size: int) -> None:
        if size > self.cap_bytes:
            raise ContentTooLarge(f"{self.name} content", size=size, limit=self.cap_bytes)

    def _format_in(self, language: str | None) -> Format:
        if language is None or not self.has_language:
            return self.format
        if not 0 < len(language) <= LONGEST_LANGUAGE or not language.isprintable():
            expected = f"1 to {LONGEST_LANGUAGE} printable characters, such as `python`"
            got = repr(language[:LONGEST_LANGUAGE])
            raise ContentRefused(self.name, where="language", expected=expected, got=got, limit=LONGEST_LANGUAGE)
        found = format_named(language)
        return found if found and found.is_text else self.format


def text_alone(type_: ArtifactType, data: bytes) -> Checked:
    """Demand text of a type, and nothing of what it says."""
    text_of(data, type_.name)
    return Checked(data=data)
