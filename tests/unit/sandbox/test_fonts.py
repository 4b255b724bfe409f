"""Fonts that survive a fork: opened from memory, kept where the library keeps its own, or left alone."""

import functools
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from handiwork.sandbox import fonts

Load = Callable[[str], Any]


def _opened(path: str) -> Any:
    return io.open(path, "rb")  # noqa: UP020  # as a font does


def _named(path: str) -> str:
    return path


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A library that loads fonts as Matplotlib does, and has forgotten them after a fork."""
    module: Any = ModuleType("matplotlib.font_manager")
    module._get_font = functools.lru_cache(64)(_opened)
    monkeypatch.setitem(sys.modules, "matplotlib.font_manager", module)
    return module


@pytest.fixture
def font(tmp_path: Path) -> Path:
    path = tmp_path / "font.ttf"
    path.write_bytes(b"glyphs")
    return path


def test_a_font_that_was_drawn_with_lies_in_memory_under_its_name(manager: Any, font: Path) -> None:
    fonts.keep(lambda: manager._get_font(str(font)))
    font.unlink()
    kept = manager._get_font(str(font))
    assert (kept.name, kept.read()) == (str(font), b"glyphs")
    with pytest.raises(io.UnsupportedOperation):
        kept.fileno()


def test_a_font_that_is_first_needed_later_is_opened_as_ever(manager: Any, font: Path) -> None:
    fonts.keep(lambda: manager._get_font(str(font)))
    other = font.with_name("other.ttf")
    other.write_bytes(b"others")
    with manager._get_font(str(other)) as opened:
        assert opened.fileno() > 2


def test_what_a_fork_makes_the_library_forget_is_not_what_is_kept(manager: Any, font: Path) -> None:
    forget = manager._get_font.cache_clear
    fonts.keep(lambda: manager._get_font(str(font)))
    forget()
    assert manager._get_font.cache_info().currsize == 1


def test_a_font_that_was_loaded_before_lies_in_no_file_either(manager: Any, font: Path) -> None:
    with manager._get_font(str(font)):
        before = manager._get_font
        fonts.keep(lambda: manager._get_font(str(font)))
        assert before.cache_info().currsize == 0, "every child would have to close it"


def test_a_font_that_is_not_opened_by_that_name_goes_on_as_it_was(manager: Any, font: Path) -> None:
    manager._get_font = before = functools.lru_cache(64)(len)
    fonts.keep(lambda: manager._get_font(str(font)))
    assert manager._get_font is before


@pytest.mark.parametrize("loads", [None, _named], ids=["nothing", "no cache"])
def test_a_library_that_loads_fonts_otherwise_is_left_alone(manager: Any, loads: Load | None) -> None:
    manager._get_font = loads
    fonts.keep(lambda: pytest.fail("nothing need be drawn"))
    assert manager._get_font is loads


@pytest.mark.usefixtures("manager")
def test_files_are_opened_as_ever_also_after_a_drawing_that_failed() -> None:
    ordinary = io.open

    def fail() -> None:
        raise ValueError("no such glyph")

    with pytest.raises(ValueError, match="glyph"):
        fonts.keep(fail)
    assert io.open is ordinary
