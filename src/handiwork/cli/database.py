"""The commands `db upgrade`, `db check` and `db new-key`. How it is done is known to the store."""

from pathlib import Path

from handiwork.cli.failures import DONE, FAILED
from handiwork.cli.printing import notes, print_json, results, say
from handiwork.settings import load
from handiwork.store.key_file import SETTING, make_key
from handiwork.store.upgrade import Revision, check, upgrade


def bring_up_to_date(data: str | None, *, as_json: bool) -> int:
    path = _database(data)
    before = upgrade(path)
    now = check(path)
    if as_json:
        print_json(_shape(path, now) | {"before": before.found})
        return DONE
    match before.standing:
        case "empty":
            done = f"Made the database `{path}` at revision {now.expected}."
        case "current":
            done = f"The database `{path}` was at revision {now.expected} already."
        case _:
            done = f"Brought the database `{path}` from revision {before.found} to {now.expected}."
    say(results(), done)
    return DONE


def check_revision(data: str | None, *, as_json: bool) -> int:
    """Tell how the database stands; one that this release cannot open as it is gives exit code 1."""
    path = _database(data)
    revision = check(path)
    fits = revision.standing in ("current", "empty")
    if as_json:
        print_json(_shape(path, revision) | {"ok": fits})
    else:
        say(results(), _told(path, revision))
    return DONE if fits else FAILED


def write_key(file: str) -> int:
    """Write a new key into a new file for its owner alone."""
    make_key(Path(file).expanduser())
    say(results(), f"Wrote a new key into `{file}`.")
    say(notes(), f"Name it in `{SETTING}.key_file`, and keep a copy where the store is not: nothing opens without it.")
    return DONE


def _told(path: Path, revision: Revision) -> str:
    match revision.standing:
        case "current":
            return f"The database `{path}` is at revision {revision.expected}, which is that of this release."
        case "empty":
            return f"There is no database in `{path}` yet; the first use makes it."
        case "older":
            return (
                f"The database `{path}` is at revision {revision.found}; this release needs {revision.expected}. "
                "The next use or `handiwork db upgrade` brings it up to date, after a copy."
            )
        case "newer":
            return (
                f"The database `{path}` is at revision {revision.found}, which this release does not know "
                f"(its own is {revision.expected}). Use the release that wrote it."
            )


def _shape(path: Path, revision: Revision) -> dict[str, object]:
    return {
        "database": str(path),
        "revision": revision.found,
        "expected": revision.expected,
        "standing": revision.standing,
    }


def _database(data: str | None) -> Path:
    return load().location(data).database
