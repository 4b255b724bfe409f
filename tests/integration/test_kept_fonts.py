"""The fonts of an ordinary chart are there when a program begins, and draw what fonts draw that it loads itself."""

import pytest
from rooms import Room, at_each_level

LOADED = """
from matplotlib import font_manager
print(font_manager._get_font.cache_info().currsize)
"""
TWICE = """
import hashlib, io, os
import matplotlib.pyplot as plt
from matplotlib import font_manager

os.environ["SOURCE_DATE_EPOCH"] = "0"
plt.rcParams["svg.hashsalt"] = "same"

def drawn():
    plt.bar(["A", "B"], [10, 20])
    plt.title("Größe Δ, {format}")
    plt.xlabel("$x^2$", fontweight="bold")
    buffer = io.BytesIO()
    plt.savefig(buffer, format="{format}")
    plt.close()
    return hashlib.sha256(buffer.getvalue()).hexdigest()

first = drawn()
font_manager._get_font.cache_clear()
print(first == drawn(), font_manager._get_font.cache_info().currsize > 0)
"""


@at_each_level
def test_a_program_finds_the_fonts_of_an_ordinary_chart_loaded(room: Room) -> None:
    assert int(room.run(LOADED).stdout) > 0


@at_each_level
@pytest.mark.parametrize("format", ["png", "svg", "pdf", "ps"])
def test_they_draw_what_fonts_draw_that_are_loaded_anew(room: Room, format: str) -> None:
    code = TWICE.replace("{format}", format)
    assert room.run(code).stdout == "True True\n"


def test_a_font_that_one_program_turns_is_as_ever_for_the_next(room: Room) -> None:
    turned = """
        from matplotlib import font_manager
        font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
        {change}
        font.set_text("Wide text", 0.0)
        print(font.get_width_height())
    """
    before = room.run(turned.format(change="pass")).stdout
    changed = room.run(turned.format(change="font.set_size(40.0, 300)")).stdout
    after = room.run(turned.format(change="pass")).stdout
    assert before == after
    assert before != changed, "control: it can be changed"
