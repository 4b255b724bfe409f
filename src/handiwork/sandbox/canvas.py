"""Charts that are drawn once when they are saved.

After `pyplot.savefig` Matplotlib draws the figure again for the window that shows it. Here is no window, and the second
drawing takes as long as the first, so it waits until somebody looks: at the picture in memory, or at the measure of a
text. Who never looks does not pay for it. Which figures there are, and how they are drawn, is not known here.
Runs inside the warm interpreter, so it imports the standard library only.
"""

import functools
import sys
from typing import Any

_DUE = "_handiwork_due"
_LOOKS = ("get_renderer", "buffer_rgba", "tostring_argb")


def draw_when_asked() -> None:
    """Let the second drawing of a saved figure wait. A Matplotlib that is made otherwise goes on as it was."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    canvas: Any = getattr(sys.modules.get("matplotlib.backends.backend_agg"), "FigureCanvasAgg", None)
    texts: Any = getattr(sys.modules.get("matplotlib.text"), "Text", None)
    if pyplot is None or texts is None or not all(hasattr(canvas, name) for name in ("draw", "draw_idle", *_LOOKS)):
        return
    pyplot.savefig = _saving(pyplot.savefig, pyplot.gcf, canvas=canvas, texts=texts)
    canvas.draw = _drawing(canvas.draw)
    for name in _LOOKS:
        setattr(canvas, name, _looking(getattr(canvas, name)))
    canvas.renderer = property(_looking(_renderer), _keep_renderer)


def _saving(save: Any, current: Any, *, canvas: Any, texts: Any) -> Any:
    @functools.wraps(save)
    def savefig(*arguments: Any, **options: Any) -> Any:
        drawn_on = current().canvas
        if type(drawn_on) is not canvas:
            return save(*arguments, **options)

        def wait(*_arguments: Any, **_options: Any) -> None:
            setattr(drawn_on, _DUE, True)
            for text in drawn_on.figure.findobj(texts):
                text._renderer = None  # it would measure with what it was saved by

        drawn_on.draw_idle = wait
        try:
            return save(*arguments, **options)
        finally:
            _forget(drawn_on, "draw_idle")

    return savefig


def _drawing(draw: Any) -> Any:
    @functools.wraps(draw)
    def drawn(canvas: Any) -> Any:
        _forget(canvas, _DUE)
        return draw(canvas)

    return drawn


def _looking(look: Any) -> Any:
    @functools.wraps(look)
    def looked(canvas: Any, *arguments: Any, **options: Any) -> Any:
        if hasattr(canvas, _DUE):
            canvas.draw()
        return look(canvas, *arguments, **options)

    return looked


def _renderer(canvas: Any) -> Any:
    try:
        return canvas.__dict__["renderer"]
    except KeyError:
        raise AttributeError("renderer") from None


def _keep_renderer(canvas: Any, renderer: Any) -> None:
    canvas.__dict__["renderer"] = renderer


def _forget(canvas: Any, name: str) -> None:
    canvas.__dict__.pop(name, None)
