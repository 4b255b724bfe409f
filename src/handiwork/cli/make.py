"""The command `make`: a model is told what to make, works with the tools of a session, and its files are put down here.

How a model pursues its goal is known to `autopilot`, and what its programs may do to the sandbox.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handiwork import wiring
from handiwork.autopilot.goal import Goal
from handiwork.autopilot.pilot import Autopilot
from handiwork.cli.failures import DONE, FAILED, ModelNeeded, missing_file
from handiwork.cli.files import demand_folder, write_new
from handiwork.cli.printing import (
    format_word,
    notes,
    one_line,
    print_json,
    print_table,
    print_text,
    progress,
    results,
    say,
    size,
)
from handiwork.context.expander import Expander, Revealed
from handiwork.context.revealing import Revealing
from handiwork.ids import ArtifactId
from handiwork.model import TOOL_RESULT, Artifact
from handiwork.references import Reference
from handiwork.session import Session
from handiwork.settings import Settings, load
from handiwork.shapes import artifact_shape
from handiwork.types.image import SCHEME

SESSION = "make"
MOST_MADE = 1000
MOST_SHOWN = 60
ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointing:
    """Puts the path of a file in the place of a reference to it, and the content in that of another; for an expander.

    An address of the store would lead nowhere: the store is gone when the text is read.
    """

    session: Session
    paths: Mapping[tuple[ArtifactId, int], str]
    """By the id of the artifact and the number of the version."""

    async def __call__(self, reference: Reference, /, *, room: int) -> Revealed | None:
        artifact = await self.session.get(reference.id, version=reference.version)
        path = self.paths.get((artifact.id, artifact.version.number))
        if path is not None and reference.select is None:
            return Revealed(text=path)
        revealed = await Revealing(reading=self.session)(reference, room=room)
        is_address = revealed is not None and revealed.text.endswith(f"]({SCHEME}{artifact.id})")
        return Revealed(text=one_line(artifact.name)) if is_address else revealed


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for, as it was written."""

    objective: str
    inputs: tuple[str, ...] = ()
    model: str | None = None
    out: str | None = None
    as_json: bool = False


def run(request: Request) -> int:
    """Let the model work, and return the exit code: 1 where it did not come to an end."""
    settings = load()
    model = request.model or settings.model
    if model is None:
        raise ModelNeeded
    for each in request.inputs:
        if not Path(each).is_file():
            raise missing_file(each)
    demand_folder(Path(request.out or "."))
    return asyncio.run(_run(request, settings, model))


async def _run(request: Request, settings: Settings, model: str) -> int:
    with progress("Opening the store") as stage:
        async with wiring.open_throwaway(settings=settings) as engine:
            session = engine.session(SESSION)
            inputs = [await session.create("file", content=Path(each)) for each in request.inputs]
            goal = Goal(_asked(request.objective, inputs))
            autopilot = Autopilot(llm=model, goal=goal, artifacts=True, session=session)
            stage(f"Asking {model}")
            told: dict[str, Any] = {}
            async for event in autopilot.astream():
                match event["kind"]:
                    case "autopilot.artifact" if event["artifact_kind"] != ANSWER:
                        stage(f"Made {event['name'][:MOST_SHOWN]}")
                    case "autopilot.result":
                        told = event
                    case _:
                        pass
            stage("Writing the files")
            made = await _made(session, but=inputs)
            folder = Path(request.out or ".")
            paths: dict[str, str] = {}
            for each in made:
                paths[each.id] = str(await write_new(folder, each.name, session.stream(each.id)))
            given = dict(zip((each.id for each in inputs), request.inputs, strict=True))
            told["output"] = await _pointed(told["output"], session, files=[*inputs, *made], paths=paths | given)
            stage("Closing the sandbox")
    _print(request, told, made, paths)
    return DONE if told["status"] == "completed" else FAILED


def _asked(objective: str, inputs: Sequence[Artifact]) -> str:
    """Return the objective with the files that it is about, which tools find by their handles."""
    given = [f"- {each.handle}: {one_line(each.name)}, {each.media_type}, {size(each.size)}" for each in inputs]
    rules = ["Make files with the tools. At the end say in a few words what you have made."]
    return "\n".join([objective, "", *(["These files are there:", *given, ""] if given else []), *rules])


async def _made(session: Session, *, but: Sequence[Artifact]) -> list[Artifact]:
    """Return what is there now, in the order in which it was made; the answer is shown and no file."""
    given = {each.id for each in but}
    page = await session.list(limit=MOST_MADE)
    return [
        each
        for each in reversed(page.items)
        if each.id not in given and each.type != TOOL_RESULT and each.version.metadata.get("kind") != ANSWER
    ]


async def _pointed(text: str, session: Session, *, files: Sequence[Artifact], paths: Mapping[str, str]) -> str:
    """Return a text that says where files are, and shows what else it refers to, instead of its references."""
    found = {(each.id, each.version.number): paths[each.id] for each in files}
    expander = Expander(Pointing(session=session, paths=found))
    return await expander.take(text) + await expander.end()


def _print(request: Request, told: dict[str, Any], made: Sequence[Artifact], paths: dict[str, str]) -> None:
    if request.as_json:
        files = [artifact_shape(each) | {"path": paths[each.id]} for each in made]
        kept = {name: told[name] for name in ("status", "output", "error", "iterations", "usage")}
        print_json({**kept, "stopReason": told["stop_reason"], "artifacts": files})
        return
    print_text(told["output"])
    if made:
        rows = [(one_line(each.name), format_word(each), size(each.size), paths[each.id]) for each in made]
        print_table(results(), "Made", ("name", "type", "size", "where"), rows, right=("size",))
    elif told["status"] == "completed":
        say(notes(), "No file was made.")
    if told["status"] != "completed":
        say(notes(), ("failed: ", "bold red"), told["stop_reason"], f" {told['error']}" if told["error"] else "")
