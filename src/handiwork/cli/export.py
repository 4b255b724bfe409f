"""The commands `export` and `verify`: a session as one ZIP, and whether a ZIP is still as it was written.

What is in it, and what is looked at, is decided in `handiwork.export`.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from handiwork.cli.failures import DONE, TargetRefused, exit_code, tell
from handiwork.cli.files import demand_folder
from handiwork.cli.printing import print_json, results, say, size
from handiwork.cli.store import Place, opened
from handiwork.errors import ExportInvalid
from handiwork.export.verify import Verified
from handiwork.export.verify import verify as look_at
from handiwork.quantities import counted


def export(place: Place, out: str, references: Sequence[str]) -> int:
    path = Path(out)
    if os.path.lexists(path):
        raise _refused(out, "it is there already, and nothing is replaced")
    if not path.parent.is_dir():
        raise _refused(out, f"there is no folder `{path.parent}`")
    demand_folder(path.parent)
    return asyncio.run(_export(place, path, references))


def verify(file: str, *, as_json: bool) -> int:
    found = look_at(Path(file))
    try:
        found.demand_whole()
    except ExportInvalid as invalid:
        return _tell_faults(found, invalid, as_json=as_json)
    if as_json:
        print_json({"ok": True, **_facts(file, found), "faults": []})
    else:
        say(results(), f"{file} is as it was written: {_counted(found.artifacts, found.versions)}, {size(found.size)}.")
    return DONE


async def _export(place: Place, path: Path, references: Sequence[str]) -> int:
    async with opened(place) as session:
        made = await session.export(path, references or None)
    if place.as_json:
        print_json({"path": str(path), "artifacts": made.artifacts, "versions": made.versions, "size": made.size})
    else:
        say(results(), f"{path}  {_counted(made.artifacts, made.versions)}, {size(made.size)}")
    return DONE


def _refused(out: str, why: str) -> TargetRefused:
    refused = TargetRefused(out, why)
    refused.hint = "Name another file, in a folder that is there."
    return refused


def _tell_faults(found: Verified, invalid: ExportInvalid, *, as_json: bool) -> int:
    if as_json:
        faults = [{"file": fault.file, "problem": fault.problem} for fault in found.faults]
        error = {"code": invalid.code, "message": str(invalid), "hint": invalid.hint}
        print_json({"ok": False, "error": error, "faults": faults})
        return exit_code(invalid)
    for fault in found.faults:
        say(results(), f"{fault.file} {fault.problem}")
    return tell(invalid, as_json=False)


def _facts(file: str, found: Verified) -> dict[str, object]:
    return {
        "path": file,
        "session": found.session,
        "artifacts": found.artifacts,
        "versions": found.versions,
        "size": found.size,
    }


def _counted(artifacts: int, versions: int) -> str:
    return f"{counted(artifacts, 'artifact')}, {counted(versions, 'version')}"
