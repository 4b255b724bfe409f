"""Commands of a shell over the files of a session, for agents who expect one: no program of any machine is started.

Python is run in the sandbox with the session's files about it; what a line means is known to `command_lines`.
"""

import fnmatch
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from handiwork.adapters import command_lines, staging
from handiwork.adapters.allowance import Allowance, Failed
from handiwork.adapters.command_lines import Group, Loop, Pipe, Redirect, Script, Simple, Text, Variable, Word
from handiwork.adapters.files import Files, cleaned
from handiwork.adapters.programs import Programs
from handiwork.adapters.words import LARGEST_OUTPUT, WORDS, Answered, Asked, Folders
from handiwork.characters import HALF
from handiwork.errors import HandiworkError
from handiwork.errors.telling import told_with_hint
from handiwork.model import Limits

MOST_WORDS = 10_000
LONGEST_PATTERN = 1_000
INTERPRETERS = frozenset({"python", "python3"})
NOT_FOUND = 127
NOWHERE = "/dev/null"

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=", re.ASCII)


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
                return await self._beside(body, given)
            case Loop(variable, words, body):
                told = Answered()
                for value in await self._expanded(words):
                    self.variables[variable] = value
                    told = told.then(await self._script(body, given))
                return told
            case Simple():
                return await self._simple(part, given)

    async def _beside(self, script: Script, given: str | None) -> Answered:
        """Carry out what changes neither the folder nor the variables of what comes after it."""
        folder, variables = self.folder, dict(self.variables)
        try:
            return await self._script(script, given)
        finally:
            self.folder, self.variables = folder, variables

    async def _simple(self, command: Simple, given: str | None) -> Answered:
        assigned = list(takewhile(_is_assigned, command.words))
        words = await self._expanded(command.words[len(assigned) :])
        # Before a command they are for it alone.
        variables = dict[str, str]() if words else self.variables
        for word in assigned:
            name, _, value = (await self._text(word)).partition("=")
            variables[name] = value
        try:
            for redirect in command.redirects:
                if redirect.operator == "<<":
                    given = await self._text(redirect.target)
                elif redirect.operator == "<":
                    given = await self._read(await self._text(redirect.target))
            told = await self._carried_out(words, given, variables) if words else Answered()
            self.allowance.handle(told.output)
            self.allowance.handle(told.errors)
            return await self._redirected(told, command.redirects)
        except Failed as failed:
            return Answered(errors=f"shell: {failed}\n", code=1)

    async def _carried_out(self, words: list[str], given: str | None, variables: Mapping[str, str]) -> Answered:
        name, *arguments = words
        if name == "cd":
            return await self._changed_to(arguments)
        if name in INTERPRETERS:
            return await self._python(arguments, given, variables)
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

    async def _changed_to(self, arguments: Sequence[str]) -> Answered:
        wanted, *more = arguments or [self.files.root]
        if more or wanted == "-":
            return Answered(errors="cd: name one folder, which was before is not remembered\n", code=1)
        target = self._path(wanted)
        below, files = target.rstrip("/") + "/", await self.files.all()
        if target in files:
            return Answered(errors=f"cd: {wanted}: Not a directory\n", code=1)
        if not any(f"{each}/".startswith(below) for each in (self.files.root, *self.folders.paths, *files)):
            return Answered(errors=f"cd: {wanted}: No such file or directory, `mkdir -p` makes it\n", code=1)
        self.folder = target
        return Answered()

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

    async def _python(self, arguments: list[str], given: str | None, variables: Mapping[str, str]) -> Answered:
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
        whole = replace(asked, standard_input=given, environment=variables)
        return await Programs(files=self.files, folder=self.folder, limits=self.limits).run(whole)

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
                    parts.append((await self._beside(part.body, None)).output.rstrip("\n"))
        if sum(map(len, parts)) > LARGEST_OUTPUT:
            raise Failed(f"a word has more than {LARGEST_OUTPUT:,} characters")
        return self.allowance.handle("".join(parts))

    def _path(self, path: str) -> str:
        if not path:
            raise Failed("'': No such file or folder")
        return cleaned(posixpath.join(self.folder, path))


def _is_assigned(word: Word) -> bool:
    """Tell whether a word gives a variable its value, which only one can whose name is there and not quoted."""
    first = word[0]
    return isinstance(first, Text) and not first.is_quoted and _ASSIGNMENT.match(first.text) is not None


def _is_like(path: str, pattern: str) -> bool:
    """Tell whether a path is like a pattern, part by part; what begins with a dot only where the pattern does."""
    is_hidden = any(
        part[:1] == "." != other[:1] for part, other in zip(path.split("/"), pattern.split("/"), strict=False)
    )
    return path.count("/") == pattern.count("/") and not is_hidden and fnmatch.fnmatchcase(path, pattern)


REACH = f"There are Python in a sandbox and, over the files of the session: {', '.join(sorted(WORDS))}."
