import io
import zipfile

import pytest
from PIL import Image
from rooms import Room, at_each_level, hint, named, names

from handiwork.model import MIB, Execution, Limits
from handiwork.sandbox.libraries import plotly_script

pytestmark = pytest.mark.linux

CHART = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\n"
PAGE = "import plotly.express as px\nfig = px.line(x=[1, 2], y=[3, 4])\n"


def picture(room: Room, execution: Execution, name: str) -> Image.Image:
    opened = Image.open(io.BytesIO(room.content(execution, name)))
    opened.load()
    return opened


def paths(execution: Execution) -> dict[str, object]:
    return {artifact.name: artifact.version.metadata.get("path") for artifact in execution.artifacts}


# Files


@at_each_level
def test_every_file_in_every_folder_is_kept(room: Room) -> None:
    execution = room.run("""
        from pathlib import Path
        for name in ("a.txt", "b/c.txt", "b/d/e.txt"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(name)
        Path("empty").mkdir()
    """)
    assert paths(execution) == {"a.txt": None, "c.txt": "b/c.txt", "e.txt": "b/d/e.txt"}
    assert room.text(execution, "e.txt") == "b/d/e.txt"


def test_files_of_the_same_name_in_different_folders_are_told_apart(room: Room) -> None:
    execution = room.run("""
        import os
        for folder in ("north", "south"):
            os.mkdir(folder)
            open(f"{folder}/report.txt", "w").write(folder)
        open("report.txt", "w").write("all")
    """)
    assert names(execution) == ["north-report.txt", "report.txt", "south-report.txt"]
    assert room.text(execution, "south-report.txt") == "south"
    assert room.text(execution, "report.txt") == "all"


@pytest.mark.parametrize(
    "name", ["a\u00a0b.txt", "a\u202eb.txt", "a\nb.txt", "a\\b.txt", "\udcff.txt", "\U000e0001.txt"]
)
def test_a_name_that_cannot_be_kept_is_refused_and_the_rest_is_kept(room: Room, name: str) -> None:
    execution = room.run(f"open({name!a}, 'w').write('x')\nopen('kept.txt', 'w').write('x')")
    assert execution.ok, execution.error
    assert names(execution) == ["kept.txt"]
    (refused,) = execution.outcome.refused
    assert refused.reason == "bad_name"
    assert refused.name.isprintable()


def test_a_file_that_was_deleted_again_is_not_kept(room: Room) -> None:
    execution = room.run("""
        import os
        open("gone.txt", "w").write("x")
        open("kept.txt", "w").write("x")
        os.remove("gone.txt")
    """)
    assert names(execution) == ["kept.txt"]


@at_each_level
def test_scratch_files_are_no_output(room: Room) -> None:
    execution = room.run("""
        import tempfile
        print(tempfile.NamedTemporaryFile(delete=False).name)
        open("kept.txt", "w").write("x")
    """)
    assert execution.stdout
    assert names(execution) == ["kept.txt"]


def test_the_files_of_a_program_that_failed_are_kept(room: Room) -> None:
    execution = room.run("open('half.txt', 'w').write('half')\n1 / 0")
    assert execution.status == "failed"
    assert room.text(execution, "half.txt") == "half"


@at_each_level
def test_files_left_open_are_written_out(room: Room) -> None:
    execution = room.run("""
        import builtins, gzip, zipfile

        plain = open("plain.txt", "w"); plain.write("plain")
        held = [open("held.bin", "wb")]; held[0].write(b"held")

        class Owner: pass
        cycle = Owner(); cycle.self = cycle
        cycle.file = open("cycle.txt", "w"); cycle.file.write("cycle")

        builtins.kept = open("builtin.txt", "w"); builtins.kept.write("builtin")
        packed = gzip.open("packed.gz", "wt"); packed.write("packed")
        bundle = zipfile.ZipFile("bundle.zip", "w"); bundle.writestr("in.txt", "in")
    """)
    contents = {name: room.content(execution, name) for name in named(execution)}
    assert zipfile.ZipFile(io.BytesIO(contents.pop("bundle.zip"))).read("in.txt") == b"in"
    assert contents.pop("packed.gz")[:2] == b"\x1f\x8b"
    assert contents == {
        "plain.txt": b"plain",
        "held.bin": b"held",
        "cycle.txt": b"cycle",
        "builtin.txt": b"builtin",
    }


