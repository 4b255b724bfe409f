"""What a program shows becomes a file: open figures, `plt.show()`, `fig.show()`, `Image.show()`.

Patches the libraries of the warm interpreter, and with it those of its children. Runs inside the warm interpreter, so
it imports the standard library only, and each library only once the program itself has.
"""

import contextlib
import gc
import importlib.abc
import importlib.machinery
import io
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


def install() -> None:
    """Patch what is loaded already and wait for the rest."""
    # A library that warns names the file of its caller, and where ours lies is not the program's business.
    for function in (save_open_figures, _save_unless_saved):
        _hide_place(function)
    waiting: dict[str, Callable[[ModuleType], None]] = {
        "matplotlib.pyplot": _patch_pyplot,
        "PIL.Image": _patch_pillow,
        "plotly.io._renderers": _patch_plotly,
        "plotly.offline.offline": _patch_plotly_offline,
    }
    for name in list(waiting):
        if name in sys.modules:
            waiting.pop(name)(sys.modules[name])
    sys.meta_path.insert(0, _AfterImport(waiting))


def save_open_figures() -> None:
    """Save the Matplotlib figures that the program drew but neither saved nor closed."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        _save_unless_saved(figure)
    pyplot.close("all")


def flush_open_files() -> None:
    """Write out the files that the program left open.

    The garbage collector alone would lose what files in a cycle hold back: it may close the innermost layer first.
    """
    layers = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    files = [found for found in gc.get_objects() if type(found) in layers]
    for layer in layers:
        for file in files:
            if type(file) is layer:
                with contextlib.suppress(OSError, ValueError):
                    file.flush()


def free_name(stem: str, suffix: str) -> str:
    number = 1
    while os.path.lexists(name := f"{stem}-{number}{suffix}"):
        number += 1
    return name


def _save_unless_saved(figure: Any) -> None:
    """Save a figure that has something on it and has changed since it was saved last, if it was."""
    is_saved = getattr(figure, "_handiwork_saved", False) and not figure.stale
    if not is_saved and figure.get_children()[1:]:
        figure.savefig(free_name("figure", ".png"), bbox_inches="tight")


def _patch_pyplot(pyplot: Any) -> None:
    figure_class = pyplot.Figure
    savefig = figure_class.savefig

    def saved(self: Any, *arguments: Any, **options: Any) -> Any:
        result = savefig(self, *arguments, **options)
        self._handiwork_saved = True
        # Every later change of the figure or of anything on it makes it stale again.
        self.stale = False
        return result

    def show_one(self: Any, *_arguments: Any, **_options: Any) -> None:
        _save_unless_saved(self)

    _hide_place(saved)
    figure_class.savefig = saved
    figure_class.show = show_one

    def show(*_arguments: Any, **_options: Any) -> None:
        save_open_figures()

    pyplot.show = show


def _patch_pillow(image: Any) -> None:
    def show(self: Any, *_arguments: Any, **_options: Any) -> None:
        picture = self if self.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else self.convert("RGB")
        picture.save(free_name("image", ".png"))

    image.Image.show = show


def _patch_plotly(renderers: Any) -> None:
    def show(fig: Any, *_arguments: Any, config: Any = None, **_options: Any) -> None:
        to_html = sys.modules["plotly.io"].to_html
        with open(free_name("figure", ".html"), "w", encoding="utf-8") as file:
            # The harvest puts the library where the page refers to it.
            file.write(to_html(fig, include_plotlyjs="cdn", config=config))

    renderers.show = show


def _patch_plotly_offline(offline: Any) -> None:
    def iplot(figure_or_data: Any, *_arguments: Any, **_options: Any) -> None:
        sys.modules["plotly.io"].show(figure_or_data)

    offline.iplot = iplot  # the original demands a notebook


def _hide_place(function: Any) -> None:
    function.__code__ = function.__code__.replace(co_filename="<figures>")


class _AfterImport(importlib.abc.MetaPathFinder):
    """Runs a patch right after the first import of a module."""

    def __init__(self, waiting: "dict[str, Callable[[ModuleType], None]]") -> None:
        self._waiting = waiting

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> "importlib.machinery.ModuleSpec | None":
        patch = self._waiting.pop(fullname, None)
        if patch is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader, execute = spec.loader, spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            patch(module)

        loader.exec_module = execute_and_patch  # type: ignore[method-assign]  # of this one loader
        return spec
