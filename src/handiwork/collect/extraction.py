"""What the text of an agent holds that is worth keeping: its code blocks, and the document around them if it is one.

The text may come in pieces. How blocks are found is known to the two rules; what is kept of it all to `collector`.
"""

from typing import Literal

from handiwork.collect.block import Block, Rule
from handiwork.collect.fences import CommonMarkFences
from handiwork.collect.found import Found
from handiwork.collect.legacy import LegacyFences
from handiwork.collect.naming import NO_LANGUAGE, block_name, document_name
from handiwork.errors import InvalidName
from handiwork.references import cleaned

FencesRule = Literal["commonmark", "legacy"]
SHORTEST_DOCUMENT = 201
LONGEST_LANGUAGE = 60
LONGEST_INFO = 200
_LOST = "\ufffd"

_RULES: dict[FencesRule, type[Rule]] = {"commonmark": CommonMarkFences, "legacy": LegacyFences}


class Extraction:
    """Takes one output apart. What it finds is the same however the text is cut into pieces."""

    def __init__(self, *, iteration: int = 0, fences: FencesRule = "commonmark") -> None:
        """Take the rule by which fences are found. Raises `InvalidName` for another one."""
        self._iteration = iteration
        self._rule = demand_rule(fences)()
        self._count = 0

    def feed(self, text: str) -> list[Found]:
        """Take the next piece, and return the blocks that it ends."""
        return self._found(self._rule.feed(text))

    def close(self) -> list[Found]:
        """Return what the end of the text makes whole: a block that was open, then the document around all blocks."""
        found = self._found(self._rule.close())
        document = self._rule.outside().strip()
        if document.startswith("#") and len(document) >= SHORTEST_DOCUMENT:
            found.append(Found(kind="markdown", name=document_name(self._iteration, document), content=document))
        return found

    def _found(self, blocks: list[Block]) -> list[Found]:
        found: list[Found] = []
        for block in blocks:
            body = block.body.rstrip("\n")
            if not body:
                continue
            self._count += 1
            language, metadata = _told(block.info)
            if not block.is_closed:
                metadata["unterminated"] = True
            name = block_name(self._iteration, self._count, language)
            found.append(Found(kind="code", name=name, content=body, language=language, metadata=metadata))
        return found


def _told(info: str) -> tuple[str, dict[str, object]]:
    """Return the language that an info string begins with, and what else it says."""
    if not info.isprintable():
        seen = cleaned(info, longest=LONGEST_INFO)
        info = "".join(each if each.isprintable() else _LOST for each in seen)
    language, *more = info.split(maxsplit=1)[:2] or [NO_LANGUAGE]
    language = language.lower()
    if len(language) > LONGEST_LANGUAGE or not language.isprintable() or _LOST in language:
        language, more = NO_LANGUAGE, [info]
    return language, {"info": more[0][:LONGEST_INFO]} if more else {}


def demand_rule(fences: str) -> type[Rule]:
    """Return the rule of this name. Raises `InvalidName`."""
    for name, rule in _RULES.items():
        if name == fences:
            return rule
    raise InvalidName("rule of fences", str(fences)[:60], expected="`commonmark` or `legacy`")


def extracted(text: str, *, iteration: int = 0, fences: FencesRule = "commonmark") -> list[Found]:
    """Return all that is worth keeping of a whole text."""
    extraction = Extraction(iteration=iteration, fences=fences)
    return [*extraction.feed(text), *extraction.close()]
