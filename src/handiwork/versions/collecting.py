"""What an agent wrote and its tools declared, kept as artifacts: all that is found in one output, or none of it.

What is found is known to `collect`. The same content is kept once in a session, however often it is collected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from handiwork.characters import whole_characters
from handiwork.collect.declaration import declared, items_of
from handiwork.collect.extraction import extracted
from handiwork.collect.found import Found
from handiwork.collect.naming import NO_LANGUAGE
from handiwork.errors import AlreadyPromoted, HandiworkError, InvalidContent, InvalidLimit, NotCollected
from handiwork.media.names import clean_name
from handiwork.model import Artifact, Provenance, Scope
from handiwork.store.promotions import Promotions
from handiwork.store.records import Promotion
from handiwork.tasks import in_thread
from handiwork.types.artifact_type import LONGEST_LANGUAGE
from handiwork.types.registry import Registry
from handiwork.versions.creation import Creation
from handiwork.versions.drafts import Draft, content_of
from handiwork.versions.notes import LONGEST_TITLE
from handiwork.versions.tool_results import demand_tool_call_id

MOST_FOUND = 200
LARGEST_ITERATION = 1_000_000
QUICK_CHARACTERS = 64 * 1024
ATTEMPTS = 8
# No tool call has such an id, since it is not printable.
_MARK = "collected\n"
_TYPES = {"code": "code", "markdown": "markdown", "answer": "markdown", "table": "csv"}
_OTHER = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What an agent has put out: its text, and what a tool told beside its answer."""

    text: str = ""
    metadata: object = None
    iteration: int = 0
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What an output has come to, in its order, and whether any of it was made just now."""

    artifacts: tuple[Artifact, ...]
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collecting:
    """Keeps what is found in outputs, in one store."""

    creation: Creation
    promotions: Promotions
    types: Registry

    async def collect(self, scope: Scope, output: Output) -> Collected:
        """Keep what is found in an output; what the session has kept of earlier ones is returned as it is now.

        Raises:
            NotCollected: something of it cannot be kept; the error says which. Nothing was stored.
            InvalidContent, InvalidLimit, InvalidName: there is too much of it, or no such iteration or tool call.
            QuotaExceeded, StorageFull, ProducingDisabled: there is no room for it.
        """
        since = self.creation.clock()
        _demand(output)
        is_quick = output.metadata is None and len(output.text) <= QUICK_CHARACTERS
        found = _found(output) if is_quick else await in_thread(_found, output)
        if len(found) > MOST_FOUND:
            raise InvalidContent("output", expected=f"at most {MOST_FOUND} blocks and documents", got=f"{len(found):,}")
        # The same content twice is one artifact.
        wanted = {each.mark(): each for each in reversed(found)}
        if found:
            self.creation.admission.demand_enabled()
        for attempt in range(ATTEMPTS):
            kept = {mark: await self._kept(scope, each) for mark, each in wanted.items()}
            fresh = [mark for mark in dict.fromkeys(each.mark() for each in found) if kept[mark] is None]
            try:
                drafts = [await self._draft(found, wanted[mark], output) for mark in fresh]
                promotions = tuple(_promotion(mark, wanted[mark]) for mark in fresh)
                made = await self.creation.file(scope, drafts, since=since, promotes=promotions) if drafts else ()
            except AlreadyPromoted:
                # Somebody has collected the same meanwhile.
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            artifacts = {mark: artifact for mark, artifact in kept.items() if artifact is not None}
            artifacts |= dict(zip(fresh, made, strict=True))
            ordered = dict.fromkeys(each.mark() for each in found)
            return Collected(artifacts=tuple(artifacts[mark] for mark in ordered), is_new=bool(made))
        raise AssertionError("the last attempt returns or raises")

    async def _kept(self, scope: Scope, found: Found) -> Artifact | None:
        """Return what the session has kept of this: of an answer, also the document with the same content."""
        kept = await self.promotions.promoted(scope, _promotion(found.mark(), found))
        if kept is not None or found.kind != "answer":
            return kept
        document = replace(found, kind="markdown")
        return await self.promotions.promoted(scope, _promotion(document.mark(), document))

    async def _draft(self, found: Sequence[Found], each: Found, output: Output) -> Draft:
        type_ = self.types.named(_TYPES.get(each.kind, _OTHER))
        try:
            draft = Draft(
                type=type_,
                content=content_of(each.content, type_),
                name=clean_name(each.name),
                title=_title(each),
                language=_language(each) if type_.has_language else None,
                metadata={**each.metadata, "source": "collect", "kind": each.kind, "iteration": output.iteration},
                provenance=output.provenance,
            )
            await self.creation.admission.examined([draft])
        except HandiworkError as refused:
            place = next(number for number, other in enumerate(found, 1) if other is each)
            raise NotCollected(
                clean_name(each.name),
                number=place,
                of=len(found),
                problem=str(refused),
                reason=refused.code,
                hint=refused.hint,
            ) from refused
        return draft


def _demand(output: Output) -> None:
    if not isinstance(output.text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise InvalidContent("output", expected="text", got=f"a `{type(output.text).__name__}`")
    number = output.iteration
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= LARGEST_ITERATION:  # pyright: ignore[reportUnnecessaryIsInstance]  # likewise
        expected = f"a whole number from 0 to {LARGEST_ITERATION:,}"
        raise InvalidLimit("iteration", str(number)[:60], expected=expected)
    if output.provenance.tool_call_id is not None:
        demand_tool_call_id(output.provenance.tool_call_id)


def _found(output: Output) -> list[Found]:
    found = extracted(whole_characters(output.text), iteration=output.iteration)
    read = 0
    try:
        for item in items_of(output.metadata):
            read += 1
            if (each := declared(item, iteration=output.iteration)) is not None:
                found.append(each)
    except (Exception, SystemExit) as failure:  # values of callers without types fail in any way when they are read
        expected, got = "values that can be read as text", type(failure).__name__
        raise InvalidContent(f"metadata {read or 1}", expected=expected, got=got) from failure
    return found


def _promotion(mark: str, found: Found) -> Promotion:
    return Promotion(tool_call_id=_MARK + mark, type=_TYPES.get(found.kind, _OTHER))


def _language(found: Found) -> str | None:
    """Return the language; for one that nobody can read nothing else is refused."""
    language = found.language or NO_LANGUAGE
    is_one = language != NO_LANGUAGE and len(language) <= LONGEST_LANGUAGE and language.isprintable()
    return language if is_one else None


def _title(found: Found) -> str | None:
    """Return the heading of a document; what else is found is called like its file."""
    if found.kind != "markdown":
        return None
    heading = found.content.partition("\n")[0].strip("# \t")[:LONGEST_TITLE]
    return heading or None
