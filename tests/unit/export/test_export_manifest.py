"""Paths of an export that lead out of no folder on any system, and manifests that say what cannot be."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handiwork.errors import ExportInvalid
from handiwork.export.manifest import (
    LONGEST_PART_BYTES,
    alike,
    artifact_entry,
    is_safe_path,
    path_of,
    read_manifest,
)
from sample_records import filed

HOSTILE = [
    "../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "C:\\autoexec.bat",
    "C:evil.txt",
    "..",
    ".",
    "",
    "   ",
    "...",
    ".bashrc",
    "-rf",
    "CON",
    "con.txt",
    "Aux.tar.gz",
    "NUL .txt",
    "COM1",
    "com¹.log",
    "lpt9.csv",
    "CONIN$",
    "trailing.",
    "trailing ",
    "a\0b.txt",
    "a\nb\rc.txt",
    "evil\u202egpj.exe",
    'quo"te<>|?*.txt',
    "stream.txt:hidden",
    "half\ud800.txt",
    "e\u0301.txt",
    "x" * 255,
    "図" * 85,
    "a." + "b" * 250,
    f"{'y' * 250}.txt",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_becomes_a_file_in_its_folder(name: str) -> None:
    path = path_of("chart_k3x9", 2, name)
    assert is_safe_path(path)
    assert path.startswith("artifacts/chart_k3x9/v2/")
    assert len(path.encode()) < 220


@given(name=st.text(max_size=300), handle=st.text(max_size=40), number=st.integers(1, 2**31 - 1))
def test_every_name_becomes_a_safe_path(name: str, handle: str, number: int) -> None:
    assert is_safe_path(path_of(handle, number, name))


@pytest.mark.parametrize("name", ["report.pdf", "Sales by region.csv", "Größe 図.txt", "a_b-c (2).tar.gz", "😀.png"])
def test_an_ordinary_name_is_kept(name: str) -> None:
    assert path_of("chart_k3x9", 1, name) == f"artifacts/chart_k3x9/v1/{name}"


def test_a_long_name_keeps_its_ending() -> None:
    name = path_of("a_k3x9", 1, f"{'ö' * 200}.tar.xlsx").rpartition("/")[2]
    assert name.endswith(".xlsx")
    assert len(name.encode()) <= LONGEST_PART_BYTES


@pytest.mark.parametrize(
    "path",
    [
        "artifacts/a/v1/..",
        "artifacts/../v1/a",
        "artifacts/a/v1/b/c",
        "artifacts/a/v0/b",
        "artifacts/a/v1/",
        "artifacts//v1/b",
        "artifacts/a/v1/con",
        "artifacts/a/v1/b ",
        "artifacts/a/v1/b\\c",
        "artifacts/a/v1/b:c",
        "artifacts/a/v1/.b",
        "artifacts/a/v1/b\0",
        "artifacts/a/v1/\ud800",
        "/artifacts/a/v1/b",
        "other/a/v1/b",
        "artifacts/a/v\u0661/b",
        "",
    ],
    ids=ascii,
)
def test_another_path_is_not_safe(path: str) -> None:
    assert not is_safe_path(path)
    assert is_safe_path("artifacts/a/v1/b")


def test_paths_that_some_system_takes_for_one_are_alike() -> None:
    assert alike("A/é") == alike("a/e\u0301")
    assert alike("a/ß") != alike("a/s")


def manifest() -> dict[str, Any]:
    """A manifest of two artifacts, the first with two versions."""
    first, second = filed("first").artifact, filed("second").artifact
    newest = replace(first.version, number=2, sha256="1" * 64, size=20)
    first = replace(first, version=newest)
    entries = [
        artifact_entry(
            first, [(v, path_of(first.handle, v.number, v.name)) for v in (newest, filed().artifact.version)]
        ),
        artifact_entry(second, [(second.version, path_of(second.handle, 1, second.version.name))]),
    ]
    return {
        "format": "handiwork-export",
        "formatVersion": 1,
        "session": "s-1",
        "user": "ada",
        "artifacts": entries,
        "asOf": None,
        "page": {"path": "index.html", "size": 3, "sha256": "2" * 64},
    }


def test_a_manifest_names_every_file_with_size_and_hash() -> None:
    told = read_manifest(json.dumps(manifest()).encode())
    assert (told.session, told.artifacts, told.versions) == ("s-1", 2, 3)
    assert len(told.files) == 4
    assert {file.size for file in told.files.values()} == {3, 10, 20}
    assert all(path == file.path for path, file in told.files.items())


def _at(value: Any, *keys: str | int) -> Any:
    for key in keys:
        value = value[key]
    return value


LIES: dict[str, Callable[[Any], object]] = {
    "another format": lambda m: m.update(format="zip"),
    "a later version": lambda m: m.update(formatVersion=2),
    "a version that is a text": lambda m: m.update(formatVersion="1"),
    "no artifacts": lambda m: m.pop("artifacts"),
    "artifacts of another kind": lambda m: m.update(artifacts={}),
    "no page": lambda m: m.pop("page"),
    "a page elsewhere": lambda m: m["page"].update(path="artifacts/a/v1/b"),
    "no versions": lambda m: _at(m, "artifacts", 1).update(versions=[]),
    "a path that leads out": lambda m: _at(m, "artifacts", 1, "versions", 0).update(path="../out"),
    "an absolute path": lambda m: _at(m, "artifacts", 1, "versions", 0).update(path="/etc/passwd"),
    "the path of another": lambda m: _at(m, "artifacts", 1, "versions", 0).update(
        path=_at(m, "artifacts", 0, "versions", 0, "path")
    ),
    "a path twice": lambda m: m["artifacts"].append({**copy.deepcopy(m["artifacts"][0]), "id": "art_x"}),
    "an artifact twice": lambda m: m["artifacts"].append(m["artifacts"][0]),
    "a version twice": lambda m: _at(m, "artifacts", 0, "versions").append(_at(m, "artifacts", 0, "versions", 1)),
    "another head": lambda m: _at(m, "artifacts", 0, "version").update(sha256="9" * 64),
    "a size below nothing": lambda m: _at(m, "artifacts", 0, "versions", 1).update(size=-1),
    "a size beyond all": lambda m: _at(m, "artifacts", 0, "versions", 1).update(size=2**80),
    "a size that is true": lambda m: _at(m, "artifacts", 0, "versions", 1).update(size=True),
    "a hash that is none": lambda m: _at(m, "artifacts", 0, "versions", 1).update(sha256="0" * 63 + "\n"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_manifest_that_lies_is_refused(lie: Callable[[Any], object]) -> None:
    told = manifest()
    lie(told)
    with pytest.raises(ExportInvalid) as refused:
        read_manifest(json.dumps(told).encode())
    assert refused.value.file == "manifest.json"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'{"format": 1, "format": 2}',
        b'{"format": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b'"\\ud800"',
        b"1" * 5000,
    ],
    ids=lambda data: repr(data[:20]),
)
def test_what_is_no_manifest_is_refused_and_no_crash(data: bytes) -> None:
    with pytest.raises(ExportInvalid):
        read_manifest(data)


@settings(max_examples=40)
@given(
    metadata=st.dictionaries(
        st.text(max_size=20),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=10,
        ),
        max_size=4,
    )
)
def test_whatever_is_noted_of_a_version_can_be_read_back(metadata: dict[str, object]) -> None:
    artifact = filed().artifact
    artifact = replace(artifact, facts=metadata, version=replace(artifact.version, metadata=metadata))
    told = manifest()
    told["artifacts"] = [artifact_entry(artifact, [(artifact.version, path_of(artifact.handle, 1, "a"))])]
    assert read_manifest(json.dumps(told, allow_nan=False).encode()).versions == 1


def test_metadata_that_json_cannot_hold_is_null_in_the_manifest() -> None:
    deep: object = []
    for _ in range(5000):
        deep = [deep]
    noted: dict[str, object] = {"deep": deep, "nan": float("nan"), "long": 10**5000, "half": "\ud800"}
    artifact = filed().artifact
    entry = artifact_entry(replace(artifact, facts=noted), [(artifact.version, path_of(artifact.handle, 1, "a"))])
    assert entry["facts"]["nan"] is None
    told = {**manifest(), "artifacts": [entry]}
    assert read_manifest(json.dumps(told, allow_nan=False).encode()).artifacts == 1
