"""The command `gc`: what is over is deleted now, or only counted. What is over is decided in `retention`."""

import asyncio
from collections.abc import Mapping

from handiwork import wiring
from handiwork.cli.failures import DONE
from handiwork.cli.locating import located
from handiwork.cli.printing import print_facts, print_json, progress, results, say, size
from handiwork.quantities import counted
from handiwork.retention import Cleaned
from handiwork.settings import load


def run(*, data: str | None, is_dry: bool, as_json: bool) -> int:
    with progress("Looking for what is over" if is_dry else "Cleaning up"):
        cleaned = asyncio.run(_cleaned(data, is_dry=is_dry))
    if as_json:
        print_json(_shape(cleaned, is_dry=is_dry))
        return DONE
    console, found = results(), _facts(cleaned, is_dry=is_dry)
    if not any((cleaned.expired, cleaned.orphans, cleaned.events, cleaned.lost)):
        say(console, "There is nothing to delete." if is_dry else "There was nothing to delete.")
        return DONE
    say(console, ("Would delete; nothing was deleted" if is_dry else "Deleted", "bold"))
    print_facts(console, found)
    return DONE


async def _cleaned(data: str | None, *, is_dry: bool) -> Cleaned:
    settings = load()
    located(data, settings)
    async with wiring.open(data, settings=settings) as engine:
        return await (engine.retention.look() if is_dry else engine.clean())


def _facts(cleaned: Cleaned, *, is_dry: bool) -> Mapping[str, str]:
    found = {
        "expired": f"{counted(cleaned.expired, 'artifact')}, {size(cleaned.expired_size)}",
        "orphaned": f"{counted(cleaned.orphans, 'file')} without a record",
    }
    if not is_dry:
        found["events"] = f"{cleaned.events:,} past their time"
        found["lost"] = f"{counted(cleaned.lost, 'run')} of processes that are no more"
    return found


def _shape(cleaned: Cleaned, *, is_dry: bool) -> dict[str, object]:
    return {
        "dryRun": is_dry,
        "expired": {"artifacts": cleaned.expired, "bytes": cleaned.expired_size},
        "orphans": {"files": cleaned.orphans},
        "events": None if is_dry else cleaned.events,
        "lost": None if is_dry else cleaned.lost,
    }
