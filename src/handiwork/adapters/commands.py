"""Commands of a shell over the files of a session, for agents who expect one: no program of any machine is started.

Python is run in the sandbox with the session's files about it; what a line means is known to `command_lines`.
"""

import fnmatch
import json
import posixpath
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import cast

from handiwork.adapters import command_lines, staging
from handiwork.adapters.allowance import Allowance, Failed
from handiwork.adapters.command_lines import Group, Loop, Pipe, Redirect, Script, Simple, Text, Variable, Word
from handiwork.adapters.files import Files, cleaned
from handiwork.adapters.words import LARGEST_OUTPUT, WORDS, Answered, Asked, Folders
from handiwork.characters import HALF
from handiwork.errors import HandiworkError
from handiwork.errors.telling import told_with_hint
from handiwork.model import Artifact, Execution, Limits

MOST_WORDS = 10_000
LONGEST_PATTERN = 1_000
MOST_INPUTS = 100
INTERPRETERS = frozenset({"python", "python3"})
NOT_FOUND, TIMED_OUT, KILLED = 127, 124, 137
OF_THE_SANDBOX = frozenset({"inputs", ".tmp"})
"""Folders that are there before a program begins, and in which nothing of it is kept."""
NOWHERE = "/dev/null"


@dataclass(slots=True, kw_only=True)
class Shell:
    """One line of shell being carried out."""

    files: Files
    folders: Folders
    folder: str
    limits: Limits | None = None
    variables: dict[str, str] = field(default_factory=dict[str, str])
    allowance: Allowance = field(default_factory=Allowance)
    last: int = 0

    async def run(self, line: str) -> Answered:
        """Carry out a line; what it is refused for is told on its error stream."""
        if (half := HALF.search(line)) is not None:
            told = f"half a character stands at position {half.start()}, write it whole"
            return Answered(errors=f"shell: {told}\n", code=2)
        try:
            return await self._script(command_lines.parsed(line), None)
        except command_lines.NotUnderstood as wrong:
            return Answered(errors=f"shell: {wrong}. {REACH}\n", code=2)
        except Failed as failed:
            return Answered(errors=f"shell: {failed}\n", code=2)

    async def _script(self, script: Script, given: str | None) -> Answered:
        told = Answered()
        for operator, pipe in script.steps:
            if (operator == "&&" and self.last) or (operator == "||" and not self.last):
                continue
            told = told.then(await self._pipe(pipe, given))
            self.last = told.code
            if len(told.output) > LARGEST_OUTPUT:
                raise Failed(f"more than {LARGEST_OUTPUT:,} characters were written")
        return told

    async def _pipe(self, pipe: Pipe, given: str | None) -> Answered:
        told = Answered(output=given or "")
        errors = ""
        for index, part in enumerate(pipe.parts):
            told = await self._part(part, told.output if index or given is not None else None)
            errors += told.errors
        return replace(told, errors=errors)

    async def _part(self, part: Simple | Loop | Group, given: str | None) -> Answered:
        self.allowance.step()
        match part:
            case Group(body):
                return await self._script(body, given)
            case Loop(variable, words, body):
                told = Answered()
                for value in await self._expanded(words):
                    self.variables[variable] = value
                    told = told.then(await self._script(body, given))
                return told
            case Simple():
                return await self._simple(part, given)

    async def _simple(self, command: Simple, given: str | None) -> Answered:
        words = await self._expanded(command.words)
        while words and (name := words[0].partition("=")[0]).isidentifier() and "=" in words[0]:
            self.variables[name] = words.pop(0).partition("=")[2]
        try:
            for redirect in command.redirects:
                if redirect.operator == "<<":
                    given = await self._text(redirect.target)
                elif redirect.operator == "<":
                    given = await self._read(await self._text(redirect.target))
            told = await self._carried_out(words, given) if words else Answered()
            self.allowance.handle(told.output)
            self.allowance.handle(told.errors)
            return await self._redirected(told, command.redirects)
        except Failed as failed:
            return Answered(errors=f"shell: {failed}\n", code=1)

    async def _carried_out(self, words: list[str], given: str | None) -> Answered:
        name, *arguments = words
        if name == "cd":
            target = self._path(arguments[0]) if arguments else self.files.root
            self.folder = target
            return Answered()
        if name in INTERPRETERS:
            return await self._python(arguments, given)
        if (carry_out := WORDS.get(name)) is None:
            return Answered(errors=f"{name}: cannot be run here. {REACH}\n", code=NOT_FOUND)
        asked = Asked(
            files=self.files,
            folders=self.folders,
            folder=self.folder,
            arguments=tuple(arguments),
            given=given,
            allowance=self.allowance,
        )
        try:
            return await carry_out(asked)
        except Failed as failed:
            return Answered(errors=f"{name}: {failed}\n", code=1)
        except HandiworkError as refused:
            return Answered(errors=f"{name}: {told_with_hint(refused)}\n", code=1)

    async def _redirected(self, told: Answered, redirects: Sequence[Redirect]) -> Answered:
        """Put what a command has written where each of its streams leads at last."""
        shown, failed = list[str](), list[str]()
        output, errors = shown, failed
        files: list[tuple[str, Redirect, list[str]]] = []
        for redirect in redirects:
            operator = redirect.operator
            if operator == "2>&1":
                errors = output
            elif operator not in ("<", "<<"):
                written = list[str]()
                files.append((await self._text(redirect.target), redirect, written))
                output = output if operator.startswith("2") else written
                errors = written if operator[0] in "2&" else errors
        output.append(told.output)
        errors.append(told.errors)
        code = told.code
        for path, redirect, written in files:
            try:
                if path != NOWHERE:
                    before = await self._read(path, missing="") if redirect.operator.endswith(">>") else ""
                    content = (before + "".join(written)).encode("utf-8", "surrogateescape")
                    await self.files.write(self._path(path), content)
            except (HandiworkError, Failed) as refused:
                said = told_with_hint(refused) if isinstance(refused, HandiworkError) else str(refused)
                failed.append(f"shell: {said}\n")
                code = 1
        return replace(told, output="".join(shown), errors="".join(failed), code=code)

    async def _read(self, path: str, *, missing: str | None = None) -> str:
        artifact = await self.files.find(self._path(path))
        if artifact is None:
            if missing is None:
                raise Failed(f"{path}: No such file")
            return missing
        content = await self.files.session.read(artifact.id)
        return self.allowance.handle(content.decode("utf-8", "surrogateescape"))

    async def _python(self, arguments: list[str], given: str | None) -> Answered:
        while arguments and arguments[0] in ("-u", "-B", "-q"):
            arguments = arguments[1:]
        match arguments:
            case ["-c", code, *rest]:
                asked = staging.Invocation(code=code, name="-c", arguments=rest)
            case ["--version" | "-V", *_]:
                asked = staging.Invocation(code="import sys\nprint('Python', sys.version.split()[0])", name="-c")
            case [] | ["-", *_] if given is not None:
                asked, given = staging.Invocation(code=given, name="<stdin>", arguments=arguments[1:]), None
            case [path, *rest] if not path.startswith("-"):
                try:
                    code = await self._read(path)
                except Failed as failed:
                    return Answered(errors=f"python: {failed}\n", code=2)
                asked = staging.Invocation(code=code, name=posixpath.basename(path), arguments=rest)
            case _:
                return Answered(errors="python: give a script, `-c` with code, or code by `<<`.\n", code=2)
        with_input = replace(asked, standard_input=given)
        return await Programs(files=self.files, folder=self.folder, limits=self.limits).run(with_input)

    async def _expanded(self, words: Sequence[Word]) -> list[str]:
        found: list[str] = []
        for word in words:
            has_pattern = any(isinstance(p, Text) and not p.is_quoted and set("*?[") & set(p.text) for p in word)
            if has_pattern and (matches := await self._matching(await self._text(word))):
                found += matches
            elif all(part.is_quoted or isinstance(part, Text) for part in word):
                found.append(await self._text(word))
            else:
                # What comes of a variable or a command that is not quoted is taken apart at its blanks.
                found += (await self._text(word)).split()
            if len(found) > MOST_WORDS:
                raise Failed(f"more than {MOST_WORDS:,} words for one command")
        return found

    async def _matching(self, pattern: str) -> list[str]:
        if len(wanted := self._path(pattern)) > LONGEST_PATTERN:
            raise Failed(f"a pattern has more than {LONGEST_PATTERN:,} characters")
        self.allowance.step()
        base = "" if pattern.startswith("/") else self.folder.rstrip("/") + "/"
        return [path.removeprefix(base) for path in await self.files.all() if _is_like(path, wanted)]

    async def _text(self, word: Word) -> str:
        parts: list[str] = []
        for part in word:
            match part:
                case Text(text):
                    parts.append(text)
                case Variable("?"):
                    parts.append(str(self.last))
                case Variable(name):
                    parts.append({"PWD": self.folder, "HOME": self.files.root}.get(name, self.variables.get(name, "")))
                case _:
                    parts.append((await self._script(part.body, None)).output.rstrip("\n"))
        if sum(map(len, parts)) > LARGEST_OUTPUT:
            raise Failed(f"a word has more than {LARGEST_OUTPUT:,} characters")
        return self.allowance.handle("".join(parts))

    def _path(self, path: str) -> str:
        if not path:
            raise Failed("'': No such file or folder")
        return cleaned(posixpath.join(self.folder, path))


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
        if not below and not folder and not asked.arguments and asked.standard_input is None:
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


def _is_like(path: str, pattern: str) -> bool:
    """Tell whether a path is like a pattern, part by part; what begins with a dot only where the pattern does."""
    is_hidden = any(
        part[:1] == "." != other[:1] for part, other in zip(path.split("/"), pattern.split("/"), strict=False)
    )
    return path.count("/") == pattern.count("/") and not is_hidden and fnmatch.fnmatchcase(path, pattern)


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


REACH = f"There are Python in a sandbox and, over the files of the session: {', '.join(sorted(WORDS))}."
