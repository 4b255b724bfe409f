"""The command `demo`: the sample conversation played live, its files put where a person can open them, then shown.

What is asked and made is in `handiwork.demo.conversation`; the gallery that shows it is the server's.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from handiwork import wiring
from handiwork.cli.failures import DONE, FAILED
from handiwork.cli.files import write_new
from handiwork.cli.outcome import print_execution
from handiwork.cli.printing import format_word, print_json, print_table, progress, results, say, size
from handiwork.cli.remarks import remarks
from handiwork.demo.conversation import Turn, play
from handiwork.engine import Engine
from handiwork.ids import ArtifactId
from handiwork.model import Artifact, Execution
from handiwork.session import Session
from handiwork.settings import load
from handiwork.shapes import artifact_shape

FOLDER = "handiwork-demo"
PORT = 8765
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for; `port` None is the usual one, or a free one where that is taken."""

    is_once: bool = False
    data: str | None = None
    port: int | None = None
    as_json: bool = False

    @property
    def folder(self) -> Path:
        return Path(self.data or FOLDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of the conversation, and where its files are."""

    session: str
    last: Execution
    artifacts: Sequence[Artifact]
    files: Path
    paths: Mapping[ArtifactId, Path]


def run(request: Request) -> int:
    """Play the conversation in a session of its own, then serve the gallery; return the exit code."""
    if request.is_once:
        return asyncio.run(_play_once(request))
    return _play_and_serve(request)


async def _play_once(request: Request) -> int:
    console = _console(request)
    async with wiring.open(request.folder, settings=load()) as engine:
        played = await _played(engine, console, request.folder)
    _print(console, request, played, gallery=None)
    return DONE if played.last.ok else FAILED


def _play_and_serve(request: Request) -> int:
    # The web server is imported by who serves alone.
    from handiwork.server.desk import Origins
    from handiwork.server.serving import answer_until_told, claim, claim_any, run_quickly

    settings = load()

    async def main() -> int:
        # Whatever the configuration says of the world outside: the demo is for who sits here.
        console, origins = _console(request), Origins(public=public.url, content=content.url)
        opened = wiring.open_desk(request.folder, settings=settings, origins=origins, is_open=True)
        with remarks():
            async with opened as desk:
                played = await _played(desk.engine, console, request.folder)
                gallery = f"{public.url}/#session={quote(played.session, safe='')}"

                async def announce() -> None:
                    _print(console, request, played, gallery=gallery)

                await answer_until_told(desk, public=public, content=content, announce=announce)
        return DONE if played.last.ok else FAILED

    with contextlib.ExitStack() as stack:
        claimed = claim_any(LOOPBACK, PORT) if request.port is None else claim(LOOPBACK, request.port)
        public = stack.enter_context(claimed)
        content = stack.enter_context(claim_any(LOOPBACK, 0))
        return run_quickly(main)


def _console(request: Request) -> Console:
    return Console(quiet=True) if request.as_json else results()


async def _played(engine: Engine, console: Console, folder: Path) -> Played:
    name = f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    session = engine.session(name)
    last = await _play(session, console)
    artifacts = (await session.list()).items[::-1]
    files = folder / "files" / name
    files.mkdir(parents=True)
    paths = {a.id: await write_new(files, a.name, session.stream(a.id)) for a in artifacts}
    return Played(session=name, last=last, artifacts=artifacts, files=files, paths=paths)


async def _play(session: Session, console: Console) -> Execution:
    last: Execution | None = None
    say(console, ("A conversation on real data: daily weather of Seattle and New York, 2012 to 2015.", "bold"))
    with progress("Starting the sandbox") as stage:
        async for turn in play(session):
            stage(f"{turn.number} of {turn.total}: {turn.step.program}")
            _print_turn(console, turn)
            last = turn.execution or last
    assert last is not None
    return last


def _print_turn(console: Console, turn: Turn) -> None:
    if turn.execution is None:
        say(console, ("\nuser   ", "bold cyan"), turn.step.ask)
        return
    outcome = turn.execution.outcome
    made = ", ".join(artifact.name for artifact in turn.execution.artifacts)
    level = outcome.isolation.level if outcome.isolation is not None else "none"
    facts = f"  ({outcome.duration_ms / 1000:.2f} s, isolation {level})"
    say(console, ("agent  ", "bold green"), f"{made or outcome.status}", (facts, "dim"))


def _print(console: Console, request: Request, played: Played, *, gallery: str | None) -> None:
    if request.as_json:
        made = [artifact_shape(a) | {"path": str(played.paths[a.id])} for a in played.artifacts]
        print_json({"session": played.session, "gallery": gallery, "artifacts": made})
    else:
        if not played.last.ok:
            print_execution(played.last, {}, has_handles=True)
        _print_made(console, request, played)
        if gallery is not None:
            say(console, "\nSee them in the gallery: ", (gallery, "bold underline"))
            say(console, ("Ctrl-C stops it.", "dim"))
    console.file.flush()


def _print_made(console: Console, request: Request, played: Played) -> None:
    rows = [(a.name, a.category, format_word(a), size(a.size), a.handle) for a in played.artifacts]
    print_table(console, "Made", ("name", "category", "format", "size", "handle"), rows, right=("size",))
    say(console, "\nThe files are in ", (str(played.files), "bold"), ".")
    say(console, f"The store has them too: handiwork ls --data {request.folder} --session {played.session}")
