"""What the warm interpreter imports and draws once, so that no job pays for it.

Knows nothing of jobs. Runs inside the warm interpreter, so it imports the standard library only, and the
libraries for agent code where they are installed.
"""

import importlib
import io
import os
import sys
import zoneinfo
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

_SLANTS = ("", "-Bold", "-Oblique", "-BoldOblique")
_STAND_INS = {
    **{f"Helvetica{slant}": f"DejaVuSans{slant}" for slant in _SLANTS},
    **{f"Courier{slant}": f"DejaVuSansMono{slant}" for slant in _SLANTS},
    "Times-Roman": "DejaVuSerif",
    **{f"Times{slant}": f"DejaVuSerif{slant}" for slant in ("-Bold", "-Italic", "-BoldItalic")},
}


def warm_up(*, fonts: "list[str]") -> "list[str]":
    """Import, register the fonts of the folders `fonts`, draw one figure; return the modules that are there."""
    # The machine's own time zones lie outside the walls; the tzdata library has them too.
    zoneinfo.reset_tzpath(to=())
    loaded = _imported(MODULES)
    if "matplotlib.pyplot" in loaded:
        _add_fonts(fonts)
        draw()
        if "reportlab.pdfbase.ttfonts" in loaded:
            _fonts_for_reportlab()
        if "PIL.ImageFont" in loaded:
            _fonts_for_pillow(sys.modules["PIL.ImageFont"])
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


def _add_fonts(fonts: "list[str]") -> None:
    manager: Any = sys.modules["matplotlib.font_manager"]
    if fonts:
        for path in manager.findSystemFonts(fonts):
            manager.fontManager.addfont(path)


def draw() -> None:
    """Draw what most charts have, and forget it."""
    pyplot: Any = sys.modules["matplotlib.pyplot"]
    figure, axes = pyplot.subplots()
    axes.bar(["A", "B", "C"], [10, 20, 15], label="x")
    axes.set_title("Warm")
    axes.legend()
    figure.savefig(io.BytesIO(), format="png")
    pyplot.close(figure)


def _dejavu() -> str:
    return os.path.join(sys.modules["matplotlib"].get_data_path(), "fonts", "ttf")


def _fonts_for_reportlab() -> None:
    """Make a font with Greek and Cyrillic the default of paragraph styles, and lend it to the built-in ones."""
    metrics: Any = importlib.import_module("reportlab.pdfbase.pdfmetrics")
    faces = {"normal": "", "bold": "-Bold", "italic": "-Oblique", "boldItalic": "-BoldOblique"}
    for suffix in faces.values():
        _register(f"DejaVuSans{suffix}")
    metrics.registerFontFamily("DejaVuSans", **{face: f"DejaVuSans{suffix}" for face, suffix in faces.items()})
    settings: Any = importlib.import_module("reportlab.rl_config")
    settings.canvas_basefontname = "DejaVuSans"
    _lend(metrics, importlib.import_module("reportlab.pdfgen.textobject"))


def _register(name: str) -> None:
    metrics: Any = sys.modules["reportlab.pdfbase.pdfmetrics"]
    truetype: Any = sys.modules["reportlab.pdfbase.ttfonts"]
    if name not in metrics.getRegisteredFontNames():
        metrics.registerFont(truetype.TTFont(name, os.path.join(_dejavu(), f"{name}.ttf")))


def _stand_in(font: str, text: object) -> "str | None":
    """The font for a text that a built-in font cannot draw, because it has the letters of Windows-1252 only."""
    if font not in _STAND_INS or not isinstance(text, str):
        return None
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        _register(_STAND_INS[font])
        return _STAND_INS[font]
    return None


def _lend(metrics: Any, text_object: Any) -> None:
    measure, write = metrics.Font.stringWidth, text_object.PDFTextObject._formatText

    def string_width(self: Any, text: Any, *arguments: Any, **options: Any) -> Any:
        lent = _stand_in(self.fontName, text)
        if lent is None:
            return measure(self, text, *arguments, **options)
        return metrics.getFont(lent).stringWidth(text, *arguments, **options)

    def format_text(self: Any, text: Any) -> Any:
        lent = _stand_in(self._fontname, text)
        if lent is None:
            return write(self, text)
        own, subset = self._fontname, self._curSubset
        self._fontname, self._curSubset = lent, -1
        try:
            written = write(self, text)
        finally:
            self._fontname, self._curSubset = own, subset
        internal = self._canvas._doc.getInternalFontName(own)
        return f"{written} {internal} {self._fontsize:g} Tf {self._leading:g} TL"

    metrics.Font.stringWidth = string_width
    text_object.PDFTextObject._formatText = format_text


def _fonts_for_pillow(image_font: Any) -> None:
    """Draw Greek and Cyrillic by default, and find each font by its file name, whatever folder it lies in."""
    path = os.path.join(_dejavu(), "DejaVuSans.ttf")
    manager: Any = sys.modules["matplotlib.font_manager"]
    places = {os.path.basename(entry.fname).lower(): entry.fname for entry in manager.fontManager.ttflist}
    open_font = image_font.truetype

    def truetype(font: Any = None, *arguments: Any, **options: Any) -> Any:
        try:
            return open_font(font, *arguments, **options)
        except OSError:
            place = places.get(os.path.basename(str(font)).lower())
            if place is None:
                raise
            return open_font(place, *arguments, **options)

    def load_default(size: "float | None" = None) -> Any:
        return open_font(path, size or 12)

    image_font.truetype = truetype
    image_font.load_default = load_default
