"""Which memory a job touches, learned once, and how a child gets it before it has a job.

A child shares all memory with the warm interpreter, and each page that it writes to is copied at that moment. For a
chart these moments together take longer than the drawing. What a job will write to is nearly always the same, so one
child does what jobs commonly do, looks which pages it got of its own, and every later child has those copied at once.
Only places are learned and told, never what is in them. Runs inside the warm interpreter, so it imports the standard
library only.
"""

import array
import contextlib
import errno
import json
import mmap
import os
import select
import signal
import time
from collections.abc import Callable, Iterator

from handiwork.sandbox import kernel

Range = tuple[int, int]
"""Address and length in bytes."""

_PAGE = mmap.PAGESIZE
_LARGE = 2 * 1024 * 1024
_LEARN_SECONDS = 10.0
_PRESENT, _EXCLUSIVE = 1 << 63, 1 << 56
# Pages in between that are copied along, because each range is a call to the kernel.
_GAP = 2 * _PAGE


class Ranges:
    """What a child of this interpreter writes to, and what it reads of the files that are mapped."""

    def __init__(self, written: "list[Range]", read: "list[Range]") -> None:
        self.written, self.read = written, read

    def populate(self) -> None:
        """Get all of it now. A kernel that cannot leaves it to the moment when it is needed."""
        for ranges, advice in ((self.written, kernel.MADV_POPULATE_WRITE), (self.read, kernel.MADV_POPULATE_READ)):
            for start, length in ranges:
                try:
                    kernel.advise(start, length, advice)
                except OSError as refused:
                    if refused.errno == errno.EINVAL:
                        return


def take_large_pages() -> None:
    """Let this process have its memory in large pages, as far as there are any: a fork goes through every page."""
    for start, end, access, is_file in list(_areas()):
        if "w" not in access or is_file:
            continue
        for place in range(-(-start // _LARGE) * _LARGE, end - _LARGE + 1, _LARGE):
            with contextlib.suppress(OSError):
                kernel.advise(place, _LARGE, kernel.MADV_COLLAPSE)


def learn(exercise: "Callable[[], None]") -> Ranges:
    """Let a child do the exercise and return what it needed; nothing, where that cannot be told."""
    ours, theirs = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        return Ranges([], [])
    if pid == 0:
        try:
            # With the interpreter ends what it holds, and nobody waits for an answer from what is left of it.
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            kernel.close_all_but({theirs})
            found = _needed(exercise)
            with os.fdopen(theirs, "w") as answer:
                json.dump(found, answer)
        finally:
            os._exit(0)
    os.close(theirs)
    try:
        written, read = json.loads(_told(ours))
    except ValueError:
        return Ranges([], [])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return Ranges([(start, length) for start, length in written], [(start, length) for start, length in read])


def _told(descriptor: int) -> bytes:
    """Return what comes until its end, or what has come when it takes too long."""
    told, end = b"", time.monotonic() + _LEARN_SECONDS
    with os.fdopen(descriptor, "rb", buffering=0) as answer:
        while select.select([answer], [], [], max(0.0, end - time.monotonic()))[0]:
            data = answer.read(65536)
            if not data:
                break
            told += data
    return told


def _needed(exercise: "Callable[[], None]") -> "tuple[list[Range], list[Range]]":
    areas = list(_areas())
    exercise()
    written: list[Range] = []
    read: list[Range] = []
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for start, end, access, is_file in areas:
            entries = array.array("Q")
            pagemap.seek(start // _PAGE * entries.itemsize)
            entries.frombytes(pagemap.read((end - start) // _PAGE * entries.itemsize))
            if "w" in access:
                written += _joined(start, entries, _PRESENT | _EXCLUSIVE)
            elif is_file:
                read += _joined(start, entries, _PRESENT)
    return written, read


def _areas() -> "Iterator[tuple[int, int, str, bool]]":
    """The private mappings of this process: begin, end, access, and whether a file is behind them."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            path = fields[5].strip() if len(fields) > 5 else ""
            if fields[1].endswith("p") and "r" in fields[1] and path not in ("[vvar]", "[vdso]", "[vsyscall]"):
                start, _, end = fields[0].partition("-")
                yield int(start, 16), int(end, 16), fields[1], path.startswith("/")


def _joined(start: int, entries: "array.array[int]", wanted: int) -> "list[Range]":
    ranges: list[list[int]] = []
    for number, entry in enumerate(entries):
        if entry & wanted != wanted:
            continue
        page = start + number * _PAGE
        if ranges and page - ranges[-1][1] <= _GAP:
            ranges[-1][1] = page + _PAGE
        else:
            ranges.append([page, page + _PAGE])
    return [(begin, end - begin) for begin, end in ranges]


# A little of what programs of agents do: a chart, a table, a workbook, a document.
COMMON_WORK = """
import io
import matplotlib.pyplot as plt
import pandas as pd
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Image, PageBreak, Paragraph, SimpleDocTemplate, Table

for draw in (plt.bar, plt.plot, plt.scatter):
    draw([1, 2, 3], [10, 20, 15])
    plt.title("Title")
    plt.xlabel("label")
    plt.savefig(io.BytesIO())
    plt.close()
plt.bar(["A", "B", "C"], [10, 20, 15])
picture = io.BytesIO()
plt.savefig(picture)

table = pd.DataFrame({"group": ["a", "b"] * 50, "value": range(100), "share": [0.5] * 100})
summary = table.groupby("group").agg({"value": "sum", "share": "mean"}).reset_index()
pd.read_csv(io.StringIO(table.to_csv(index=False)))
for engine in ("openpyxl", "xlsxwriter"):
    with pd.ExcelWriter(io.BytesIO(), engine=engine) as writer:
        summary.to_excel(writer, index=False)

styles = getSampleStyleSheet()
story = [Paragraph("Title", styles["Title"]), Image(picture, 200, 150), PageBreak()]
story += [Table([["a", "b"], ["1", "2"]]), Paragraph(f"total {len(table):,}", styles["Normal"])]
SimpleDocTemplate(io.BytesIO()).build(story)
"""
