"""A chart that is saved is drawn once, and whoever looks at its figure afterwards sees what was always to be seen."""

import pytest
from rooms import Room, at_each_level

COUNTED = """
import io
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.bar(["A", "B"], [10, 20], label="both")
axes.set(title="Größe", xlabel="kind")
axes.legend()
drawings = []
figure.canvas.mpl_connect("draw_event", drawings.append)
plt.savefig(io.BytesIO(), {options})
saved = len(drawings)
{look}
looked = len(drawings)
figure.canvas.draw()
print(saved, looked, same())
"""
LOOKS = {
    "buffer": ("seen = bytes(figure.canvas.buffer_rgba())", "bytes(figure.canvas.buffer_rgba())"),
    "bytes": ("seen = figure.canvas.tostring_argb()", "figure.canvas.tostring_argb()"),
    "renderer": (
        "seen = bytes(figure.canvas.renderer.buffer_rgba())",
        "bytes(figure.canvas.renderer.buffer_rgba())",
    ),
    "part": (
        "seen = bytes(figure.canvas.copy_from_bbox(axes.bbox))",
        "bytes(figure.canvas.copy_from_bbox(axes.bbox))",
    ),
    "label": ("seen = axes.xaxis.label.get_window_extent().bounds", "axes.xaxis.label.get_window_extent().bounds"),
    "legend": ("seen = axes.get_legend().get_window_extent().bounds", "axes.get_legend().get_window_extent().bounds"),
}


@at_each_level
def test_a_chart_that_is_saved_is_drawn_once(room: Room) -> None:
    code = """
        import io
        import matplotlib.pyplot as plt
        plt.bar(["A"], [1])
        drawings = []
        plt.gcf().canvas.mpl_connect("draw_event", drawings.append)
        plt.savefig(io.BytesIO())
        saved = len(drawings)
        plt.draw()
        print(saved, len(drawings))
    """
    assert room.run(code).stdout == "1 2\n", "the second number is the control: who asks for a drawing gets it"


@pytest.mark.parametrize("options", ["format='png'", "dpi=150", "format='pdf'", "transparent=True"])
@pytest.mark.parametrize("look", LOOKS)
def test_who_looks_after_the_saving_sees_the_figure_as_it_is_drawn_anew(room: Room, look: str, options: str) -> None:
    now, anew = LOOKS[look]
    code = COUNTED.replace("{options}", options).replace("{look}", now).replace("same()", f"seen == {anew}")
    assert room.run(code).stdout == "1 2 True\n"


def test_a_figure_is_saved_many_times_with_one_drawing_each(room: Room) -> None:
    code = """
        import io
        import matplotlib.pyplot as plt
        plt.plot([1, 2, 3])
        drawings = []
        plt.gcf().canvas.mpl_connect("draw_event", drawings.append)
        pictures = [io.BytesIO() for _ in range(3)]
        for picture in pictures:
            plt.savefig(picture)
        print(len(drawings), len({picture.getvalue() for picture in pictures}))
    """
    assert room.run(code).stdout == "3 1\n"
