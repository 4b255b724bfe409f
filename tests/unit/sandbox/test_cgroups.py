import os
import subprocess
import sys
from pathlib import Path

import pytest

from handiwork.errors import SandboxBroken
from handiwork.model import MIB, Limits
from handiwork.sandbox import cgroups
from handiwork.sandbox.cgroups import COPIES_BYTES, PREFIX, Group, Hierarchies, find, make, sweep

# The files of a group are made by the kernel when its folder is; here they are plain files and must be there first.
LIMITS = Limits(memory_bytes=100 * MIB, processes=7)
MEMORY = str(100 * MIB + COPIES_BYTES)


def text(path: Path) -> str:
    return path.read_text(encoding="ascii")


def fill(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content, encoding="ascii")
    return folder


# Finding a place


def version_2(root: Path, path: str, *, controllers: str = "cpu io memory pids\n", handed_down: str = "") -> Path:
    files = {"cgroup__procs": "", "cgroup__controllers": controllers, "cgroup__subtree_control": handed_down}
    return fill(root / path, **files)


def version_1(root: Path, path: str, *controllers: str) -> None:
    for controller in controllers:
        fill(root / controller / path, cgroup__procs="")


def test_version_2_is_found_where_this_process_lies(tmp_path: Path) -> None:
    own = version_2(tmp_path, "system.slice/app", handed_down="cpu memory pids\n")
    assert find(membership="0::/system.slice/app\n", root=tmp_path) == Hierarchies(
        version=2, memory=own, pids=own, cpu=own
    )


def test_controllers_that_are_not_handed_down_yet_are(tmp_path: Path) -> None:
    own = version_2(tmp_path, "app", handed_down="cpu\n")
    assert find(membership="0::/app\n", root=tmp_path) is not None
    assert text(own / "cgroup.subtree_control") == "+memory +pids"


def test_inside_a_container_the_mount_itself_is_taken(tmp_path: Path) -> None:
    root = version_2(tmp_path, "")
    found = find(membership="0::/docker/0123\n", root=tmp_path)
    assert found is not None
    assert found.memory == root / "."


def test_version_2_without_the_needed_controllers_is_none(tmp_path: Path) -> None:
    version_2(tmp_path, "app", controllers="cpu io\n")
    assert find(membership="0::/app\n", root=tmp_path) is None


def test_without_the_processor_controller_the_others_are_used(tmp_path: Path) -> None:
    own = version_2(tmp_path, "app", controllers="memory pids\n")
    assert find(membership="0::/app\n", root=tmp_path) == Hierarchies(version=2, memory=own, pids=own, cpu=None)


def test_version_1_is_found_controller_by_controller(tmp_path: Path) -> None:
    version_1(tmp_path, "user/app", "memory", "pids", "cpu,cpuacct")
    found = find(membership="4:memory:/user/app\n3:pids:/user/app\n2:cpu,cpuacct:/user/app\n", root=tmp_path)
    assert found == Hierarchies(
        version=1,
        memory=tmp_path / "memory/user/app",
        pids=tmp_path / "pids/user/app",
        cpu=tmp_path / "cpu,cpuacct/user/app",
    )


def test_version_1_without_its_own_path_takes_the_mount(tmp_path: Path) -> None:
    version_1(tmp_path, "", "memory", "pids")
    found = find(membership="4:memory:/docker/0123\n3:pids:/docker/0123\n", root=tmp_path)
    assert found == Hierarchies(version=1, memory=tmp_path / "memory", pids=tmp_path / "pids", cpu=None)


def test_version_1_without_memory_is_none(tmp_path: Path) -> None:
    version_1(tmp_path, "", "pids")
    assert find(membership="4:memory:/\n3:pids:/\n", root=tmp_path) is None


def test_on_a_machine_with_both_version_1_is_taken_where_version_2_has_no_memory(tmp_path: Path) -> None:
    version_2(tmp_path / "unified", "app", controllers="")
    version_1(tmp_path, "app", "memory", "pids")
    found = find(membership="4:memory:/app\n3:pids:/app\n0::/app\n", root=tmp_path)
    assert found is not None
    assert found.version == 1


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert find(membership="", root=tmp_path) is None
    assert find(membership="0::/app\n", root=tmp_path) is None


