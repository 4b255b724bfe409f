"""What a job may read: the interpreter, its libraries and fonts, and nothing else.

Computes binds and links for the jail; mounts nothing.
"""

import importlib.util
import os
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FONT_FOLDER = "/usr/share/fonts"
_LOADER_CACHE = "/etc/ld.so.cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSet:
    """`binds` are (source on the host, place in the jail), `links` are (place in the jail, where it points)."""

    binds: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]


def read_set(*, module_paths: Sequence[str], library_folders: Sequence[str], fonts: Sequence[Path]) -> ReadSet:
    """Return the read set of an interpreter that imports from `module_paths` and maps `library_folders`."""
    standard = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    wanted = [p for p in (*standard, *module_paths, *library_folders, _LOADER_CACHE) if Path(p).exists()]
    links: dict[str, str] = {}
    real = {_resolve(path, links) for path in wanted}
    binds = {(path, path) for path in _outermost(real)}
    binds |= {(str(folder), place) for folder, place in _font_places(fonts)}
    return ReadSet(binds=tuple(sorted(binds)), links=tuple(sorted(_outside(links, binds))))


def _font_places(fonts: Sequence[Path]) -> Iterable[tuple[Path, str]]:
    host = Path(FONT_FOLDER)
    for entry in sorted(host.iterdir()) if host.is_dir() else []:
        if entry.exists():
            yield entry.resolve(), f"{FONT_FOLDER}/{entry.name}"
    for number, folder in enumerate([*_shipped_fonts(), *fonts]):
        yield folder.resolve(), f"{FONT_FOLDER}/handiwork-{number}"
    for folder in fonts:  # where the warm interpreter, which lives outside, has found them
        yield folder.resolve(), str(folder.resolve())


def _shipped_fonts() -> Iterable[Path]:
    """DejaVu as matplotlib ships it, so that `ImageFont.truetype("DejaVuSans.ttf")` works on a host without fonts."""
    found = importlib.util.find_spec("matplotlib")
    if found is not None and found.origin is not None:
        yield Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def _resolve(path: str, links: dict[str, str]) -> str:
    """Follow the symbolic links of `path` one by one, keeping each in `links`, to where it really lies."""
    seen = 0
    rest: list[str]
    done, rest = "/", [part for part in os.path.abspath(path).split("/") if part]  # noqa: PTH100  # keeps links
    while rest:
        done = os.path.join(done, rest.pop(0))  # noqa: PTH118  # as text, links kept
        if Path(done).is_symlink() and (seen := seen + 1) < 40:
            to = str(Path(done).readlink())
            links[done] = to
            joined = os.path.normpath(os.path.join(os.path.dirname(done), to, *rest))  # noqa: PTH118, PTH120  # as text, links kept
            done, rest = "/", [part for part in joined.split("/") if part]
    return done


def _outermost(paths: set[str]) -> set[str]:
    return {p for p in paths if not any(p != other and p.startswith(f"{other}/") for other in paths)}


def _outside(links: dict[str, str], binds: set[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    # A link that lies within a bound folder comes with it.
    places = [place for _source, place in binds]
    return ((at, to) for at, to in links.items() if not any(at.startswith(f"{place}/") for place in places))
