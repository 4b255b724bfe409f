import sysconfig
from pathlib import Path

import pytest

from handiwork.sandbox.readset import FONT_FOLDER, ReadSet, read_set

STANDARD = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}


def of(*paths: Path, fonts: tuple[Path, ...] = (), libraries: tuple[Path, ...] = ()) -> ReadSet:
    return read_set(module_paths=[str(p) for p in paths], library_folders=[str(p) for p in libraries], fonts=fonts)


def places(found: ReadSet) -> set[str]:
    return {place for _source, place in found.binds}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path.resolve()
    for folder in ("real/lib/python/site-packages", "other"):
        (root / folder).mkdir(parents=True)
    return root


def test_a_folder_is_shown_at_its_own_place(tree: Path) -> None:
    found = of(tree / "real/lib")
    assert (str(tree / "real/lib"), str(tree / "real/lib")) in found.binds


def test_a_folder_within_another_comes_with_it(tree: Path) -> None:
    found = of(tree / "real/lib", tree / "real/lib/python/site-packages", tree / "real/lib")
    below = [place for place in places(found) if place.startswith(str(tree))]
    assert below == [str(tree / "real/lib")]


def test_a_folder_that_only_begins_alike_is_shown_too(tree: Path) -> None:
    (tree / "real/library").mkdir()
    assert {str(tree / "real/lib"), str(tree / "real/library")} <= places(of(tree / "real/lib", tree / "real/library"))


def test_what_is_not_there_is_left_out(tree: Path) -> None:
    assert str(tree / "gone") not in places(of(tree / "gone", libraries=(tree / "gone",)))


def test_a_link_is_kept_and_leads_to_where_the_folder_lies(tree: Path) -> None:
    (tree / "link").symlink_to("real/lib")
    found = of(tree / "link/python")
    assert str(tree / "real/lib/python") in places(found)
    assert (str(tree / "link"), "real/lib") in found.links


def test_links_to_links_are_all_kept(tree: Path) -> None:
    (tree / "second").symlink_to(tree / "real")
    (tree / "first").symlink_to("second/lib")
    found = of(tree / "first")
    assert {(str(tree / "first"), "second/lib"), (str(tree / "second"), str(tree / "real"))} <= set(found.links)
    assert str(tree / "real/lib") in places(found)


def test_a_link_within_a_folder_that_is_shown_is_not_made_again(tree: Path) -> None:
    (tree / "real/lib/current").symlink_to("python")
    found = of(tree / "real/lib", tree / "real/lib/current")
    assert str(tree / "real/lib/current") not in dict(found.links)


def test_a_link_that_leads_to_itself_is_left_out(tree: Path) -> None:
    (tree / "loop").symlink_to("loop")
    assert not [place for place in places(of(tree / "loop")) if "loop" in place]


def test_the_standard_library_is_always_there(tree: Path) -> None:
    shown = {str(Path(place)) for place in places(of(tree / "other"))}
    for path in STANDARD:
        real = str(Path(path).resolve())
        assert any(real == place or real.startswith(f"{place}/") for place in shown)


def test_nothing_but_what_was_asked_for_is_shown(tree: Path) -> None:
    shown = places(of(tree / "real/lib"))
    home, passwords = str(Path.home()), "/etc/passwd"
    assert not {"/", "/etc", "/home", "/root", "/proc", "/sys", "/var", "/usr", home, passwords, str(tree)} & shown


def test_a_font_folder_of_the_deployment_is_shown_among_the_fonts_and_at_its_own_place(tree: Path) -> None:
    (tree / "fonts").symlink_to("other")
    found = of(fonts=(tree / "fonts",))
    at = [place for source, place in found.binds if source == str(tree / "other")]
    assert str(tree / "other") in at
    assert any(place.startswith(f"{FONT_FOLDER}/handiwork-") for place in at)
