"""What a reader gets to see instead of a reference: content, a picture, a link, a summary or the reference itself.

How references are found in a text is known to the expander. Whatever is revealed comes from one session alone, since
it is asked for through that session's own verbs.
"""

import re
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from handiwork.context.expander import Revealed
from handiwork.errors import HandiworkError, InvalidName
from handiwork.model import TOOL_RESULT, Artifact
from handiwork.quantities import counted
from handiwork.references import Reference, cleaned
from handiwork.types.image import SCHEME, is_reference, reference_in
from handiwork.versions.excerpts import is_text
from handiwork.versions.selection import Selection

Audience = Literal["user", "agent", "model"]
Reveal = Literal["none", "summary", "full"]
Shown = Literal["inline", "attachment", "view"]

LONGEST_NAME = 150
LINK_SECONDS = 3600
"""How long an address works that a user is given in a text."""

# What a deployment shows as a file, whatever is in it.
_FILES = frozenset({"file", TOOL_RESULT})
_PROSE = frozenset({"text/markdown", "text/plain"})
_INFO = re.compile(r"[A-Za-z0-9_+#.-]{1,32}")
_INFOS = {
    "application/json": "json",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "markdown",
    "text/tab-separated-values": "tsv",
}
_MARKED = re.compile(r"([\\\[\]`*<&])")


class Reading(Protocol):
    """The verbs of a session by which an artifact is looked at and read."""

    async def get(self, reference: str, *, version: int | None = None) -> Artifact: ...
    async def select(
        self, reference: str, selector: str | None = None, *, version: int | None = None, budget: int = ...
    ) -> Selection: ...


class Linking(Protocol):
    """Makes addresses at which a version can be had without a key for a while. Raises a `HandiworkError` if not."""

    async def __call__(self, artifact: Artifact, shown: Shown, /) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealing:
    """Reveals the artifacts of one session to one kind of reader; keeps the expander's `Resolver` promises.

    A user sees content, pictures and links; a model a short reference and never an address; another agent as much as
    `reveal` says: the bare reference, the reference with its summary, or text in full.
    """

    reading: Reading
    audience: Audience = "user"
    reveal: Reveal = "summary"
    link: Linking | None = None

    def __post_init__(self) -> None:
        demand_reader(self.audience, self.reveal)

    async def __call__(self, reference: Reference, /, *, room: int) -> Revealed | None:
        artifact = await self.reading.get(reference.id, version=reference.version)
        match self.audience:
            case "user":
                return await self._for_user(artifact, reference, room)
            case "agent" if self.reveal == "none":
                return Revealed(text=str(Reference(artifact.handle, reference.version, reference.select)))
            case "agent" if self.reveal == "full" and is_text(artifact.media_type):
                return await self._text(artifact, reference, room, fence=_info(artifact), is_closed_in=True)
            case _:
                return Revealed(text=str(short(artifact, reference)))

    async def _for_user(self, artifact: Artifact, reference: Reference, room: int) -> Revealed:
        artifact = await self._pictured(artifact)
        if artifact.category == "image" and not is_text(artifact.media_type.removesuffix("+xml")):
            return Revealed(text=await self._picture(artifact))
        is_page = artifact.media_type == "text/html"
        is_file = artifact.type in _FILES or not is_text(artifact.media_type)
        if is_page or (is_file and reference.select is None):
            return Revealed(text=await self._linked(artifact, "view" if is_page else "attachment"))
        is_prose = artifact.media_type in _PROSE and artifact.version.language is None
        return await self._text(artifact, reference, room, fence=None if is_prose else _info(artifact))

    async def _picture(self, artifact: Artifact) -> str:
        linked = await self._linked(artifact, "inline")
        return linked if SCHEME in linked else f"!{linked}"

    async def _pictured(self, artifact: Artifact) -> Artifact:
        """Return the picture that an image refers to, one step far, or the artifact itself."""
        if not is_reference(artifact):
            return artifact
        content = await self.reading.select(artifact.id, version=artifact.version.number)
        named = reference_in(content.text.encode())
        return artifact if named is None else await self.reading.get(named)

    async def _linked(self, artifact: Artifact, shown: Shown) -> str:
        address = f"{SCHEME}{artifact.id}"
        if self.link is not None:
            try:
                address = await self.link(artifact, shown)
            except HandiworkError:
                # Who may read it, but may make no links, still learns what it is.
                address = f"{SCHEME}{artifact.id}"
        return f"[{_escaped(artifact.name)}]({address})"

    async def _text(
        self, artifact: Artifact, reference: Reference, room: int, *, fence: str | None, is_closed_in: bool = False
    ) -> Revealed:
        number = artifact.version.number
        found = await self.reading.select(artifact.id, reference.select, version=number, budget=room)
        note = ""
        if found.is_cut:
            rest = "" if found.continuation is None else f"; the rest is at select `{found.continuation}`"
            note = f"[cut here: `{artifact.handle}` has {counted(artifact.size, 'byte')}{rest}]"
        return Revealed(text=found.text, fence=fence, is_closed_in=is_closed_in, note=note)


def demand_reader(audience: str, reveal: str) -> None:
    """Raise `InvalidName` for an audience, or a policy for other agents, that there is not."""
    for what, said, known in (("audience", audience, get_args(Audience)), ("reveal", reveal, get_args(Reveal))):
        if said not in known:
            raise InvalidName(what, str(said)[:60], expected=f"one of {', '.join(f'`{each}`' for each in known)}")


def short(artifact: Artifact, reference: Reference | None = None) -> Reference:
    """Return the reference to an artifact that says what it is, and names what another reference named of it."""
    version, select = (reference.version, reference.select) if reference is not None else (None, None)
    return Reference(artifact.handle, version, select, artifact.version.summary)


def _info(artifact: Artifact) -> str:
    language = artifact.version.language or ""
    return language if _INFO.fullmatch(language) else _INFOS.get(artifact.media_type.partition(";")[0], "")


def _escaped(name: str) -> str:
    return _MARKED.sub(r"\\\1", cleaned(name, longest=LONGEST_NAME))
