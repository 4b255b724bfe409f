"""Python of an agent among the files of its session: run in the sandbox, and what it leaves are their next versions.

How a program is called is known to `commands`, and what is put around it to `staging`.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from handiwork.adapters import staging
from handiwork.adapters.files import Files
from handiwork.adapters.words import Answered
from handiwork.errors import HandiworkError
from handiwork.errors.telling import told_with_hint
from handiwork.model import Artifact, Execution, Limits

MOST_INPUTS = 100
TIMED_OUT, KILLED = 124, 137
OF_THE_SANDBOX = frozenset({"inputs", ".tmp"})
"""Folders that are there before a program begins, and in which nothing of it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Runs Python of an agent among the files below the root; what it leaves there are their next versions."""

    files: Files
    folder: str
    limits: Limits | None = None

    async def run(self, asked: staging.Invocation) -> Answered:
        """Run a program as it was called."""
        files = await self.files.all()
        below = {path.removeprefix(self._base): each for path, each in files.items() if path.startswith(self._base)}
        folder = f"{self.folder}/".removeprefix(self._base).strip("/") if self._is_below else ""
        if (wrong := _unfit(below)) is not None:
            return Answered(errors=f"python: {wrong}\n", code=1)
        session = self.files.session
        if not below and not folder and not (asked.arguments or asked.environment) and asked.standard_input is None:
            return _answered(await session.run(asked.code, limits=self.limits))
        staged = [
            staging.Staged(path=path, name=each.name, size=each.size, sha256=each.sha256)
            for path, each in below.items()
        ]
        whole = staging.program(replace(asked, folder=folder, files=staged))
        inputs = [f"{each.id}@{each.version.number}" for each in below.values()]
        run = await session.run(whole, inputs=inputs, limits=self.limits)
        refusals = [told for made in run.artifacts if (told := await self._refusal(made, below)) is not None]
        told = _answered(run)
        return replace(told, errors=told.errors + "".join(refusals), code=told.code or 1) if refusals else told

    @property
    def _base(self) -> str:
        return self.files.root.rstrip("/") + "/"

    @property
    def _is_below(self) -> bool:
        return f"{self.folder}/".startswith(self._base)

    async def _refusal(self, made: Artifact, before: Mapping[str, Artifact]) -> str | None:
        """Keep what the program left, or return why this one cannot be; what was there before then stays."""
        try:
            await self._kept(made, before)
        except HandiworkError as refused:
            with suppress(HandiworkError):
                await self.files.session.remove(made.id)
            path = self.files.path_of(made).removeprefix(self._base)
            return f"{path} was not kept: {told_with_hint(refused)}\n"
        return None

    async def _kept(self, made: Artifact, before: Mapping[str, Artifact]) -> None:
        """Make a next version of what was there before, or let go what the program has removed."""
        session, path = self.files.session, self.files.path_of(made).removeprefix(self._base)
        if path == staging.REMOVED:
            for gone in _removed(await session.read(made.id), before):
                with suppress(HandiworkError):
                    await session.remove(gone.id)
        elif (was := before.get(path)) is None:
            return
        elif made.sha256 != was.sha256:
            await session.revise(was.id, content=await session.read(made.id))
        await session.remove(made.id)


def _unfit(files: Mapping[str, Artifact]) -> str | None:
    """Return why a program cannot have these files, or None."""
    if len(files) > MOST_INPUTS:
        return f"{len(files)} files are there, and a program takes at most {MOST_INPUTS}: remove some, or move them out"
    paths: dict[str, str] = {}
    for path, artifact in files.items():
        folders = {path[:index] for index, character in enumerate(path) if character == "/"}
        if folders & OF_THE_SANDBOX:
            return f"`{path}` is in a folder that the sandbox has for itself, move it"
        if path in OF_THE_SANDBOX:
            return f"`{path}` is what the sandbox calls a folder of its own, rename it"
        if folders & files.keys():
            return f"`{min(folders & files.keys())}` is a file and a folder, rename one"
        if artifact.name in paths:
            return f"`{paths[artifact.name]}` and `{path}` have the same name, rename one"
        paths[artifact.name] = path
    return None


def _removed(told: bytes, before: Mapping[str, Artifact]) -> list[Artifact]:
    """Return what a program says that it has removed, of what it was given."""
    try:
        paths = json.loads(told)
    except (ValueError, RecursionError):
        return []
    names = cast("list[object]", paths) if isinstance(paths, list) else []
    return [before[path] for path in names if isinstance(path, str) and path in before]


def _answered(run: Execution) -> Answered:
    outcome = run.outcome
    errors = outcome.stderr
    if run.status not in ("succeeded", "failed"):
        errors += f"python: {run.status.replace('_', ' ')}\n"
    errors += "".join(f"line {each.line}: {each.message}\n" for each in outcome.violations)
    errors += "".join(f"{each.name} was not kept: {each.reason}\n" for each in outcome.refused)
    code = outcome.exit_code
    if code is None:
        code = {"timed_out": TIMED_OUT, "rejected": 1}.get(run.status, KILLED)
    return Answered(
        output=outcome.stdout,
        errors=errors,
        code=code if code or run.ok else 1,
        is_cut=outcome.stdout_truncated or outcome.stderr_truncated,
    )
