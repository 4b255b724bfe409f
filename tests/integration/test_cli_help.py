"""`--help` of every command: quick, because nothing heavy is imported for it."""

import json
import os
import subprocess
import sys

import click
import pytest

from handiwork.cli.app import app

HEAVY = {
    *("aiosqlite", "alembic", "anyio", "asyncio", "fastapi", "matplotlib", "numpy", "pandas", "pydantic", "rich"),
    *("sqlalchemy", "starlette", "uvicorn", "uvloop", "yaml"),
}
# What was imported and what it cost, told after the help.
WATCHED = """
import json, sys, time
from handiwork.__main__ import main
code = main()
modules = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([code, modules, time.process_time()]), file=sys.stderr)
"""


def _commands(group: click.Group, *names: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [names]
    for name, command in group.commands.items():
        found += _commands(command, *names, name) if isinstance(command, click.Group) else [(*names, name)]
    return found


def test_the_commands_are_those_of_the_contract() -> None:
    assert {" ".join(words) for words in _commands(app)} == {
        *("", "demo", "serve", "mcp", "run", "make", "ls", "show", "get", "rm", "types", "gc"),
        *("create", "revise", "versions", "diff", "restore", "label", "step", "export", "verify"),
        *("actions", "actions list", "actions approve", "actions reject"),
        *("keys", "keys create", "keys list", "keys revoke", "db", "db upgrade", "db check", "db new-key", "doctor"),
    }


@pytest.mark.parametrize("words", _commands(app), ids=lambda words: " ".join(words) or "handiwork")
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words, "--help"], capture_output=True, timeout=30, check=True, text=True
    )
    code, modules, seconds = json.loads(done.stderr)
    print(f"{seconds:.3f} s CPU")
    assert code == 0
    assert done.stdout.startswith(" ".join(["Usage: handiwork", *words]))
    assert "..." not in done.stdout.partition("Commands:")[2]
    assert HEAVY.isdisjoint(modules)


def test_the_watch_sees_what_a_command_imports() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "types", "--json"], capture_output=True, timeout=30, check=True, text=True
    )
    assert {"asyncio", "pydantic", "rich", "sqlalchemy"} <= set(json.loads(done.stderr)[1])


def test_the_module_and_its_exit_code_are_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "handiwork", "nonsense"], capture_output=True, timeout=30, check=False, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'nonsense'" in done.stderr


def test_a_reader_that_leaves_is_no_crash() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "handiwork", "types"], stdout=nobody, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"")
