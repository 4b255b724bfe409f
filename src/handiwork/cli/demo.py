"""The command `demo`: the sample conversation played live, its files put where a person can open them.

What is asked and made is in `handiwork.demo.conversation`.
"""

import asyncio
from datetime import datetime
from pathlib import Path

from rich.console import Console

from handiwork import wiring
from handiwork.cli.failures import DONE, FAILED
from handiwork.cli.files import write_new
from handiwork.cli.outcome import print_execution
from handiwork.cli.printing import format_word, print_json, print_table, progress, results, say, size
from handiwork.demo.conversation import Turn, play
from handiwork.engine import Session
from handiwork.model import Artifact, Execution
from handiwork.settings import load
from handiwork.shapes import artifact_shape

FOLDER = "handiwork-demo"


def run(*, as_json: bool, data: str | None) -> int:
    """Play the conversation in a session of its own and return the exit code."""
    return asyncio.run(_run(as_json=as_json, folder=Path(data or FOLDER)))


async def _run(*, as_json: bool, folder: Path) -> int:
    name = f"demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    console = Console(quiet=True) if as_json else results()
    async with wiring.open(folder, settings=load()) as engine:
        session = engine.session(name)
        last = await _play(session, console)
        artifacts = (await session.list()).items[::-1]
        files = folder / "files" / name
        files.mkdir(parents=True)
        paths = {a.id: await write_new(files, a.name, session.stream(a.id)) for a in artifacts}
    if as_json:
        made = [artifact_shape(a) | {"path": str(paths[a.id])} for a in artifacts]
        print_json({"session": name, "gallery": None, "artifacts": made})
    else:
        if not last.ok:
            print_execution(last, {}, has_handles=True)
        _print_made(console, artifacts, files)
    return DONE if last.ok else FAILED


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
    facts = f"  ({outcome.duration_ms / 1000:.2f} s, isolation {outcome.isolation.level})"
    say(console, ("agent  ", "bold green"), f"{made or outcome.status}", (facts, "dim"))


def _print_made(console: Console, artifacts: tuple[Artifact, ...], files: Path) -> None:
    rows = [(a.name, a.category, format_word(a), size(a.size), a.handle) for a in artifacts]
    print_table(console, "Made", ("name", "category", "format", "size", "handle"), rows, right=("size",))
    say(console, "\nThe files are in ", (str(files), "bold"), ".")
    say(console, f"The store has them too: handiwork ls --data {files.parents[1]} --session {files.name}")
