"""Part C: what comes out. Only regular files of the job itself, within limits, under harmless names."""
# ruff: noqa: E501  # probes are programs, a line each

import os
import re
import resource
from pathlib import Path

import pytest
from jails import Host, Jail, outside

import handiwork
from handiwork.model import KIB, MIB, Execution, Limits

SMALL = Limits(wall_seconds=20, output_bytes=1 * MIB, file_bytes=512 * KIB, stdout_bytes=64 * KIB)


def refusals(execution: Execution) -> dict[str, str]:
    return {refused.name: refused.reason for refused in execution.outcome.refused}


def kept(execution: Execution) -> set[str]:
    return {artifact.name for artifact in execution.artifacts}


LINKS = {
    "24 a symlink": ("os.symlink(TARGET, 'out.txt')", {"out.txt": "symlink"}),
    "24 a chain of symlinks": ("os.symlink(TARGET, 'b.txt'); os.symlink('b.txt', 'out.txt')", {"out.txt": "symlink"}),
    "24 a symlinked folder": ("os.symlink(os.path.dirname(TARGET), 'folder')", {"folder": "symlink"}),
    "26 deep in a folder": ("os.makedirs('a/b'); os.symlink(TARGET, 'a/b/out.txt')", {"a/b/out.txt": "symlink"}),
    "26 a folder exchanged for a link": (
        "os.mkdir('d'); os.rename('d', 'e'); os.symlink(os.path.dirname(TARGET), 'd')",
        {"d": "symlink"},
    ),
    "25 a hard link of its own": ("open('a.txt', 'w').write('x'); os.link('a.txt', 'b.txt')", {"a.txt": "hard_link"}),
    "25 a FIFO": ("os.mkfifo('pipe.txt')", {"pipe.txt": "fifo"}),
    "25 a FIFO in a folder": ("os.mkdir('d'); os.mkfifo('d/pipe.txt')", {"d/pipe.txt": "fifo"}),
}


@pytest.mark.parametrize(("make", "expected"), LINKS.values(), ids=LINKS)
async def test_what_is_no_file_of_the_job_is_refused_with_a_reason(
    jail: Jail, host: Host, make: str, expected: dict[str, str]
) -> None:
    program = f"import os\nTARGET = {str(host.canary)!r}\n{make}\nopen('good.txt', 'w').write('good')"
    made = outside(program, folder=host.folder)
    assert made.returncode == 0, f"control: the program makes it ({made.stderr[-300:]})"
    assert all(os.path.lexists(host.folder / name) for name in expected)

    execution = await jail.run(program)

    assert execution.ok, execution.stderr
    assert refusals(execution).items() >= expected.items()
    assert kept(execution) == {"good.txt"}
    assert host.secret not in await jail.said(execution)


@pytest.mark.levels("full")  # at `unprivileged` Landlock refuses to make one at all
async def test_a_bound_socket_is_not_kept(jail: Jail) -> None:
    execution = await jail.run("""
import os, stat
try: os.mknod('sock.txt', stat.S_IFSOCK | 0o600)
except OSError as refused: print('refused', refused.errno)
""")

    assert "refused" in execution.stdout
    assert kept(execution) == set()


