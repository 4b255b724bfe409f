"""How a stream of events is spelled: in our own frames, or folded into those of another protocol.

Here, and nowhere else, is looked up what such a protocol shows of an artifact beside its events. What it says of that
is known to `wires`, and when what is sent to `streams`.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from handiwork.errors import ArtifactExpired, ArtifactNotFound, CursorTooOld, HandiworkError, VersionNotFound
from handiwork.events import Event, Settled, Told
from handiwork.ids import nanoid
from handiwork.model import Artifact, Scope
from handiwork.server.artifacts import shape_of, whole_shape
from handiwork.server.desk import Desk
from handiwork.server.problems import problem_of
from handiwork.shapes import Shape
from handiwork.wires.a2a import A2A
from handiwork.wires.ag_ui import AgUi
from handiwork.wires.ai_sdk import AiSdk
from handiwork.wires.frames import (
    RETRY,
    Frames,
    PassingFrames,
    server_sent,
    server_sent_passing,
    server_sent_resync,
    server_sent_shapes,
)
from handiwork.wires.wire import Look, Wire

Format = Literal["handiwork", "ag-ui", "ai-sdk", "a2a"]
LISTED_TOGETHER = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An artifact that is told without its events, or after the last of them the cursor to go on from."""

    artifact: Artifact | None = None
    seq: int | None = None


class Spelling(Protocol):
    """What goes over one stream of server-sent events; what it gives to send may be empty."""

    @property
    def headers(self) -> Mapping[str, str]: ...
    def begin(self) -> bytes: ...
    async def tell(self, told: Told | Listed) -> bytes: ...
    def break_off(self, failure: HandiworkError) -> bytes:
        """Return what is said last on a stream that cannot go on."""
        ...

    def end(self) -> bytes:
        """Return what is said last when the server stops."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Our own frames, which are shared by all who follow."""

    frames: Frames[bytes] = field(default_factory=lambda: Frames(server_sent))
    passing: PassingFrames[bytes] = field(default_factory=lambda: PassingFrames(server_sent_passing))

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    def begin(self) -> bytes:
        return RETRY

    async def tell(self, told: Told | Listed) -> bytes:
        match told:
            case Event():
                return self.frames.of(told)
            case Settled() | Listed():
                return b""
            case _:
                return self.passing.of(told)

    def break_off(self, failure: HandiworkError) -> bytes:
        # A client that comes back is told what else is wrong.
        return server_sent_resync(failure) if isinstance(failure, CursorTooOld) else b""

    def end(self) -> bytes:
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """The frames of another protocol, for one client."""

    wire: Wire
    desk: Desk
    scope: Scope

    @property
    def headers(self) -> Mapping[str, str]:
        return self.wire.headers

    def begin(self) -> bytes:
        return RETRY + server_sent_shapes(self.wire.begin())

    async def tell(self, told: Told | Listed) -> bytes:
        if isinstance(told, Listed):
            artifact = told.artifact
            shapes = () if artifact is None else self.wire.list(await whole_shape(self.desk, artifact))
            return server_sent_shapes(shapes, seq=told.seq)
        look = self.wire.look(told)
        seen = None if look is None else await self._seen(look)
        return server_sent_shapes(self.wire.tell(told, seen), seq=told.seq if isinstance(told, Event) else None)

    def break_off(self, failure: HandiworkError) -> bytes:
        problem = problem_of(failure)[1]
        return server_sent_shapes(self.wire.break_off(failure.code, str(problem["detail"]))) + self.wire.last_words

    def end(self) -> bytes:
        return server_sent_shapes(self.wire.end()) + self.wire.last_words

    async def listed(self) -> AsyncGenerator[Listed]:
        """Yield every artifact of the session, the newest first, for a client that cannot be told how they came."""
        seq, cursor = None, None
        while True:
            page = await self.desk.engine.records.page(self.scope, limit=LISTED_TOGETHER, cursor=cursor)
            seq, cursor = page.seq if seq is None else seq, page.next_cursor
            for artifact in page.items:
                yield Listed(artifact=artifact)
            if cursor is None:
                break
        yield Listed(seq=seq)

    async def _seen(self, look: Look) -> Shape | None:
        try:
            artifact = (await self.desk.engine.find(self.scope, look.artifact_id, version=look.version)).artifact
        except (ArtifactNotFound, VersionNotFound, ArtifactExpired):
            return None
        return await whole_shape(self.desk, artifact) if look.is_whole else shape_of(artifact)


def spelling_of(format_: Format, *, desk: Desk, scope: Scope, after: int, own: Own) -> Spelling:
    """Return how one client is told what happens in a session after its cursor."""
    match format_:
        case "handiwork":
            return own
        case "ag-ui":
            wire: Wire = AgUi(scope.session, run_id=f"run_{nanoid()}")
        case "ai-sdk":
            wire = AiSdk(scope.session)
        case "a2a":
            wire = A2A(scope.session, public=desk.origins.public, is_resumed=after > 0)
    return Projected(wire=wire, desk=desk, scope=scope)
