"""The core probes once more where the server is no root, without a control group and with one that was handed to it.

A copy of the interpreter runs an engine as an ordinary user of the host, and what it may not touch belongs to others or
to that user.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import ordinary_probes
import pytest
from jails import descendants

import handiwork
from handiwork.sandbox import cgroups

pytestmark = [pytest.mark.linux, pytest.mark.root]
USER = 1234
NOT_NEEDED = ("site-packages", "test", "config-*", "__pycache__", "idlelib", "ensurepip")
TOOLS = ("_editable*", "handiwork", "basedpyright*", "nodejs*", "ruff*", "hypothesis*", "__pycache__")
Told = dict[str, dict[str, Any]]


def _linked(source: str, target: str, *, follow_symlinks: bool = True) -> None:
    try:
        os.link(source, target, follow_symlinks=follow_symlinks)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=follow_symlinks)


def _copied(source: Path, target: Path, without: tuple[str, ...]) -> None:
    ignore = shutil.ignore_patterns(*without)
    shutil.copytree(source, target, symlinks=True, copy_function=_linked, ignore=ignore)


@pytest.fixture(scope="module")
def python() -> Generator[Path]:
    """An interpreter with all libraries in a place where everybody may read, as an installation for users is."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    with tempfile.TemporaryDirectory(prefix="handiwork-user-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        (place / "base/bin").mkdir(parents=True)
        shutil.copy2(Path(sys.executable).resolve(), place / "base/bin" / name)
        standard = Path(sysconfig.get_path("stdlib"))
        _copied(standard, place / "base/lib" / standard.name, NOT_NEEDED)
        for library in Path(sys.base_prefix).glob("lib/libpython*"):
            shutil.copy2(library, place / "base/lib" / library.name, follow_symlinks=False)
        site = place / "env/lib" / name / "site-packages"
        (place / "env/bin").mkdir(parents=True)
        (place / "env/bin/python").symlink_to(place / "base/bin" / name)
        settings = f"home = {place / 'base/bin'}\ninclude-system-site-packages = false\n"
        (place / "env/pyvenv.cfg").write_text(settings, encoding="utf-8")
        _copied(Path(sysconfig.get_path("purelib")), site, TOOLS)
        shutil.copytree(handiwork.__path__[0], site / "handiwork", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(ordinary_probes.__file__, place / "probes.py")
        home = place / "home"
        home.mkdir()
        (home / "private.txt").write_text("canary of the user", encoding="utf-8")
        for path in (home, home / "private.txt"):
            os.chown(path, USER, USER)
        yield place / "env/bin/python"


@contextlib.contextmanager
def delegated() -> Generator[list[Path]]:
    """A control group that belongs to the user, by the files through which a process gets into it."""
    found = cgroups.find(membership=Path("/proc/self/cgroup").read_text(encoding="utf-8"))
    if found is None:
        pytest.skip("gap: there is no control group that could be handed to a user")
    folders = [place / f"user-{USER}" for place in {found.memory, found.pids, found.cpu} if place is not None]
    try:
        for folder in folders:
            folder.mkdir(exist_ok=True)
            for path in (folder, *folder.glob("cgroup.*")):
                os.chown(path, USER, USER)
        yield [folder / "cgroup.procs" for folder in folders]
    finally:
        for folder in folders:
            folder.rmdir()


@pytest.fixture(
    scope="module",
    params=[(level, memory_by) for level in ("full", "unprivileged") for memory_by in ("watch", "cgroup")],
    ids="-".join,
)
def told(request: pytest.FixtureRequest, python: Path) -> Generator[Told]:
    """What the probes came to at a level, name by name."""
    level, memory_by = request.param
    if memory_by == "watch":
        yield _probed(python, level, memory_by, [])
        return
    with delegated() as groups:
        yield _probed(python, level, memory_by, groups)


def _probed(python: Path, level: str, memory_by: str, groups: list[Path]) -> Told:
    place = python.parents[2]
    data = place / "home" / f"{level}-{memory_by}"
    enter = "".join(f"echo $$ > {group}; " for group in groups)
    command = ["sh", "-c", f'{enter}exec "$@"', "sh"]
    command += [
        "setpriv",
        f"--reuid={USER}",
        f"--regid={USER}",
        "--clear-groups",
        "env",
        "-i",
        f"HOME={place / 'home'}",
    ]
    command += ["PATH=/usr/bin:/bin", str(python), str(place / "probes.py"), level, str(data)]
    paths = [str(place / "home/private.txt"), str(data / "handiwork.db"), "/etc/hostname", "/etc/passwd"]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=50, check=False, cwd=place)
    if "isolation_unavailable" in done.stdout or "IsolationUnavailable" in done.stdout:
        pytest.skip(f"gap: as an ordinary user `{level}` is not to be had: {done.stdout[-400:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (place / "home/private.txt").read_text(encoding="utf-8") == "canary of the user"
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["probe"] for line in lines] == list(ordinary_probes.PROBES)
    return {line["probe"]: line | {"level": level, "asked": memory_by} for line in lines}


