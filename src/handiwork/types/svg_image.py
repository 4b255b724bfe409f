"""The type `svg`: one drawing that every reader of XML takes.

It has no DOCTYPE, so that no entities can be declared in it. Script in it is not refused: it is shown where none runs,
and the frame is the wall.
"""

from collections import Counter
from collections.abc import Mapping
from xml.parsers import expat

from handiwork.errors import ContentRefused
from handiwork.media.formats import BY_NAME
from handiwork.model import KIB
from handiwork.types.artifact_type import ArtifactType, Checked
from handiwork.types.plain_text import text_of

CAP_BYTES = 256 * KIB
DEEPEST = 200
NAMESPACE = "http://www.w3.org/2000/svg"
LONGEST_NAME = 60

_HINT = "Close every element, quote every attribute, and write `&amp;` and `&lt;` for & and < in text."
_ENTITY_HINT = (
    "XML knows `&lt; &gt; &amp; &quot; &apos;` only: write other characters as themselves, or as `&#160;` by number."
)
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


def svg_type(*, cap_bytes: int = CAP_BYTES) -> ArtifactType:
    return ArtifactType(
        name="svg",
        label="Drawing",
        icon="shapes",
        display="inline",
        cap_bytes=cap_bytes,
        is_streamed=True,
        content="text",
        format=BY_NAME["svg"],
        category="image",
        examine=_examine,
    )


def _examine(type_: ArtifactType, data: bytes) -> Checked:
    text = text_of(data, type_.name)
    reading = _Reading(type_.name)
    try:
        # As a whole: in pieces, a long token would be read over and over.
        reading.parser.Parse(text.removeprefix("\ufeff"), True)
    except expat.ExpatError as wrong:
        raise reading.malformed(wrong) from wrong
    return Checked(data=data)


class _Reading:
    """One pass over a drawing, which raises `ContentRefused` at the first thing that may not be there."""

    def __init__(self, type_name: str) -> None:
        self._type_name = type_name
        self._open: list[tuple[str, list[str]]] = []
        self._prefixes: Counter[str] = Counter({"xml": 1, "xmlns": 1})
        # Namespaces are followed here: the parser would write a long one out again at every element.
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end

    def malformed(self, wrong: expat.ExpatError) -> ContentRefused:
        fault = expat.ErrorString(wrong.code) or "another fault"
        expected, hint = "well-formed XML", _HINT
        if fault == "undefined entity":
            hint = _ENTITY_HINT
        elif fault == "mismatched tag" and self._open:
            expected = f"`</{_short(self._open[-1][0])}>`, which closes what was opened last"
        where = _where(wrong.lineno, wrong.offset)
        return ContentRefused(self._type_name, where=where, expected=expected, got=f"the fault “{fault}”", hint=hint)

    def _doctype(self, *_declared: object) -> None:
        raise self._refused("no DOCTYPE", "one", hint="Leave the DOCTYPE out; `<svg>` comes first.")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise self._refused("the encoding UTF-8", f"{encoding[:LONGEST_NAME]!r}")

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise self._refused(f"at most {DEEPEST} elements within each other", "more", limit=DEEPEST)
        declared = [name.partition(":")[2] for name in attributes if name.startswith("xmlns:")]
        self._prefixes.update(declared)
        if not self._open:
            self._demand_root(tag, attributes)
        self._open.append((tag, declared))
        for name in (tag, *attributes):
            prefix, colon, _ = name.partition(":")
            if colon and not self._prefixes[prefix]:
                raise self._refused(
                    "a prefix that is declared",
                    f"`{_short(name)}`",
                    hint=f'Declare it in `<svg>`: `xmlns:{_short(prefix)}="…"`, or leave the prefix out.',
                )

    def _end(self, _tag: str) -> None:
        self._prefixes.subtract(self._open.pop()[1])

    def _demand_root(self, tag: str, attributes: Mapping[str, str]) -> None:
        prefix, colon, local = tag.rpartition(":")
        namespace = attributes.get(f"xmlns:{prefix}" if colon else "xmlns")
        if local != "svg":
            raise self._refused("`<svg>` as the outermost element", f"`<{_short(tag)}>`")
        if namespace not in (NAMESPACE, None):
            hint = f'Write `<svg xmlns="{NAMESPACE}">`.'
            raise self._refused(f"the namespace {NAMESPACE}", f"{namespace[:LONGEST_NAME]!r}", hint=hint)

    def _refused(self, expected: str, got: str, *, limit: int | None = None, hint: str | None = None) -> ContentRefused:
        where = _where(self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber)
        return ContentRefused(self._type_name, where=where, expected=expected, got=got, limit=limit, hint=hint)


def _where(line: int, column: int) -> str:
    return f"line {line:,}, column {column + 1:,}"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"
