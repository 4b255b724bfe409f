"""What `doctor` finds out about this machine, as values and as JSON. How it is shown is in `doctor`."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from handiwork import wiring
from handiwork.errors import HandiworkError, IsolationUnavailable
from handiwork.model import Isolation
from handiwork.sandbox import cgroups, kernel, walls
from handiwork.sandbox.sandbox import Job, Sandbox
from handiwork.settings import Location, Settings
from handiwork.shapes import Shape
from handiwork.store.upgrade import check

INSTALL = "pip install 'handiwork[runtime]'"
CONTAINERS = "docs/guides/containers.md"
# What each Landlock ABI adds to the one before it, in words of what a program can no longer do.
LANDLOCK_ADDS = {
    2: "moving files between folders",
    3: "cutting files short",
    4: "opening TCP ports",
    5: "device controls",
    6: "signals and abstract sockets to others",
}
_REQUIREMENT = re.compile(r"""(?P<name>[\w.-]+)[^;]*;.*extra\s*==\s*['"](?P<extra>[\w-]+)['"]""")
_SAMPLES = {"Latin": "AZazÄßéłŞ", "Greek": "ΑΩαωά", "Cyrillic": "АЯаяёЇ"}
_CHOSEN = "Set `artifacts.isolation` to `auto` or `full`."
# Asked inside the sandbox, where the answer is that which agent code gets.
_FONTS = """
import json
from matplotlib import font_manager, ft2font
default = font_manager.findfont(font_manager.FontProperties())
print(json.dumps({
    "families": sorted({font.name for font in font_manager.fontManager.ttflist}),
    "default": ft2font.FT2Font(default).family_name,
    "characters": sorted(ft2font.FT2Font(default).get_charmap()),
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A wall that does not stand."""

    wall: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """The isolation to be had: `isolation` is None when there is none, and `why` tells the reason either way."""

    asked: str
    isolation: Isolation | None
    why: str
    missing: tuple[Missing, ...] = ()
    cgroup_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fonts:
    """The fonts that agent code sees; `covers` is about the default one."""

    families: tuple[str, ...] = ()
    default: str = ""
    covers: Mapping[str, bool] = field(default_factory=dict[str, bool])
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The store in its folder, which may not be there yet."""

    path: str
    exists: bool
    revision: str | None
    expected: str
    is_writable: bool
    free_bytes: int
    is_encrypted: bool = False
    """Whether the configuration has what is new encrypted."""
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """`landlock` is the kernel's ABI, or None where it has none."""

    system: str
    kernel: str
    machine: str
    python: str
    landlock: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything; `error` is why no program can be run here."""

    walls: Walls
    libraries: Mapping[str, str]
    missing_libraries: tuple[str, ...]
    fonts: Fonts
    store: Store
    machine: Machine
    error: HandiworkError | None = None

    @property
    def ok(self) -> bool:
        return self.error is None and self.store.problem is None and not self.missing_libraries


async def examine(settings: Settings, data: str | None) -> Report:
    """Find out everything; one program of ours is run in the sandbox, and the store is not changed."""
    error: HandiworkError | None = None
    fonts = Fonts(problem="no program can be run")
    async with wiring.sandbox(settings) as box:
        try:
            isolation = await box.probe()
            fonts = await _fonts(box)
        except HandiworkError as failure:
            error, isolation = failure, None
        found = walls_found(settings.artifacts.isolation, isolation, box.fell_back, error)
        libraries = box.libraries
    return Report(
        walls=found,
        libraries=libraries,
        missing_libraries=_missing_libraries(),
        fonts=fonts,
        store=_store(settings.location(data), is_encrypted=settings.artifacts.storage.encryption.enabled),
        machine=_machine(),
        error=error,
    )


def walls_found(
    asked: str, isolation: Isolation | None, fell_back: IsolationUnavailable | None, error: HandiworkError | None
) -> Walls:
    """Put into words which level is in force and why, and what to do for each wall of `full` that is missing."""
    if isolation is None:
        gone = [each for each in (error, fell_back) if isinstance(each, IsolationUnavailable)]
        missing = {each.wall: Missing(wall=each.wall, why=each.why, fix=walls.fix_for(each.wall)) for each in gone}
        return Walls(asked=asked, isolation=None, why=str(error), missing=tuple(missing.values()))
    if asked != "auto":
        why = f"`artifacts.isolation` asks for `{asked}`"
    else:
        why = "`auto` takes the strongest that stands here" if fell_back is None else str(fell_back)
    return Walls(
        asked=asked,
        isolation=isolation,
        why=why,
        missing=tuple(_missing(isolation, fell_back)),
        cgroup_version=_cgroup_version() if isolation.memory_by == "cgroup" else None,
    )


def _missing(isolation: Isolation, fell_back: IsolationUnavailable | None) -> list[Missing]:
    blamed = fell_back.wall if fell_back is not None else None
    found: list[Missing] = []
    for wall in walls.REQUIRED["full"]:
        if isolation.walls.get(wall):
            continue
        why = fell_back.why if fell_back is not None and wall == blamed else f"not part of `{isolation.level}`"
        fix = _CHOSEN if fell_back is None else walls.fix_for(wall)
        found.append(Missing(wall=wall, why=why, fix=fix))
    if fell_back is not None and blamed not in {each.wall for each in found}:
        # It stands at the lower level, or is no wall of a list: still it is what barred the way.
        found.insert(0, Missing(wall=fell_back.wall, why=fell_back.why, fix=walls.fix_for(fell_back.wall)))
    return found


def _missing_libraries() -> tuple[str, ...]:
    """What the extra `runtime` brings and is not installed."""
    missing: list[str] = []
    for line in importlib.metadata.requires("handiwork") or ():
        named = _REQUIREMENT.match(line)
        if named is None or named["extra"] != "runtime":
            continue
        try:
            importlib.metadata.version(named["name"])
        except importlib.metadata.PackageNotFoundError:
            missing.append(named["name"])
    return tuple(missing)


def _cgroup_version() -> int | None:
    found = cgroups.find(membership=Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    return None if found is None else found.version


async def _fonts(box: Sandbox) -> Fonts:
    async with box.run(Job(code=_FONTS, is_checked=False)) as run:
        outcome = run.outcome
    if outcome.status != "succeeded":
        return Fonts(problem=outcome.error.message if outcome.error else outcome.status)
    told = json.loads(outcome.stdout)
    characters = frozenset[int](told["characters"])
    return Fonts(
        families=tuple(told["families"]),
        default=told["default"],
        covers={script: all(ord(c) in characters for c in sample) for script, sample in _SAMPLES.items()},
    )


def _store(location: Location, *, is_encrypted: bool) -> Store:
    place = location.folder.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    is_writable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    problem = None if is_writable else f"`{place}` is not a folder that can be written"
    found, expected = None, ""
    try:
        revision = check(location.database)
        found, expected = revision.found, revision.expected
        if revision.standing == "newer":
            problem = f"it was written by a newer release (revision {found}; this one knows {expected})"
    except HandiworkError as failure:
        problem = str(failure)
    return Store(
        path=str(location.folder.absolute()),
        exists=found is not None,
        revision=found,
        expected=expected,
        is_writable=is_writable,
        free_bytes=shutil.disk_usage(place).free,
        is_encrypted=is_encrypted,
        problem=problem,
    )


def _machine() -> Machine:
    return Machine(
        system=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        python=platform.python_version(),
        landlock=_landlock(),
    )


def _landlock() -> int | None:
    try:
        return kernel.landlock_version()
    except OSError:
        return None


def report_shape(report: Report) -> Shape:
    """The object of `doctor --json`."""
    found, fonts, store, machine, error = report.walls, report.fonts, report.store, report.machine, report.error
    isolation = found.isolation
    return {
        "isolation": {
            "level": None if isolation is None else isolation.level,
            "asked": found.asked,
            "why": found.why,
            "walls": {} if isolation is None else dict(isolation.walls),
            "missing": [{"wall": each.wall, "why": each.why, "fix": each.fix} for each in found.missing],
            "memoryBy": None if isolation is None else isolation.memory_by,
            "cgroupVersion": found.cgroup_version,
            "containers": CONTAINERS,
        },
        "libraries": dict(report.libraries),
        "missingLibraries": list(report.missing_libraries),
        "fonts": {
            "families": list(fonts.families),
            "default": fonts.default,
            "covers": dict(fonts.covers),
            "problem": fonts.problem,
        },
        "store": {
            "path": store.path,
            "exists": store.exists,
            "revision": store.revision,
            "expected": store.expected,
            "writable": store.is_writable,
            "freeBytes": store.free_bytes,
            "encryption": store.is_encrypted,
            "problem": store.problem,
        },
        "platform": {
            "system": machine.system,
            "kernel": machine.kernel,
            "machine": machine.machine,
            "python": machine.python,
            "landlock": machine.landlock,
        },
        "error": None if error is None else {"code": error.code, "message": str(error), "hint": error.hint},
        "ok": report.ok,
    }