NAMES = {
    "newline": "new\nline.txt",
    "escape": "\x1b[2Jcleared.txt",
    "OSC 52": "\x1b]52;c;aGk=\x07.txt",
    "right to left": "gpj.\u202etxt",
    "invisible": "zero\u200bwidth.txt",
    "line separator": "a\u2028b.txt",
    "not UTF-8": b"\xff\xfe.txt",
    "backslash": "..\\..\\up.txt",
    "only dots": "...",
    "private use": "a\ue000b.txt",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_bad_name_is_refused_and_shown_escaped(jail: Jail, host: Host, name: str | bytes) -> None:
    program = f"open({name!r}, 'w').write('x'); open('good.txt', 'w').write('good')"
    assert outside(program, folder=host.folder).returncode == 0, "control: such a file can be made"

    execution = await jail.run(program)

    assert execution.ok, execution.stderr
    assert kept(execution) == {"good.txt"}
    ((shown, reason),) = refusals(execution).items()
    assert reason == "bad_name"
    assert shown.isprintable()
    assert shown.isascii()


ODD_NAMES = (
    "-rf",
    ".htaccess",
    "con.txt",
    "NUL",
    "a" * 251 + ".txt",
    "é.txt",
    "データ.csv",
    "a b.txt",
    "%2e%2e.txt",
    "~",
    "#x",
)


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_an_odd_name_is_kept_and_filed_under_a_safe_one(jail: Jail, name: str) -> None:
    execution = await jail.run(f"open({name!r}, 'w').write('odd')")

    assert execution.ok, execution.stderr
    assert kept(execution) == {name}
    assert await jail.files(execution) == {name: b"odd"}
    filed = [p for p in jail.data.rglob("*") if p.is_file() and execution.artifacts[0].id in str(p)]
    assert filed
    assert all(re.fullmatch(r"[A-Za-z0-9_~%-][A-Za-z0-9._~%-]*", path.name) for path in filed)


@pytest.mark.parametrize("space", ["\u00a0", "\u3000", "\u2003"])
async def test_an_unusual_space_in_a_name_does_not_lose_the_run(jail: Jail, space: str) -> None:
    execution = await jail.run(f"open('a{space}b.txt', 'w').write('x'); open('good.txt', 'w').write('good')")

    assert execution.ok
    assert "good.txt" in kept(execution)


async def test_names_that_differ_in_case_or_folder_alone_are_all_kept(jail: Jail) -> None:
    execution = await jail.run("""
import os
for folder in ('a', 'b', 'A'):
    os.mkdir(folder)
    for name in ('same.txt', 'SAME.txt'): open(f'{folder}/{name}', 'w').write(folder + name)
""")

    files = await jail.files(execution)
    assert len(files) == 6
    assert len(set(files.values())) == 6
    assert len({name.casefold() for name in files}) == 6


async def test_a_sparse_file_counts_by_its_apparent_size(jail: Jail) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    execution = await jail.run(
        "import os; open('big.bin', 'w').close(); os.truncate('big.bin', 60 * 1024**2)", limits=SMALL
    )
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert execution.status == "output_too_large"
    assert kept(execution) == set()
    assert grown * KIB < 30 * MIB
    huge = await jail.run("import os; open('huge.bin', 'w').close(); os.truncate('huge.bin', 1024**3)", limits=SMALL)
    assert huge.status in ("failed", "killed")
    assert sum(artifact.size for artifact in huge.artifacts) == 0


async def test_the_limit_of_all_files_together_holds_to_the_byte(jail: Jail) -> None:
    program = "for n in range(4): open(f'{n}.bin', 'wb').write(bytes(256 * 1024 + (n == 3) * EXTRA))"

    fits = await jail.run(program.replace("EXTRA", "0"), limits=SMALL)
    over = await jail.run(program.replace("EXTRA", "1"), limits=SMALL)

    assert (fits.status, len(kept(fits))) == ("succeeded", 4), "control: exactly the limit is allowed"
    assert (over.status, kept(over)) == ("output_too_large", set())


async def test_many_small_files_count_together(jail: Jail) -> None:
    execution = await jail.run(
        "import os\nos.mkdir('d')\nfor n in range(1000): open(f'd/{n}.bin', 'wb').write(bytes(10_000))", limits=SMALL
    )

    assert execution.status == "output_too_large"
    assert kept(execution) == set()


async def test_one_file_over_its_own_limit_is_refused_and_the_rest_kept(jail: Jail) -> None:
    execution = await jail.run(
        "open('big.bin', 'wb').write(bytes(512 * 1024 + 1)); open('good.bin', 'wb').write(bytes(512 * 1024 - 1))",
        limits=SMALL,
    )

    assert refusals(execution) == {"big.bin": "too_large"}
    assert kept(execution) == {"good.bin"}


async def test_more_files_than_anybody_wants_are_refused_in_a_bounded_list(jail: Jail) -> None:
    execution = await jail.run(
        "import os\nfor n in range(3000): os.symlink('/', f'link{n}')\nfor n in range(1100): open(f'{n}.txt', 'w').write('x')",
        limits=Limits(wall_seconds=50),
    )

    assert execution.ok
    assert len(execution.artifacts) == 1000
    assert len(execution.outcome.refused) <= 101


BOMBS = {
    "zip.zip": "import zipfile\nwith zipfile.ZipFile('zip.zip', 'w', 8) as z: z.writestr('a', bytes(40 * 1024**2))",
    "book.xlsx": """
import zipfile
with zipfile.ZipFile('book.xlsx', 'w', 8) as z:
    z.writestr('[Content_Types].xml', '<x/>'); z.writestr('xl/workbook.xml', bytes(40 * 1024**2))""",
    "image.png": "import PIL.Image\nPIL.Image.new('1', (20_000, 20_000)).save('image.png')",
    "deep.json": "open('deep.json', 'w').write('[' * 400_000 + ']' * 400_000)",
    "small.json": "open('small.json', 'w').write('[' * 30_000 + ']' * 30_000)",
    "laughs.svg": """
entities = ''.join(f'<!ENTITY a{n} "{"&a%d;" % (n - 1) * 10}">' for n in range(1, 30))
open('laughs.svg', 'w').write(f'<!DOCTYPE svg [<!ENTITY a0 "ha">{entities}]><svg xmlns="http://www.w3.org/2000/svg">&a29;</svg>')""",
    "numbers.json": "open('numbers.json', 'w').write('[' + '9' * 60_000 + ']')",
    "comments.html": "open('comments.html', 'w').write('<!--' * 100_000)",
    "lines.csv": "open('lines.csv', 'w').write(',' * 900_000)",
}  # fmt: skip


@pytest.mark.parametrize(("name", "program"), BOMBS.items(), ids=BOMBS)
async def test_a_bomb_as_artifact_is_stored_without_being_unpacked(jail: Jail, name: str, program: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    execution = await jail.run(program)
    after = resource.getrusage(resource.RUSAGE_SELF)

    assert execution.ok, execution.stderr
    assert kept(execution) == {name}
    assert (after.ru_maxrss - before.ru_maxrss) * KIB < 30 * MIB
    assert after.ru_utime - before.ru_utime < 2


def test_nothing_of_handiwork_can_unpickle() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(handiwork.__path__[0]).rglob("*.py")}
    readers = re.compile(
        r"\b(?:import|from) (?:pickle|marshal|shelve|dill|joblib)|allow_pickle|read_pickle|torch\.load"
    )

    found = {name for name, text in sources.items() if readers.search(text)}

    assert readers.search("import pickle"), "control: the search finds what it is for"
    assert found <= {"check.py", "imports.py"}


async def test_a_pickle_comes_out_as_bytes_and_is_not_run(jail: Jail, host: Host) -> None:
    program = f"""
import os, pickle
class Evil:
    def __reduce__(self): return os.system, ('echo > {host.marker}',)
open('result.pkl', 'wb').write(pickle.dumps(Evil()))
"""
    outside(program + "pickle.load(open('result.pkl', 'rb'))", folder=host.folder)
    assert host.reached(), "control: who loads it is caught"

    execution = await jail.run(program)

    assert len(await jail.files(execution)) + len(execution.outcome.refused) == 1
    assert not host.reached()


FLOODS = {
    "34 many lines": "import sys\nfor _ in range(2_000_000): sys.stdout.write('x' * 99 + '\\n')",
    "34 one line": "import os\nfor _ in range(3_000): os.write(1, b'x' * 65536)",
    "34 on standard error": "import os\nfor _ in range(3_000): os.write(2, b'x' * 65536)",
    "35 both at once": "import os\nfor _ in range(2_000): os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_a_flood_of_output_is_cut_and_does_not_stop_the_run(jail: Jail, flood: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    execution = await jail.run(flood + "\nopen('end.txt', 'w').write('x')", limits=SMALL)

    outcome = execution.outcome
    assert (execution.status, kept(execution)) == ("succeeded", {"end.txt"})
    assert len(outcome.stdout) <= 64 * KIB
    assert len(outcome.stderr) <= 64 * KIB
    assert outcome.stdout_truncated or outcome.stderr_truncated
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * KIB < 30 * MIB


async def test_output_that_is_no_text_is_still_kept_as_text(jail: Jail) -> None:
    execution = await jail.run("import os; os.write(1, b'a\\xff\\xfe\\x00\\x1b]52;c;aGk=\\x07b')")

    assert execution.ok
    assert execution.stdout.startswith("a\ufffd\ufffd\x00\x1b]52")
    assert (await jail.session.execution(execution.id)).stdout == execution.stdout


async def test_no_path_of_the_host_is_in_what_comes_out(jail: Jail) -> None:
    execution = await jail.run("import json\nopen('a.txt', 'w').write('x')\njson.loads('{')")

    assert execution.error is not None
    assert 'File "main.py", line 3' in execution.error.traceback, "control: the program's own line is shown"
    assert str(jail.data) not in await jail.said(execution)
    assert "handiwork-jobs-" not in await jail.said(execution)
    assert str(Path(handiwork.__path__[0])) not in await jail.said(execution)


async def test_a_plotly_page_that_is_copied_a_thousand_times_does_not_grow_without_bound(jail: Jail) -> None:
    execution = await jail.run("""
import plotly.graph_objects as go
go.Figure(go.Bar(y=[1, 2])).show()
page = open('figure-1.html').read()
for n in range(100): open(f'{n}.html', 'w').write(page)
""")

    assert execution.ok, execution.stderr
    sizes = sorted(artifact.size for artifact in execution.artifacts)
    assert sizes[-1] > 3 * MIB, "control: a page that is shown holds its library"
    assert sum(sizes) < 64 * MIB
