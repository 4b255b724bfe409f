"""Fonts that stay loaded in the children of the warm interpreter.

Matplotlib has every child load its fonts again, because a font reads its file bit by bit, and after a fork parent and
child would read on from one place. That takes a quarter of the time of a chart. A font whose file lies in memory has a
place of its own in each process, and can stay. Which fonts there are, and what is drawn with them, is not known here.
Runs inside the warm interpreter, so it imports the standard library only.
"""

import functools
import io
import sys
from collections.abc import Callable
from typing import Any

_MOST_FONTS = 64


class _InMemory(io.BytesIO):
    """The content of a file, under the name of the file."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            super().__init__(file.read())
        self.name = path


def keep(draw: "Callable[[], None]") -> None:
    """Draw, and let the fonts that this needs stay loaded. A Matplotlib that loads them otherwise goes on as it was."""
    manager: Any = sys.modules.get("matplotlib.font_manager")
    forgetful: Any = getattr(manager, "_get_font", None)
    load = getattr(forgetful, "__wrapped__", None)
    if load is None:
        return
    opened: list[_InMemory] = []

    def open_in_memory(path: str, *_mode: str) -> _InMemory:
        opened.append(_InMemory(path))
        return opened[-1]

    ordinary: Any = io.open
    # What a fork makes Matplotlib forget is the other one. It is emptied here, once, and not in every child.
    forgetful.cache_clear()
    manager._get_font = functools.lru_cache(_MOST_FONTS)(load)
    io.open = open_in_memory  # pyright: ignore[reportAttributeAccessIssue]  # through this name a font opens its file
    try:
        draw()
    finally:
        io.open = ordinary
    if not opened:
        manager._get_font = forgetful