# Matplotlib


@at_each_level
def test_a_figure_left_open_is_saved_once(room: Room) -> None:
    execution = room.run(CHART)
    assert names(execution) == ["figure-1.png"]
    assert len(picture(room, execution, "figure-1.png").convert("L").getcolors() or []) > 10


def test_a_figure_that_the_program_saved_is_not_saved_again(room: Room) -> None:
    execution = room.run(CHART + "plt.savefig('mine.png')\nplt.figure()\nplt.plot([5, 4])\n")
    assert names(execution) == ["figure-1.png", "mine.png"]


def test_a_figure_saved_into_memory_is_not_saved_again(room: Room) -> None:
    assert names(room.run(CHART + "import io\nplt.savefig(io.BytesIO())\n")) == []


def test_a_figure_that_was_drawn_on_after_it_was_saved_is_saved_as_it_ended(room: Room) -> None:
    assert names(room.run(CHART + "plt.savefig('first.png')\nplt.title('More')\n")) == ["figure-1.png", "first.png"]


def test_a_figure_that_was_cleared_after_it_was_saved_leaves_nothing(room: Room) -> None:
    assert names(room.run(CHART + "plt.savefig('first.png')\nplt.clf()\n")) == ["first.png"]


def test_an_empty_figure_is_not_saved(room: Room) -> None:
    assert names(room.run("import matplotlib.pyplot as plt\nplt.figure()\n")) == []


def test_show_saves_all_figures_that_are_not_saved_and_closes_them(room: Room) -> None:
    execution = room.run(
        CHART
        + "plt.savefig('mine.png')\nplt.figure()\nplt.bar('ab', [1, 2])\nplt.show()\n"
        + "print(plt.get_fignums())\nplt.plot([2, 1])\nplt.show()\n"
    )
    assert execution.stdout == "[]\n"
    assert names(execution) == ["figure-1.png", "figure-2.png", "mine.png"]


def test_showing_one_figure_saves_it_once(room: Room) -> None:
    execution = room.run(CHART + "fig = plt.gcf()\nfig.show()\nfig.show()\nplt.show()\n")
    assert names(execution) == ["figure-1.png"]


def test_a_shown_figure_never_replaces_a_file_of_the_program(room: Room) -> None:
    execution = room.run("open('figure-1.png', 'w').write('mine')\n" + CHART + "plt.show()\n")
    assert names(execution) == ["figure-1.png", "figure-2.png"]
    assert room.text(execution, "figure-1.png") == "mine"


def test_charts_of_pandas_and_seaborn_are_saved_too(room: Room) -> None:
    execution = room.run("""
        import pandas as pd
        import seaborn as sns
        import matplotlib.pyplot as plt
        frame = pd.DataFrame({"a": [1, 2, 3], "b": [3, 1, 2]})
        frame.plot()
        plt.figure()
        sns.barplot(frame, x="a", y="b")
        sns.relplot(frame, x="a", y="b")
    """)
    assert execution.ok, execution.error
    assert names(execution) == ["figure-1.png", "figure-2.png", "figure-3.png"]


def test_an_image_saved_by_pyplot_is_kept_alone(room: Room) -> None:
    assert names(room.run("import matplotlib.pyplot as plt\nplt.imsave('i.png', [[0, 1], [1, 0]])\n")) == ["i.png"]


def test_an_animation_is_a_gif_with_its_frames(room: Room) -> None:
    execution = room.run("""
        import matplotlib.pyplot as plt
        from matplotlib.animation import FuncAnimation, PillowWriter
        figure, axes = plt.subplots()
        (line,) = axes.plot([0, 1])
        def draw(frame):
            line.set_ydata([frame, 1])
            return (line,)
        FuncAnimation(figure, draw, frames=3).save("moving.gif", writer=PillowWriter(fps=5))
    """)
    assert names(execution) == ["moving.gif"]
    assert getattr(picture(room, execution, "moving.gif"), "n_frames", 1) == 3


