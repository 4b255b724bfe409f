"""How many jobs run at a time, by what the machine has."""

from pathlib import Path

import pytest

from handiwork.model import MIB
from handiwork.sandbox import capacity
from handiwork.sandbox.cgroups import memory_limit

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("cores", "memory", "jobs"),
    [(2, 64 * GIB, 2), (1, 64 * GIB, 2), (16, 64 * GIB, 16), (16, 2 * GIB, 3), (4, 512 * MIB, 1), (4, 64 * MIB, 1)],
)
def test_as_many_jobs_run_as_there_are_processors_and_memory_for(cores: int, memory: int, jobs: int) -> None:
    assert capacity.concurrency(512 * MIB, cores=cores, memory=memory) == jobs


@pytest.mark.parametrize(("memory", "children"), [(64 * GIB, 4), (2 * GIB, 4), (1 * GIB, 2), (256 * MIB, 0)])
def test_fewer_children_wait_where_memory_is_short(memory: int, children: int) -> None:
    assert capacity.ready(4, memory=memory) == children


def test_this_machine_has_some_of_each() -> None:
    assert capacity.processors() >= 1
    assert (capacity.memory_bytes() or 0) > 64 * MIB


def test_the_tightest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    own = tmp_path / "kubepods" / "pod"
    own.mkdir(parents=True)
    (own / "memory.max").write_text("max\n", encoding="ascii")
    (own.parent / "memory.max").write_text(f"{GIB}\n", encoding="ascii")
    assert memory_limit(membership="0::/kubepods/pod\n", root=tmp_path) == GIB


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n", encoding="ascii")
    assert memory_limit(membership="0::/docker/0123\n", root=tmp_path) == 2 * GIB


def test_version_1_tells_the_limit_of_all_groups_above_in_one_place(tmp_path: Path) -> None:
    own = tmp_path / "memory" / "app"
    own.mkdir(parents=True)
    (own / "memory.stat").write_text(f"cache 0\nhierarchical_memory_limit {GIB}\n", encoding="ascii")
    assert memory_limit(membership="4:memory:/app\n0::/\n", root=tmp_path) == GIB


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(membership="", root=tmp_path) is None