def test_a_chart_is_drawn_behind_all_walls_with_memory_bounded(told: Told) -> None:
    chart = told["chart"]

    assert (chart["status"], chart["files"], chart["memory_by"]) == ("succeeded", ["c.png"], chart["asked"])
    assert {"landlock", "seccomp", "capabilities", "noNewPrivileges"} <= set(chart["walls"])
    assert ("privateRoot" in chart["walls"]) == (chart["level"] == "full")
    assert chart["stdout"].startswith("1000 1\n" if chart["level"] == "full" else f"{USER} ")


@pytest.mark.parametrize("probe", ["files", "write"])
def test_no_file_of_the_user_or_the_machine_is_touched(told: Told, probe: str) -> None:
    assert told[probe]["stdout"] == "refused\n" * 4


def test_the_same_files_are_open_to_the_user_outside(python: Path) -> None:
    private = python.parents[2] / "home/private.txt"
    read = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", str(python), "-c"]

    done = subprocess.run(
        [*read, f"print(open({str(private)!r}).read())"], capture_output=True, text=True, timeout=20, check=True
    )

    assert done.stdout == "canary of the user\n"


@pytest.mark.parametrize("probe", ["network", "program", "namespace"])
def test_calls_that_lead_out_are_refused(told: Told, probe: str) -> None:
    assert told[probe]["stdout"] == "refused\n"


def test_a_memory_bomb_is_stopped(told: Told) -> None:
    assert told["memory"]["status"] == "out_of_memory"


def test_memory_that_only_children_have_is_stopped(told: Told) -> None:
    assert told["memory of children"]["status"] == ("out_of_memory" if told["chart"]["level"] == "full" else "failed")


@pytest.mark.parametrize("probe", ["fork bomb", "thread bomb"])
def test_a_bomb_of_processes_or_threads_stays_within_its_limit(told: Told, probe: str) -> None:
    bomb = told[probe]

    assert bomb["status"] in ("succeeded", "failed", "timed_out", "out_of_memory", "killed")
    if (probe, bomb["level"], bomb["asked"]) == ("thread bomb", "unprivileged", "watch"):
        # Nothing but a look from time to time counts the threads there, so the job is ended, not held.
        assert bomb["status"] == "killed"
        return
    assert bomb["stdout"].count(".") <= 16
    assert bomb["stdout"] or (probe, bomb["level"]) == ("fork bomb", "unprivileged"), "control: some are allowed"


def test_files_and_time_are_limited(told: Told) -> None:
    assert told["disk"]["status"] in ("failed", "output_too_large")
    assert told["disk"]["disk_used"] < 300 * 2**20
    assert told["asleep"]["status"] == "timed_out"


@pytest.mark.parametrize("probe", ["folder closed", "folder unsearchable"])
def test_rights_that_a_job_takes_away_do_not_break_the_harvest(told: Told, probe: str) -> None:
    assert told[probe].get("status") == "succeeded", told[probe]


@pytest.mark.parametrize("probe", ["shared memory", "hidden pages"])
def test_pages_cannot_be_held_where_looking_does_not_find_them(told: Told, probe: str) -> None:
    if told[probe]["asked"] == "cgroup":
        assert told[probe]["status"] == "out_of_memory", "a group counts them wherever they are"
        return
    assert told[probe]["status"] == "failed"
    assert "PermissionError" in told[probe]["stderr"]


def test_the_last_job_is_served_and_nobody_of_that_user_is_left(told: Told) -> None:
    assert told["after"]["stdout"] == "served\n"
    assert not any("zygote.py" in command and "handiwork-user-" in command for command in descendants(1).values())
