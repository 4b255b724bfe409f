"""The collector: what it keeps, what it writes, and what does not stop it."""

import inspect
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from handiwork.collect import Artifact
from handiwork.collect.collector import ArtifactCollector, Problem
from handiwork.collect.extraction import FencesRule
from handiwork.errors import InvalidContent

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BLOCK = "```py\nx = 1\n```\n"


def collector(
    *,
    persist_dir: Path | None = None,
    on_add: Callable[[Artifact], object] | None = None,
    fences: FencesRule = "commonmark",
) -> ArtifactCollector:
    return ArtifactCollector(persist_dir=persist_dir, on_add=on_add, fences=fences, clock=lambda: NOON)


def names(artifacts: list[Artifact]) -> list[str]:
    return [artifact.name for artifact in artifacts]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_signatures_are_those_that_others_call() -> None:
    parameters = {
        name: list(inspect.signature(getattr(ArtifactCollector, name)).parameters)[1:]
        for name in ("__init__", "all", "by_kind", "add", "extract_from_output", "ingest_tool_metadata")
    }
    assert parameters == {
        "__init__": ["persist_dir", "on_add", "fences", "clock"],
        "all": [],
        "by_kind": ["kind"],
        "add": ["kind", "name", "content", "language", "iteration", "metadata"],
        "extract_from_output": ["text", "iteration"],
        "ingest_tool_metadata": ["metadata", "iteration"],
    }
    assert ArtifactCollector.MAX_CONTENT_CHARS == 64_000


def test_an_artifact_is_a_dictionary_with_its_keys_in_order() -> None:
    kept = collector().add(kind="answer", name="a.md", content="A", iteration=2, metadata={"b": 1})
    assert list(kept.to_dict().items()) == [
        ("kind", "answer"),
        ("name", "a.md"),
        ("content", "A"),
        ("language", None),
        ("iteration", 2),
        ("created_at", NOON.timestamp()),
        ("metadata", {"b": 1}),
    ]


def test_artifacts_are_kept_in_order_and_found_by_kind() -> None:
    kept = collector()
    kept.add(kind="file", name="a", content="")
    kept.extract_from_output(BLOCK, iteration=1)
    assert names(kept.all()) == ["a", "iter1-block1.py"]
    assert names(kept.by_kind("code")) == ["iter1-block1.py"]
    assert kept.by_kind("table") == []


@pytest.mark.parametrize(("length", "kept"), [(64_000, 64_000), (64_001, 64_013)])
def test_content_over_the_cap_is_cut_and_says_so(length: int, kept: int) -> None:
    content = collector().add(kind="file", name="a", content="é" * length).content
    assert len(content) == kept
    assert content.endswith("(truncated)") == (length > 64_000)


def test_content_that_is_no_text_is_refused() -> None:
    kept = collector()
    with pytest.raises(InvalidContent, match="expected text, got a NoneType"):
        kept.add(kind="file", name="a", content=None)  # pyright: ignore[reportArgumentType]  # the point
    assert kept.all() == []


# From outputs


def test_an_output_that_repeats_an_earlier_one_is_not_collected_again() -> None:
    kept = collector()
    assert names(kept.extract_from_output(BLOCK, iteration=1)) == ["iter1-block1.py"]
    assert kept.extract_from_output(BLOCK, iteration=2) == []
    assert names(kept.extract_from_output(f"{BLOCK}```py\ny\n```", iteration=3)) == ["iter3-block2.py"]


def test_a_block_that_an_output_holds_twice_is_collected_twice() -> None:
    assert names(collector().extract_from_output(BLOCK * 2, iteration=1)) == ["iter1-block1.py", "iter1-block2.py"]


def test_a_block_is_collected_while_its_output_is_still_coming() -> None:
    kept = collector()
    reader = kept.reader(iteration=1)
    reader.feed(f"{BLOCK}# The")
    assert names(kept.all()) == ["iter1-block1.py"]
    reader.feed(" end" + "!" * 200)
    assert names(reader.close()) == ["iter1-the-end.md"]