@pytest.mark.parametrize("closed", ["app", "app/cgroup.subtree_control"])
def test_a_place_that_cannot_be_written_is_none(tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    version_2(tmp_path, "app", handed_down="cpu memory pids\n")

    # Asked of the system, this would be true of everything for root.
    def access(path: Path, _mode: int) -> bool:
        return path != tmp_path / closed

    monkeypatch.setattr("os.access", access)
    assert find(membership="0::/app\n", root=tmp_path) is None


def test_a_group_with_other_processes_that_does_not_hand_down_is_none(tmp_path: Path) -> None:
    own = version_2(tmp_path, "app")
    refuses_until_empty(own)
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n1\n", encoding="ascii")
    assert find(membership="0::/app\n", root=tmp_path) is None


def test_a_group_of_this_process_alone_moves_it_into_a_leaf_and_hands_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = version_2(tmp_path, "app")
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n", encoding="ascii")
    write, leaf = Path.write_text, own / f"{PREFIX}supervisor"

    def refuse(self: Path, data: str, encoding: str | None = None) -> int:
        if self == own / "cgroup.subtree_control" and not leaf.exists():
            raise OSError(16, "Device or resource busy", str(self))
        return write(self, data, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", refuse)
    assert find(membership="0::/app\n", root=tmp_path) is not None
    assert text(leaf / "cgroup.procs") == str(os.getpid())
    assert text(own / "cgroup.subtree_control") == "+cpu +memory +pids"


def test_a_group_that_hands_nothing_down_even_when_empty_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = version_2(tmp_path, "app")
    write = Path.write_text

    def refuse(self: Path, data: str, encoding: str | None = None) -> int:
        if self == own / "cgroup.subtree_control":
            raise OSError(16, "Device or resource busy", str(self))
        return write(self, data, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", refuse)
    assert find(membership="0::/app\n", root=tmp_path) is None


def refuses_until_empty(own: Path) -> None:
    """Like the kernel: nothing is handed down while the group has processes of its own."""
    (own / "cgroup.subtree_control").unlink()
    (own / "cgroup.subtree_control").mkdir()


# Making a group


def hierarchies(tmp_path: Path, version: int) -> Hierarchies:
    if version == 2:
        return Hierarchies(version=2, memory=tmp_path, pids=tmp_path, cpu=tmp_path)
    folders = {name: fill(tmp_path / name) for name in ("memory", "pids", "cpu")}
    return Hierarchies(version=1, **folders)


def settings_of(group: Group) -> dict[str, str]:
    return {path.name: text(path) for folder in group.folders for path in sorted(folder.iterdir())}


def test_a_group_of_version_2_holds_memory_swap_processes_and_processor(tmp_path: Path) -> None:
    group = make(hierarchies(tmp_path, 2), LIMITS, cores=1.5)
    assert len(group.folders) == 1
    assert group.memory.name.startswith(PREFIX)
    assert settings_of(group) == {
        "memory.max": MEMORY,
        "memory.swap.max": "0",
        "pids.max": "7",
        "cpu.max": "150000 100000",
    }


def test_a_group_of_version_1_holds_memory_swap_processes_and_processor(tmp_path: Path) -> None:
    group = make(hierarchies(tmp_path, 1), LIMITS, cores=1)
    assert [folder.parent.name for folder in group.folders] == ["memory", "pids", "cpu"]
    assert settings_of(group) == {
        "memory.limit_in_bytes": MEMORY,
        "memory.memsw.limit_in_bytes": MEMORY,
        "memory.swappiness": "0",
        "pids.max": "7",
        "cpu.cfs_quota_us": "100000",
    }


@pytest.mark.parametrize("version", [1, 2])
def test_a_limit_that_cannot_be_set_leaves_no_group(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def refuse(self: Path, data: str, encoding: str | None = None) -> int:
        if self.name == "pids.max":
            raise PermissionError(13, "Permission denied", str(self))
        return write(self, data, encoding=encoding)

    places = hierarchies(tmp_path, version)
    monkeypatch.setattr(Path, "write_text", refuse)
    monkeypatch.setattr(Path, "rmdir", remove_with_files)
    with pytest.raises(PermissionError):
        make(places, LIMITS, cores=1)
    assert not list(tmp_path.rglob(f"{PREFIX}*"))


def test_a_limit_that_a_kernel_need_not_have_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def refuse(self: Path, data: str, encoding: str | None = None) -> int:
        if self.name in ("memory.swap.max", "cpu.max"):
            raise FileNotFoundError(2, "No such file", str(self))
        return write(self, data, encoding=encoding)

    monkeypatch.setattr(Path, "write_text", refuse)
    assert set(settings_of(make(hierarchies(tmp_path, 2), LIMITS, cores=1))) == {"memory.max", "pids.max"}


def test_a_process_is_moved_into_every_folder_of_the_group(tmp_path: Path) -> None:
    group = make(hierarchies(tmp_path, 1), LIMITS, cores=1)
    group.take(4242)
    assert [text(folder / "cgroup.procs") for folder in group.folders] == ["4242"] * 3


def test_a_process_that_died_before_its_job_is_an_error_of_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = make(hierarchies(tmp_path, 2), LIMITS, cores=1)

    def refuse(self: Path, data: str, encoding: str | None = None) -> int:
        raise ProcessLookupError(3, "No such process", str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(SandboxBroken, match="4242"):
        group.take(4242)


@pytest.mark.parametrize(
    ("version", "name", "content", "kills"),
    [
        (2, "memory.events", "low 0\nhigh 0\nmax 31\noom 2\noom_kill 2\noom_group_kill 0\n", 2),
        (2, "memory.events", "low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n", 0),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0),
        (2, "memory.events", "oom_kill many\n", 0),
    ],
)
def test_the_kernel_tells_how_many_processes_it_ended(
    tmp_path: Path, version: int, name: str, content: str, kills: int
) -> None:
    group = Group(version=version, memory=tmp_path, folders=(tmp_path,))
    assert group.kills() == 0
    (tmp_path / name).write_text(content, encoding="ascii")
    assert group.kills() == kills


@pytest.mark.parametrize(("version", "name"), [(2, "memory.peak"), (1, "memory.max_usage_in_bytes")])
def test_the_peak_is_what_the_kernel_counted(tmp_path: Path, version: int, name: str) -> None:
    group = Group(version=version, memory=tmp_path, folders=(tmp_path,))
    assert group.peak_bytes() == 0
    (tmp_path / name).write_text("123456\n", encoding="ascii")
    assert group.peak_bytes() == 123456


# Removing


def remove_with_files(self: Path) -> None:
    """Like the kernel: a group without a process goes, and its files with it."""
    if (self / "cgroup.procs").exists() and text(self / "cgroup.procs").strip():
        raise OSError(16, "Device or resource busy", str(self))
    for path in self.iterdir():
        path.unlink()
    os.rmdir(self)  # noqa: PTH106  # `Path.rmdir` is this function


def test_a_group_is_removed_from_every_hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = make(hierarchies(tmp_path, 1), LIMITS, cores=1)
    monkeypatch.setattr(Path, "rmdir", remove_with_files)
    group.remove()
    assert not any(folder.exists() for folder in group.folders)


def test_what_is_left_in_a_group_is_ended(tmp_path: Path) -> None:
    group = make(hierarchies(tmp_path, 2), LIMITS, cores=1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as left:
        group.take(left.pid)
        group.remove()
        assert left.wait(5) == -9


def test_groups_of_supervisors_that_are_gone_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = hierarchies(tmp_path, 1)
    gone, fresh = f"{PREFIX}4194305-a", f"{PREFIX}{os.getpid()}-c"  # the first is no number of a process
    empty, used, new, foreign = (places.memory / n for n in (gone, f"{PREFIX}4194305-b", fresh, "another"))
    for folder, processes in ((empty, ""), (used, "1\n"), (new, ""), (foreign, "")):
        fill(folder, cgroup__procs=processes)
    monkeypatch.setattr(Path, "rmdir", remove_with_files)
    sweep(places)
    assert {folder.name for folder in places.memory.iterdir()} == {"another", used.name, new.name}


def test_the_allowance_is_for_what_is_copied_and_not_more() -> None:
    assert 16 * MIB <= cgroups.COPIES_BYTES <= 64 * MIB
