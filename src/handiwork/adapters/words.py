"""What the commands of the small shell do to the files of a session: as much of each as agents use.

How a line is taken apart, and how Python is run, is in `commands`.
"""

import posixpath
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from handiwork.adapters.allowance import Allowance, Failed
from handiwork.adapters.files import Files, cleaned
from handiwork.model import Artifact

MOST_FOLDERS = 1_000
LARGEST_OUTPUT = 2 * 1024 * 1024
"""How many characters one line may write in all."""
MODE = "mode"
"""The note on a version whose file may not be read, as `chmod` says it."""
OWNER_READS = 0o400
_LINES = 10
_MOST_NUMBERS = 10_000
_LONGEST_NUMBER = 18
_PLACE = re.compile(r"%(%|[-+ 0#]{0,3}[0-9]{0,3}(?:\.[0-9]{0,3})?[sdifgx])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a command has written, and how it ended."""

    output: str = ""
    errors: str = ""
    code: int = 0
    is_cut: bool = False

    def then(self, later: "Answered") -> "Answered":
        """Return what both have written, and how the later one ended."""
        is_cut = self.is_cut or later.is_cut
        return replace(later, output=self.output + later.output, errors=self.errors + later.errors, is_cut=is_cut)


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders without files, which no artifact tells of: they are there as long as somebody remembers them."""

    paths: set[str] = field(default_factory=set[str])

    def add(self, path: str) -> None:
        if len(self.paths) >= MOST_FOLDERS:
            raise Failed(f"more than {MOST_FOLDERS:,} empty folders")
        self.paths.add(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One command: `given` is what it is to read, `folder` where it is called."""

    files: Files
    folders: Folders
    folder: str
    arguments: tuple[str, ...]
    given: str | None
    allowance: Allowance

    def path(self, argument: str) -> str:
        """Return the path that is meant. Raises `Failed` for none: it is a variable without a value, and no folder."""
        if not argument:
            raise Failed("'': No such file or folder")
        return cleaned(posixpath.join(self.folder, argument))

    def flags(self) -> tuple[set[str], list[str]]:
        """Return the letters of the flags, and the other arguments."""
        flags = {letter for each in self.arguments if each[:1] == "-" and each != "-" for letter in each.lstrip("-")}
        return flags, [each for each in self.arguments if each[:1] != "-" or each == "-"]

    async def found(self, argument: str) -> Artifact:
        """Return a file that may be read. Raises `Failed`."""
        if (artifact := await self.files.find(self.path(argument))) is None:
            raise Failed(f"{argument}: No such file")
        if not is_readable(artifact):
            raise Failed(f"{argument}: Permission denied")
        return artifact

    async def text(self, argument: str) -> str:
        content = await self.files.session.read((await self.found(argument)).id)
        return self.allowance.handle(content.decode("utf-8", "surrogateescape"))

    async def below(self, path: str) -> dict[str, Artifact]:
        """Return the file at a path, or the files below it."""
        start = path.rstrip("/") + "/"
        return {each: a for each, a in (await self.files.all()).items() if each == path or each.startswith(start)}


def is_readable(artifact: Artifact) -> bool:
    mode = artifact.version.metadata.get(MODE)
    return not isinstance(mode, int) or bool(mode & OWNER_READS)


async def _cat(asked: Asked) -> Answered:
    _flags, names = asked.flags()
    texts: list[str] = []
    for name in names or ["-"]:
        texts.append(await _one(asked, name))
        if sum(map(len, texts)) > LARGEST_OUTPUT:
            raise Failed(f"more than {LARGEST_OUTPUT:,} characters")
    return Answered(output="".join(texts))


async def _chmod(asked: Asked) -> Answered:
    _flags, words = asked.flags()
    if len(words) < 2:
        raise Failed("a mode and a file are needed")
    try:
        mode = int(words[0], 8) if words[0].isdigit() else OWNER_READS
    except ValueError:
        raise Failed(f"{words[0]}: no such mode") from None
    for name in words[1:]:
        if (artifact := await asked.files.find(asked.path(name))) is None:
            raise Failed(f"{name}: No such file")
        notes = {key: value for key, value in artifact.version.metadata.items() if key != MODE}
        if not mode & OWNER_READS:
            notes[MODE] = mode
        content = await asked.files.session.read(artifact.id)
        await asked.files.session.revise(artifact.id, content=content, metadata=notes)
    return Answered()


async def _cp(asked: Asked) -> Answered:
    await _copied(asked)
    return Answered()


async def _echo(asked: Asked) -> Answered:
    words = list(asked.arguments)
    end, is_escaped = "\n", False
    while words and words[0] in ("-n", "-e", "-ne", "-en"):
        flag = words.pop(0)
        end, is_escaped = "" if "n" in flag else end, is_escaped or "e" in flag
    text = " ".join(words)
    return Answered(output=(_unescaped(text) if is_escaped else text) + end)


async def _false(_asked: Asked) -> Answered:
    return Answered(code=1)


async def _head(asked: Asked) -> Answered:
    count, names = _count(asked)
    lines = [line for name in names or ["-"] for line in (await _one(asked, name)).splitlines(keepends=True)[:count]]
    return Answered(output="".join(lines))


async def _ls(asked: Asked) -> Answered:
    flags, names = asked.flags()
    lines: list[str] = []
    for name in names or ["."]:
        path = asked.path(name)
        below = await asked.below(path)
        if path in below:
            lines.append(name)
            continue
        start = path.rstrip("/") + "/"
        inside = {
            each.removeprefix(start).partition("/")[0]
            for each in (*below, *asked.folders.paths)
            if each.startswith(start)
        }
        if not inside and path != asked.files.root and path not in asked.folders.paths:
            raise Failed(f"{name}: No such file or folder")
        lines += sorted(each for each in inside if "a" in flags or "A" in flags or each[:1] != ".")
    return Answered(output="".join(f"{line}\n" for line in lines))


async def _mkdir(asked: Asked) -> Answered:
    _flags, names = asked.flags()
    for name in names:
        if await asked.files.find(asked.path(name)) is not None:
            raise Failed(f"{name}: File exists")
        asked.folders.add(asked.path(name))
    return Answered()


async def _mv(asked: Asked) -> Answered:
    for artifact in await _copied(asked):
        await asked.files.session.remove(artifact.id)
    return Answered()


async def _printf(asked: Asked) -> Answered:
    if not asked.arguments:
        raise Failed("a format is needed")
    form, *values = asked.arguments
    form = _unescaped(form)
    try:
        return Answered(output=_formatted(form, values))
    except (ValueError, OverflowError):
        raise Failed(f"{form[:40]}: no such format") from None


async def _pwd(asked: Asked) -> Answered:
    return Answered(output=f"{asked.folder}\n")


async def _rm(asked: Asked) -> Answered:
    flags, names = asked.flags()
    for name in names:
        path = asked.path(name)
        below = await asked.below(path)
        is_folder = path not in below and (below or path in asked.folders.paths)
        if is_folder and not flags & {"r", "R"}:
            raise Failed(f"{name}: Is a folder")
        if not below and not is_folder and "f" not in flags:
            raise Failed(f"{name}: No such file")
        for artifact in below.values():
            await asked.files.session.remove(artifact.id)
        asked.folders.paths.difference_update(
            {each for each in asked.folders.paths if each == path or each.startswith(f"{path}/")}
        )
    return Answered()


async def _seq(asked: Asked) -> Answered:
    try:
        numbers = [int(word[: _LONGEST_NUMBER + 1]) for word in asked.arguments]
    except ValueError:
        raise Failed("whole numbers are needed") from None
    if any(len(word) > _LONGEST_NUMBER for word in asked.arguments):
        raise Failed(f"a number has more than {_LONGEST_NUMBER} digits")
    match numbers:
        case [last]:
            first, step = 1, 1
        case [first, last]:
            step = 1
        case [first, step, last] if step:
            pass
        case _:
            raise Failed("one to three numbers are needed, with a step that is not 0")
    found = range(first, last + (1 if step > 0 else -1), step)
    if len(found) > _MOST_NUMBERS:
        raise Failed(f"more than {_MOST_NUMBERS:,} numbers")
    return Answered(output="".join(f"{number}\n" for number in found))


async def _tail(asked: Asked) -> Answered:
    count, names = _count(asked)
    lines: list[str] = []
    for name in names or ["-"]:
        lines += (await _one(asked, name)).splitlines(keepends=True)[-count:] if count else []
    return Answered(output="".join(lines))


async def _test(asked: Asked) -> Answered:
    words = [word for word in asked.arguments if word != "]"]
    is_negated = words[:1] == ["!"]
    words = words[is_negated:]
    match words:
        case ["-f" | "-e" | "-s" | "-r" | "-d" as flag, name]:
            path = asked.path(name)
            artifact = await asked.files.find(path)
            is_folder = path in asked.folders.paths or (artifact is None and bool(await asked.below(path)))
            holds = {"-d": is_folder, "-e": is_folder or artifact is not None}.get(flag, artifact is not None)
            holds = holds and (flag != "-s" or (artifact is not None and artifact.size > 0))
        case ["-n", text] | [text]:
            holds = bool(text)
        case ["-z", text]:
            holds = not text
        case [left, "=" | "==", right]:
            holds = left == right
        case [left, "!=", right]:
            holds = left != right
        case _:
            raise Failed("this test is not known here")
    return Answered(code=int(holds == is_negated))


async def _touch(asked: Asked) -> Answered:
    _flags, names = asked.flags()
    for name in names:
        if await asked.files.find(asked.path(name)) is None:
            await asked.files.write(asked.path(name), b"")
    return Answered()


async def _true(_asked: Asked) -> Answered:
    return Answered()


async def _wc(asked: Asked) -> Answered:
    flags, names = asked.flags()
    lines: list[str] = []
    for name in names or ["-"]:
        text = await _one(asked, name)
        counts = {"l": text.count("\n"), "w": len(text.split()), "c": len(text.encode("utf-8", "surrogateescape"))}
        chosen = [str(count) for letter, count in counts.items() if not flags & set(counts) or letter in flags]
        lines.append(" ".join([*chosen, *([name] if name != "-" else [])]))
    return Answered(output="".join(f"{line}\n" for line in lines))


WORDS: dict[str, Callable[[Asked], Awaitable[Answered]]] = {
    "[": _test,
    "cat": _cat,
    "chmod": _chmod,
    "cp": _cp,
    "echo": _echo,
    "false": _false,
    "head": _head,
    "ls": _ls,
    "mkdir": _mkdir,
    "mv": _mv,
    "printf": _printf,
    "pwd": _pwd,
    "rm": _rm,
    "seq": _seq,
    "tail": _tail,
    "test": _test,
    "touch": _touch,
    "true": _true,
    "wc": _wc,
}


async def _one(asked: Asked, name: str) -> str:
    return (asked.given or "") if name == "-" else await asked.text(name)


async def _copied(asked: Asked) -> list[Artifact]:
    _flags, names = asked.flags()
    if len(names) != 2:
        raise Failed("one file and its new place are needed")
    source, target = await asked.found(names[0]), asked.path(names[1])
    is_folder = target in asked.folders.paths or names[1].endswith("/") or target == asked.files.root
    if is_folder or (target not in (below := await asked.below(target)) and below):
        target = posixpath.join(target, posixpath.basename(asked.path(names[0])))
    if target == asked.path(names[0]):
        raise Failed(f"{names[0]} and {names[1]} are the same file")
    await asked.files.write(target, await asked.files.session.read(source.id))
    return [source]


def _count(asked: Asked) -> tuple[int, list[str]]:
    words = list(asked.arguments)
    count = _LINES
    if words and words[0].startswith("-") and words[0] != "-":
        flag = words.pop(0).lstrip("-")
        number = flag.removeprefix("n") or (words.pop(0) if words else "")
        if not (number.isascii() and number.isdigit()) or len(number) > 9:
            raise Failed("a number of lines is needed")
        count = int(number)
    return count, words


def _formatted(form: str, values: list[str]) -> str:
    """Return a format as often as there are values for it, at least once. Raises `ValueError` for one that is none."""
    texts = _PLACE.split(form)
    # Between two texts stands what was split at.
    kinds = [*texts[1::2], None]
    if any("%" in text for text in texts[::2]):
        raise ValueError(form)
    left, written, size = list(reversed(values)), list[str](), 0
    while True:
        for text, kind in zip(texts[::2], kinds, strict=True):
            value = ""
            if kind is not None:
                value = "%" if kind == "%" else f"%{kind}" % _number(left.pop() if left else "", kind[-1])
            written += [text, value]
            size += len(text) + len(value)
            if size > LARGEST_OUTPUT:
                raise Failed(f"more than {LARGEST_OUTPUT:,} characters")
        if not left or not any(kind not in (None, "%") for kind in kinds):
            return "".join(written)


def _number(value: str, kind: str) -> str | int | float:
    if kind == "s":
        return value
    return float(value or 0) if kind in "fg" else int(value or 0)


def _unescaped(text: str) -> str:
    for escape, character in (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r")):
        text = text.replace(escape, character)
    return text