def test_the_old_rule_of_fences_is_to_be_had() -> None:
    assert collector().extract_from_output("~~~py\nx\n~~~", iteration=1)
    assert not collector(fences="legacy").extract_from_output("~~~py\nx\n~~~", iteration=1)


# From tools


def test_one_mapping_and_a_list_of_them_are_taken() -> None:
    kept = collector()
    told = {"artifact": True, "kind": "table", "name": "a.csv", "content": "a", "language": "csv", "rows": 1}
    assert kept.ingest_tool_metadata(told, 4) == [
        Artifact(
            kind="table",
            name="a.csv",
            content="a",
            language="csv",
            iteration=4,
            created_at=NOON.timestamp(),
            metadata={"rows": 1},
        )
    ]
    assert names(kept.ingest_tool_metadata([told, {"artifact": False}, "x", None, told], 5)) == ["a.csv", "a.csv"]


def test_what_a_tool_leaves_out_has_a_default() -> None:
    (kept,) = collector().ingest_tool_metadata({"artifact": True, "content": None}, 2)
    assert (kept.kind, kept.name, kept.content, kept.language) == ("file", "iter2-unnamed", "", None)


def test_an_artifact_within_the_metadata_is_taken() -> None:
    (kept,) = collector().ingest_tool_metadata({"artifact": {"kind": "file", "name": "a.md", "content": "A"}}, 1)
    assert (kept.kind, kept.name, kept.content) == ("file", "a.md", "A")


@pytest.mark.parametrize("told", [None, 7, "artifact", [], {}, {"artifact": 0}, [[{"artifact": True}]]])
def test_metadata_of_another_form_is_none_of_ours(told: object) -> None:
    assert collector().ingest_tool_metadata(told, 1) == []


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


def test_metadata_that_cannot_be_read_is_a_problem_and_the_rest_is_collected() -> None:
    kept = collector()
    told = [{"artifact": True, "content": Unspeakable()}, {"artifact": True, "name": "b"}]
    assert names(kept.ingest_tool_metadata(told, 1)) == ["b"]
    assert kept.problems() == [Problem(what="metadata", name="iter1-unnamed", why="RuntimeError: no words")]


# To disk


class Leaving:
    def __str__(self) -> str:
        raise SystemExit(3)


class Crooked(list[object]):
    def __iter__(self) -> Iterator[object]:
        raise KeyError("first")


def folded() -> list[object]:
    """Return little that is endless on paper."""
    folds: list[object] = ["x" * 1000]
    for _ in range(60):
        folds = [folds, folds, folds]
    return folds


@pytest.mark.parametrize(
    "told",
    [
        {"artifact": True, "name": Leaving()},
        {"artifact": True, "content": Leaving()},
        {"artifact": True, "content": folded()},
        Crooked([{"artifact": True}]),
    ],
    ids=["a name", "content", "too much", "a list"],
)
def test_no_metadata_takes_the_run_with_it(told: object) -> None:
    kept = collector()
    assert kept.ingest_tool_metadata(told, 1) == []
    assert [problem.what for problem in kept.problems()] == ["metadata"]


def test_metadata_that_is_endless_on_paper_is_kept_and_not_written(tmp_path: Path) -> None:
    kept = collector(persist_dir=tmp_path)
    told = {"artifact": True, "name": "a", "content": "a", "more": folded()}
    assert names(kept.ingest_tool_metadata(told, 1)) == ["a"]
    assert [problem.what for problem in kept.problems()] == ["persist"]
    assert files(tmp_path) == []


def test_each_artifact_is_a_file_of_its_own(tmp_path: Path) -> None:
    kept = collector(persist_dir=tmp_path / "a" / "b")
    for name in ("Plot 1.py", "plot-1.PY", "../../etc/passwd", "日本", ""):
        kept.add(kind="file", name=name, content=name)
    assert files(tmp_path / "a" / "b") == [
        "..-..-etc-passwd.json",
        "artifact-4.json",
        "artifact-5.json",
        "plot-1.py-2.json",
        "plot-1.py.json",
    ]
    told = json.loads((tmp_path / "a" / "b" / "plot-1.py.json").read_text(encoding="utf-8"))
    assert list(told.items()) == list(kept.all()[0].to_dict().items())


