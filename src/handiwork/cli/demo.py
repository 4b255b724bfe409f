"""The command `demo`: the sample conversation played live, its files put where a person can open them, then shown.

What is asked and made is in `handiwork.demo.conversation`; the gallery that shows it is the server's.
"""

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from handiwork import wiring
from handiwork.cli.failures import DONE, FAILED
from handiwork.cli.files import write_new
from handiwork.cli.printing import format_word, one_line, print_json, print_table, progress, results, say, size
from handiwork.cli.remarks import remarks
from handiwork.demo.conversation import ASKS, Agent, Answered, Asked, Called, Calling, Edited, Moment, play
from handiwork.engine import Engine
from handiwork.errors import ExtraMissing
from handiwork.ids import ArtifactId
from handiwork.model import TOOL_RESULT, Artifact
from handiwork.session import Session
from handiwork.settings import load
from handiwork.shapes import artifact_shape

FOLDER = "handiwork-demo"
PORT = 8765
LOOPBACK = "127.0.0.1"

_INDENT = 7
_LONGEST_SAID = 100
_MOST_NAMED = 4
# Links and pictures lead to addresses that a terminal has no use for.
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for; without a `model` the agent is a script, and `port` None is the usual one, or a free one."""

    is_once: bool = False
    model: str | None = None
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
    problem: str | None
    """What the last call that failed has answered, when the conversation could not go on."""
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
        played = await _played(engine, console, request)
    _print(console, request, played, gallery=None)
    return DONE if played.problem is None else FAILED


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
                played = await _played(desk.engine, console, request)
                gallery = f"{public.url}/#session={quote(played.session, safe='')}"

                async def announce() -> None:
                    _print(console, request, played, gallery=gallery)

                await answer_until_told(desk, public=public, content=content, announce=announce)
        return DONE if played.problem is None else FAILED

    with contextlib.ExitStack() as stack:
        claimed = claim_any(LOOPBACK, PORT) if request.port is None else claim(LOOPBACK, request.port)
        public = stack.enter_context(claimed)
        content = stack.enter_context(claim_any(LOOPBACK, 0))
        return run_quickly(main)


def _console(request: Request) -> Console:
    return Console(quiet=True) if request.as_json else results()


async def _played(engine: Engine, console: Console, request: Request) -> Played:
    name = f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    session = engine.session(name)
    problem = await _play(session, _agent(request.model), console)
    # What tools have answered is kept for a while only, and nobody's file.
    artifacts = [each for each in (await session.list()).items[::-1] if each.type != TOOL_RESULT]
    files = request.folder / "files" / name
    files.mkdir(parents=True)
    paths = {a.id: await write_new(files, a.name, session.stream(a.id)) for a in artifacts}
    return Played(session=name, problem=problem, artifacts=artifacts, files=files, paths=paths)


def _agent(model: str | None) -> Agent:
    # A framework of agents is loaded by who has a model.
    if model is None:
        from handiwork.demo.scripted import Script

        return Script()
    try:
        from handiwork.demo.modelled import Modelled
    except ModuleNotFoundError as missing:
        raise ExtraMissing("pydantic-ai", why="models are asked through it") from missing

    return Modelled(model)


async def _play(session: Session, agent: Agent, console: Console) -> str | None:
    failed: Called | None = None
    say(console, ("A conversation on real data: daily weather of Seattle and New York, 2012 to 2015.", "bold"))
    with progress("Starting the sandbox") as stage:
        async for moment in play(session, agent):
            match moment:
                case Asked(number=number):
                    stage(f"{number} of {len(ASKS)}")
                case Calling(tool=tool):
                    stage(tool)
                case Called():
                    failed = moment if moment.answer.is_error else None
                case _:
                    pass
            _print_moment(console, moment)
    return failed.answer.text if failed is not None else None


def _print_moment(console: Console, moment: Moment) -> None:
    match moment:
        case Asked():
            _print_turn(console, ("\nuser   ", "bold cyan"), moment.text)
        case Edited():
            say(console, ("\nuser   ", "bold cyan"), (f"edits {moment.artifact.name}", "italic"))
        case Called():
            made = ", ".join(artifact.name for artifact in moment.answer.artifacts[:_MOST_NAMED])
            rest = len(moment.answer.artifacts) - _MOST_NAMED
            made += f" and {rest} more" if rest > 0 else ""
            # What made nothing by itself has said something, such as the reference to a text that was handed over.
            made = made or one_line(moment.answer.text.partition("\n")[0])[:_LONGEST_SAID]
            say(console, ("tool   ", "bold yellow"), f"{moment.tool}  ", made, (f"  ({_facts(moment)})", "dim"))
        case Answered():
            _print_turn(console, ("agent  ", "bold green"), _LINK.sub(r"\1", moment.shown))
        case Calling():
            pass


def _print_turn(console: Console, who: tuple[str, str], text: str) -> None:
    first, *rest = text.rstrip("\n").split("\n")
    say(console, who, first)
    for line in rest:
        say(console, " " * _INDENT, line)


def _facts(called: Called) -> str:
    facts = [f"{called.seconds:.2f} s"]
    if called.execution is not None and called.execution.outcome.isolation is not None:
        facts.append(f"isolation {called.execution.outcome.isolation.level}")
    return ", ".join(facts)


def _print(console: Console, request: Request, played: Played, *, gallery: str | None) -> None:
    if request.as_json:
        made = [artifact_shape(a) | {"path": str(played.paths[a.id])} for a in played.artifacts]
        print_json({"session": played.session, "gallery": gallery, "artifacts": made})
    else:
        if played.problem is not None:
            say(console, "\n", (played.problem, "red"))
        _print_made(console, request, played)
        if gallery is not None:
            say(console, "\nSee them in the gallery: ", (gallery, "bold underline"))
            say(console, ("Ctrl-C stops it.", "dim"))
    console.file.flush()


def _print_made(console: Console, request: Request, played: Played) -> None:
    brought: list[Artifact] = []
    made: list[Artifact] = []
    for each in played.artifacts:
        (brought if _is_brought(each) else made).append(each)
    for title, artifacts in (("Brought along", brought), ("Made", made)):
        rows = [(a.name, a.category, format_word(a), size(a.size), a.handle) for a in artifacts]
        print_table(console, title, ("name", "category", "format", "size", "handle"), rows, right=("size",))
    say(console, "\nThe files are in ", (str(played.files), "bold"), ".")
    say(console, f"The store has them too: handiwork ls --data {request.folder} --session {played.session}")


def _is_brought(artifact: Artifact) -> bool:
    """Tell whether the user has put it in: what an agent has made and a user has edited is a later version."""
    return artifact.version.number == 1 and artifact.version.provenance.principal.kind == "user"
