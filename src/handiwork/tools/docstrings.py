"""What a function says of itself and its arguments in its docstring. How a model is told that is not known here."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_SECTION = re.compile(
    r"(?:Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|Warnings?|See Also|References|Todo):?"
)
_ARGUMENTS = re.compile(r"(?:Args|Arguments|Parameters):?")
_ARGUMENT = re.compile(r"\*{0,2}(?P<name>\w+)\s*(?:\([^)]*\))?\s*:\s*(?P<text>.*)")
_FIELD = re.compile(r":(?:param|raises?|returns?|rtype|type|yields?)\b(?:[^:]*?(?P<name>\w+))?:\s*(?P<text>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """The prose before all sections, and what is said of each argument, in the styles of Google and Sphinx."""

    prose: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])


def docstring_of(function: Callable[..., object]) -> Docstring:
    lines = (inspect.getdoc(function) or "").splitlines()
    end = next(
        (n for n, line in enumerate(lines) if _SECTION.fullmatch(line.strip()) or _FIELD.match(line)), len(lines)
    )
    prose = "\n".join(lines[:end]).strip()
    return Docstring(prose=prose, arguments=_arguments(lines[end:]))


def _arguments(lines: list[str]) -> dict[str, str]:
    told: dict[str, str] = {}
    is_inside, name, depth = False, "", 0
    for line in lines:
        text, indent = line.strip(), len(line) - len(line.lstrip())
        if (sphinx := _FIELD.match(text)) is not None:
            is_inside, name = False, ""
            if text.startswith(":param") and sphinx["name"]:
                name, told[sphinx["name"]] = sphinx["name"], sphinx["text"]
        elif not indent and _SECTION.fullmatch(text):
            is_inside, name, depth = _ARGUMENTS.fullmatch(text) is not None, "", 0
        elif is_inside and (indent <= depth or not name) and (found := _ARGUMENT.fullmatch(text)) is not None:
            name, depth, told[found["name"]] = found["name"], indent, found["text"]
        elif name and text:
            told[name] = f"{told[name]} {text}".strip()
    return told
