"""What a program shows becomes a file: open figures, `plt.show()`, `fig.show()`, `Image.show()`.

Patches the libraries of this child alone. Runs inside the warm interpreter, so it imports the standard
library only, and each library only once the program itself has.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

# Stands in a Plotly page where the library belongs; the harvest puts it in.
PLOTLY_PLACE = "/*handiwork:plotly.js*/"


def install() -> None:
    """Patch what is loaded already and wait for the rest."""
    waiting: dict[str, Callable[[ModuleType], None]] = {
        "matplotlib.pyplot": _patch_pyplot,
        "PIL.Image": _patch_pillow,
        "plotly.basedatatypes": _patch_plotly,
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
        if not getattr(figure, "_handiwork_saved", False) and figure.get_children()[1:]:
            _save(figure)
    pyplot.close("all")


def free_name(stem: str, suffix: str) -> str:
    number = 1
    while os.path.lexists(name := f"{stem}-{number}{suffix}"):
        number += 1
    return name


def _save(figure: Any) -> None:
    figure.savefig(free_name("figure", ".png"), bbox_inches="tight")


def _patch_pyplot(pyplot: ModuleType) -> None:
    figure_class = pyplot.Figure
    savefig = figure_class.savefig

    def saved(self: Any, *arguments: Any, **options: Any) -> Any:
        result = savefig(self, *arguments, **options)
        self._handiwork_saved = True
        return result

    def show_one(self: Any, *_arguments: Any, **_options: Any) -> None:
        _save(self)

    figure_class.savefig = saved
    figure_class.show = show_one
    pyplot.show = lambda *_arguments, **_options: save_open_figures()


def _patch_pillow(image: ModuleType) -> None:
    def show(self: Any, *_arguments: Any, **_options: Any) -> None:
        picture = self if self.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else self.convert("RGB")
        picture.save(free_name("image", ".png"))

    image.Image.show = show  # type: ignore[attr-defined]


def _patch_plotly(datatypes: ModuleType) -> None:
    def show(self: Any, *_arguments: Any, **options: Any) -> None:
        page = self.to_html(include_plotlyjs=False, full_html=True, config=options.get("config"))
        library = f'<head><script type="text/javascript">{PLOTLY_PLACE}</script>'
        with open(free_name("figure", ".html"), "w", encoding="utf-8") as file:
            file.write(page.replace("<head>", library, 1))

    datatypes.BaseFigure.show = show  # type: ignore[attr-defined]


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

        loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        return spec