def test_two_runs_leave_the_same_files(tmp_path: Path) -> None:
    for folder in ("first", "second", "second"):
        collector(persist_dir=tmp_path / folder).extract_from_output(BLOCK * 2 + "# T" + "x" * 300, iteration=1)
    assert files(tmp_path / "first") == files(tmp_path / "second")
    contents = [[(tmp_path / f / name).read_bytes() for name in files(tmp_path / f)] for f in ("first", "second")]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3


def test_a_disk_that_refuses_is_a_problem_and_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    kept = collector(persist_dir=tmp_path / "file")
    assert kept.add(kind="file", name="a", content="A") == kept.all()[0]
    assert [(problem.what, problem.name) for problem in kept.problems()] == [("persist", "a")]


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    kept = collector(persist_dir=tmp_path)
    kept.add(kind="file", name="a", content="A")
    assert [problem.what for problem in kept.problems()] == ["persist"]
    assert files(tmp_path) == ["a.json"]


def nested(depth: int) -> Any:
    value: Any = 1
    for _level in range(depth):
        value = [value]
    return value


NO_JSON = {
    "set": {1, 2},
    "object": object(),
    "nan": float("nan"),
    "number": 10**5000,
    "depth": nested(100_000),
    "bytes": b"x",
    "key": {(1, 2): "x"},
    "unspeakable": Unspeakable(),
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON)
def test_metadata_that_is_no_json_is_kept_and_written_as_text(value: object, tmp_path: Path) -> None:
    kept = collector(persist_dir=tmp_path)
    assert kept.add(kind="file", name="a", content="\ud800\0", metadata={"value": value}).metadata["value"] is value
    told = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert told["content"] == "\ud800\0"
    assert [problem.what for problem in kept.problems()] == ([] if value == "\ud800" else ["metadata"])


# To callers


def test_each_artifact_is_told_at_once() -> None:
    told: list[str] = []
    kept = collector(on_add=lambda artifact: told.append(artifact.name))
    kept.extract_from_output(BLOCK, iteration=1)
    kept.ingest_tool_metadata({"artifact": True, "name": "b"}, 1)
    kept.add(kind="answer", name="c", content="")
    assert told == ["iter1-block1.py", "b", "c"]


def test_a_callback_that_fails_is_a_problem_and_nothing_more() -> None:
    def fail(artifact: Artifact) -> None:
        raise RuntimeError(f"not {artifact.name}")

    kept = collector(on_add=fail)
    kept.add(kind="file", name="a", content="")
    assert names(kept.all()) == ["a"]
    assert kept.problems() == [Problem(what="on_add", name="a", why="RuntimeError: not a")]


def test_a_listener_hears_artifacts_and_problems_while_it_listens() -> None:
    heard: list[Artifact | Problem] = []
    kept = collector(on_add=lambda _artifact: 1 / 0)
    kept.add(kind="file", name="before", content="")
    with kept.heard_by(heard.append):
        added = kept.add(kind="file", name="a", content="")
    kept.add(kind="file", name="after", content="")
    assert heard == [added, Problem(what="on_add", name="a", why="ZeroDivisionError: division by zero")]


def test_a_callback_may_collect_more() -> None:
    def copy(artifact: Artifact) -> None:
        if artifact.name == "a":
            kept.add(kind="file", name="b", content="")

    kept = collector(on_add=copy)
    kept.add(kind="file", name="a", content="")
    assert names(kept.all()) == ["a", "b"]


def in_threads(work: Callable[[int], object], count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)


def test_threads_lose_nothing_and_share_no_file(tmp_path: Path) -> None:
    kept = collector(persist_dir=tmp_path)
    in_threads(lambda number: [kept.add(kind="file", name="a", content=f"{number}-{n}") for n in range(10)], 8)
    written = {json.loads(path.read_text(encoding="utf-8"))["content"] for path in tmp_path.iterdir()}
    assert written == {f"{number}-{n}" for number in range(8) for n in range(10)}
    assert len(kept.all()) == 80
