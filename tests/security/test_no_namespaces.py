"""Where no user namespace can be made, as in most containers: `auto` takes the level below, and says why."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.linux
PROGRAM = """
import asyncio, json, sys
import handiwork
from handiwork.errors import IsolationUnavailable
from handiwork.settings import Artifacts, Settings

CHART = "import matplotlib.pyplot as plt; plt.bar(['A'], [1]); plt.savefig('chart.png')"
PROBE = '''
import os, socket
for attempt in (lambda: socket.socket(), lambda: open(PATH).read(), lambda: os.execv("/bin/true", ["true"]), os.fork):
    try: attempt(); print("DONE")
    except OSError: print("refused")
'''

async def main(level, data, secret):
    settings = Settings(artifacts=Artifacts(isolation=level))
    async with handiwork.open(data, settings=settings) as engine:
        session = engine.session("s")
        try:
            charts = [await session.run(CHART) for _ in range(3)]
        except IsolationUnavailable as refused:
            print(json.dumps({"refused": refused.wall, "hint": refused.hint}))
            return
        probe = await session.run(f"PATH = {secret!r}" + PROBE, check=False)
        print(json.dumps({
            "level": charts[-1].outcome.isolation.level,
            "files": [[a.name for a in chart.artifacts] for chart in charts],
            "ready": engine.sandbox.ready > 0,
            "probe": probe.outcome.stdout,
        }))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.root
def test_root_that_may_not_signal_other_users_can_end_its_jobs(tmp_path: Path) -> None:
    without = ["setpriv", "--bounding-set", "-kill", "--inh-caps", "-kill"]
    secret = tmp_path / "secret.txt"
    secret.write_text("canary", encoding="utf-8")
    found = [
        json.loads(
            _done([*command, sys.executable, "-c", PROGRAM, "full", str(tmp_path / name), str(secret)], tmp_path)
        )
        for name, command in (("without", without), ("with", list[str]()))
    ]

    assert [each["level"] for each in found] == ["full", "full"]
    assert [each["files"] for each in found] == [[["chart.png"]] * 3] * 2
    assert [each["probe"].count("refused") for each in found] == [3, 3], "a job may have children at this level"


def _done(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def told(folder: Path, level: str, *, namespaces: bool) -> dict[str, Any]:
    """What an engine says in a user namespace of its own, in which further ones can be made or not."""
    secret = folder / "secret.txt"
    secret.write_text("canary", encoding="utf-8")
    forbid = "" if namespaces else "echo 0 > /proc/sys/user/max_user_namespaces; "
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", f'{forbid}exec "$@"', "sh"]
    command += [sys.executable, "-c", PROGRAM, level, str(folder / f"{level}-{namespaces}"), str(secret)]
    return json.loads(_done(command, folder))


def test_without_namespaces_auto_takes_what_stands_and_holds_it(tmp_path: Path) -> None:
    assert told(tmp_path, "auto", namespaces=True)["level"] == "full", "control: with them it is the stronger one"

    found = told(tmp_path, "auto", namespaces=False)

    assert found["level"] == "unprivileged"
    assert found["files"] == [["chart.png"]] * 3
    assert found["ready"], "children are ready at this level too"
    assert found["probe"] == "refused\n" * 4


def test_without_namespaces_full_runs_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    found = told(tmp_path, "full", namespaces=False)

    assert found["refused"] == "userNamespace"
    assert "user namespaces" in found["hint"]
