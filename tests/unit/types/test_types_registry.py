"""The types that every engine has, how a registry takes types, and what clients are told of one."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from handiwork.errors import InvalidType, UnknownType
from handiwork.model import KIB
from handiwork.types.described import describe
from handiwork.types.entry_points import from_entry_points
from handiwork.types.file import file_type
from handiwork.types.json_document import json_type
from handiwork.types.markdown import markdown_type
from handiwork.types.registry import Registry, built_in

NAMES = ["markdown", "code", "html-sandboxed", "json", "csv", "svg", "image", "file", "tool_result"]

PLUGIN = """
from handiwork.types.declaring import artifact_type

@artifact_type("haiku", label="Haiku")
def check_haiku(text: str) -> None:
    if len(text.splitlines()) != 3:
        raise ValueError("three lines")
"""


def test_the_seven_render_types_file_and_tool_result_are_built_in():
    assert [each.name for each in Registry(built_in())] == NAMES


def test_tables_images_files_and_tool_results_have_the_cap_of_files_and_texts_their_own():
    caps = {each.name: each.cap_bytes for each in built_in(file_cap_bytes=5_000_000)}
    assert {name for name, cap in caps.items() if cap == 5_000_000} == {"csv", "image", "file", "tool_result"}
    assert {caps[name] for name in ("markdown", "code", "html-sandboxed", "json", "svg")} == {256 * KIB}


def test_render_types_have_no_states_so_that_an_artifact_has_none():
    assert {each.initial_state for each in built_in()} == {None}
    assert replace(markdown_type(), states=("draft", "sent")).initial_state == "draft"


def test_a_type_is_found_by_its_name_and_by_its_alias():
    registry = Registry(built_in())
    assert registry.named("html") is registry.named("html-sandboxed")
    with pytest.raises(UnknownType, match="`markdown`"):
        registry.named("HTML")


def test_every_type_is_described_in_json():
    for each in built_in():
        told = describe(each)
        assert json.loads(json.dumps(told)) == told
        assert told.keys() == {
            "name", "label", "icon", "category", "display", "streaming", "schema", "states", "transitions", "actions",
            "cap", "mediaType",
        }  # fmt: skip


def test_a_description_says_what_the_declaration_says():
    declared = replace(
        json_type(), states=("draft", "sent"), transitions={"draft": ("sent",)}, schema={"type": "object"}
    )
    assert describe(declared) == {
        "name": "json",
        "label": "JSON",
        "icon": "braces",
        "category": "data",
        "display": "panel",
        "streaming": True,
        "schema": {"type": "object"},
        "states": ["draft", "sent"],
        "transitions": {"draft": ["sent"]},
        "actions": [{"name": "sent", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}],
        "cap": 256 * KIB,
        "mediaType": "application/json",
    }


@pytest.mark.parametrize(
    ("name", "suffix", "media_type"),
    [
        ("markdown", "md", "text/markdown"),
        ("code", "txt", "text/plain"),
        ("html-sandboxed", "html", "text/html"),
        ("json", "json", "application/json"),
        ("csv", "csv", "text/csv"),
        ("svg", "svg", "image/svg+xml"),
        ("image", "png", "image/png"),
        ("file", "bin", "application/octet-stream"),
    ],
)
def test_a_type_knows_the_form_of_its_content(name: str, suffix: str, media_type: str):
    found = Registry(built_in()).named(name)
    assert (found.suffix, found.media_type) == (suffix, media_type)


def test_a_name_or_alias_that_is_taken_is_refused_by_name():
    for second in (file_type(), replace(json_type(), aliases=("file",)), replace(json_type(), name="file")):
        with pytest.raises(InvalidType, match="`file`") as refused:
            Registry([file_type(), second])
        assert refused.value.name == "file"


@pytest.mark.parametrize("name", ["", "Report", "1st", "a b", "a\n", "é", "x" * 65, "a.b", "-a", "\ud800"])
def test_a_name_that_cannot_be_is_refused(name: str):
    with pytest.raises(InvalidType, match="a-z 0-9"):
        replace(file_type(), name=name)


@pytest.mark.parametrize("name", ["x", "x" * 64, "email_draft", "html-sandboxed", "t2"])
def test_a_name_that_can_be_is_taken(name: str):
    assert Registry([replace(file_type(), name=name)]).named(name).name == name


@pytest.mark.parametrize(
    ("states", "transitions"),
    [(("a", "a"), {}), (("",), {}), (("x" * 65,), {}), (("a",), {"a": ("b",)}), (("a",), {"b": ("a",)})],
)
def test_states_that_do_not_fit_together_are_refused(states: tuple[str, ...], transitions: dict[str, tuple[str, ...]]):
    with pytest.raises(InvalidType, match="states"):
        replace(file_type(), states=states, transitions=transitions)


def test_what_is_no_type_and_not_marked_is_refused():
    for thing in (print, int, "file", None, object()):
        with pytest.raises(InvalidType, match="marked with"):
            Registry([thing])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with one that offers a type."""
    folder = tmp_path / "haiku_plugin-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: haiku-plugin\nVersion: 1.0\n", encoding="utf-8")
    (folder / "entry_points.txt").write_text("[handiwork.types]\nhaiku = haiku_plugin:check_haiku\n", encoding="utf-8")
    (tmp_path / "haiku_plugin.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "haiku_plugin", raising=False)
    importlib.invalidate_caches()
    return tmp_path


@pytest.mark.usefixtures("package")
def test_a_type_that_an_installed_package_offers_is_registered():
    registry = Registry([*built_in(), *from_entry_points()])
    assert registry.named("haiku").check("old pond\na frog jumps\nwater").data
    assert [each.name for each in registry] == [*NAMES, "haiku"]


@pytest.mark.usefixtures("package")
def test_a_package_is_not_imported_before_its_types_are_asked_for():
    assert from_entry_points(group="handiwork.none") == ()
    assert "haiku_plugin" not in sys.modules
    assert len(from_entry_points()) == 1


@pytest.mark.parametrize("source", ["raise RuntimeError('no')", "check_sonnet = 1", "def broken(:"])
def test_a_package_that_cannot_be_imported_is_named(package: Path, source: str):
    (package / "haiku_plugin.py").write_text(source, encoding="utf-8")
    with pytest.raises(InvalidType, match="`haiku_plugin:check_haiku` cannot be loaded"):
        from_entry_points()