# Pillow


def test_a_shown_image_is_saved_whatever_its_mode(room: Room) -> None:
    execution = room.run("""
        from PIL import Image
        for mode in ("RGB", "RGBA", "L", "1", "P", "CMYK", "F"):
            Image.new(mode, (20, 10)).show()
    """)
    assert execution.ok, execution.error
    assert len(names(execution)) == 7
    assert picture(room, execution, "image-1.png").size == (20, 10)


# Plotly


def holds_the_library_once(page: bytes) -> bool:
    library = plotly_script()
    assert library is not None
    return page.count(library) == 1 and b"cdn.plot.ly" not in page.replace(library, b"")


@at_each_level
def test_a_shown_plotly_figure_is_a_page_that_needs_no_network(room: Room) -> None:
    execution = room.run(PAGE + "fig.show()\n")
    assert names(execution) == ["figure-1.html"]
    page = room.content(execution, "figure-1.html")
    assert holds_the_library_once(page)
    assert page.index(b"plotly.js v") < page.index(b"Plotly.newPlot(")
    assert page.startswith((b"<html>", b"<!doctype html>"))
    assert page.rstrip().endswith(b"</html>")
    assert len(page) == named(execution)["figure-1.html"].size


@pytest.mark.parametrize(
    "show",
    [
        "import plotly.io as pio\npio.show(fig)",
        "fig.show(renderer='browser')",
        "import plotly.io as pio\npio.renderers.default = 'svg'\nfig.show()",
        "from plotly.offline import iplot, init_notebook_mode\niplot(fig)",
        "import plotly.io as pio\npio.show(fig.to_dict())",
    ],
)
def test_every_way_to_show_a_plotly_figure_makes_the_page(room: Room, show: str) -> None:
    execution = room.run(PAGE + show)
    assert execution.ok, execution.error
    assert names(execution) == ["figure-1.html"]
    assert holds_the_library_once(room.content(execution, "figure-1.html"))


def test_the_library_in_a_page_does_not_count_against_the_limit(room: Room) -> None:
    execution = room.run(
        PAGE + "fig.show()\nfig.write_html('b.html', include_plotlyjs='cdn')\n", limits=Limits(output_bytes=MIB)
    )
    assert execution.ok, execution.error
    assert all(holds_the_library_once(room.content(execution, name)) for name in ("figure-1.html", "b.html"))


def test_a_page_that_holds_the_library_itself_is_counted_with_it(room: Room) -> None:
    execution = room.run(PAGE + "fig.write_html('whole.html')\n", limits=Limits(output_bytes=MIB))
    assert execution.status == "output_too_large"
    assert "include_plotlyjs" in hint(execution)
    assert holds_the_library_once(room.content(room.run(PAGE + "fig.write_html('whole.html')\n"), "whole.html"))


def test_a_page_of_the_programs_own_gets_the_library_where_it_refers_to_it(room: Room) -> None:
    execution = room.run(
        PAGE
        + "chart = fig.to_html(full_html=False, include_plotlyjs='cdn')\n"
        + "open('board.html', 'w').write('<html><body>' + '<p>Text</p>' * 200_000 + chart + '</body></html>')\n"
    )
    page = room.content(execution, "board.html")
    assert holds_the_library_once(page)
    assert page.startswith(b"<html><body><p>Text</p>")
    assert page.endswith(b"</body></html>")


def test_the_page_of_plotly_offline_is_kept(room: Room) -> None:
    execution = room.run(PAGE + "from plotly.offline import plot\nplot(fig, filename='mine.html')\n")
    assert execution.ok, execution.error
    assert holds_the_library_once(room.content(execution, "mine.html"))


@pytest.mark.parametrize(
    "call", ["fig.write_image('a.png')", "fig.to_image()", "import plotly.io as pio\npio.write_image(fig, 'a.png')"]
)
def test_an_image_from_plotly_points_to_what_works_here(room: Room, call: str) -> None:
    execution = room.run(PAGE + call)
    assert execution.status == "failed"
    assert "write_html" in hint(execution)
    assert "matplotlib" in hint(execution)
    assert "pip" not in hint(execution)
