"""What the warm interpreter imports and draws once, so that no job pays for it.

Knows nothing of jobs. Runs inside the warm interpreter, so it imports the standard library only, and the
libraries for agent code where they are installed.
"""

import importlib
import io
import os
import sys
from typing import Any

# The rest (scipy, seaborn, statsmodels, plotly) imports in the job: it would cost 4 s and 130 MB here.
MODULES = (
    "numpy",
    "pandas",
    "matplotlib.pyplot",
    "PIL.Image",
    "PIL.ImageDraw",
    "PIL.ImageFont",
    "PIL.PngImagePlugin",
    "openpyxl",
    "xlsxwriter",
    "reportlab.pdfbase.ttfonts",
)
# Imported once the fonts are known, because their styles take the default font at import.
STYLED = ("reportlab.pdfgen.canvas", "reportlab.platypus", "reportlab.lib.styles")


def warm_up(*, fonts: "list[str]") -> "list[str]":
    """Import, register the fonts of the folders `fonts`, draw one figure; return the modules that are there."""
    loaded = _imported(MODULES)
    if "matplotlib.pyplot" in loaded:
        _draw(sys.modules["matplotlib.pyplot"], fonts)
        if "reportlab.pdfbase.ttfonts" in loaded:
            _fonts_for_reportlab()
        if "PIL.ImageFont" in loaded:
            _font_for_pillow(sys.modules["PIL.ImageFont"])
    return loaded + _imported(STYLED)


def _imported(names: "tuple[str, ...]") -> "list[str]":
    loaded: list[str] = []
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        loaded.append(name)
    return loaded


def _draw(pyplot: Any, fonts: "list[str]") -> None:
    manager = sys.modules["matplotlib.font_manager"]
    for path in manager.findSystemFonts(fonts) if fonts else []:
        manager.fontManager.addfont(path)
    figure, axes = pyplot.subplots()
    axes.bar(["A", "B", "C"], [10, 20, 15], label="x")
    axes.set_title("Warm")
    axes.legend()
    figure.savefig(io.BytesIO(), format="png")
    pyplot.close(figure)


def _dejavu() -> str:
    return os.path.join(sys.modules["matplotlib"].get_data_path(), "fonts", "ttf")


def _fonts_for_reportlab() -> None:
    """Make a font with Greek and Cyrillic the default of paragraph styles; the built-in ones draw Latin-1 only."""
    metrics = importlib.import_module("reportlab.pdfbase.pdfmetrics")
    truetype = importlib.import_module("reportlab.pdfbase.ttfonts")
    faces = {"normal": "", "bold": "-Bold", "italic": "-Oblique", "boldItalic": "-BoldOblique"}
    for suffix in faces.values():
        path = os.path.join(_dejavu(), f"DejaVuSans{suffix}.ttf")
        metrics.registerFont(truetype.TTFont(f"DejaVuSans{suffix}", path))
    metrics.registerFontFamily("DejaVuSans", **{face: f"DejaVuSans{suffix}" for face, suffix in faces.items()})
    importlib.import_module("reportlab.rl_config").canvas_basefontname = "DejaVuSans"


def _font_for_pillow(image_font: Any) -> None:
    path = os.path.join(_dejavu(), "DejaVuSans.ttf")
    image_font.load_default = lambda size=None: image_font.truetype(path, size or 12)
