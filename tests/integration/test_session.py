import asyncio
import hashlib
from pathlib import Path

import pytest
from rooms import Room, at_each_level, busy, descendants, eventually, hint, named, names, open_room

import handiwork
from handiwork.errors import ArtifactNotFound, ContentTooLarge, ExecutionNotFound, InputNotFound, InvalidName
from handiwork.executions.runs import LONGEST_CODE_BYTES
from handiwork.model import Execution
from handiwork.settings import Artifacts, Settings

pytestmark = pytest.mark.linux


# What a run tells


def test_a_run_tells_what_it_made_and_how_it_went(room: Room) -> None:
    execution = room.run("print('done')\nopen('a.txt', 'w').write('text')")
    outcome = execution.outcome
    assert (outcome.status, outcome.exit_code, outcome.signal, outcome.error) == ("succeeded", 0, None, None)
    assert (outcome.stdout, outcome.stderr, outcome.stdout_truncated) == ("done\n", "", False)
    assert 0 < outcome.cpu_ms < 30_000
    assert 0 < outcome.duration_ms < 30_000
    assert outcome.isolation is not None
    assert outcome.isolation.level == "full"
    assert all(outcome.isolation.walls[wall] for wall in ("seccomp", "landlock", "networkNamespace"))
    (artifact,) = execution.artifacts
    assert artifact.sha256 == hashlib.sha256(b"text").hexdigest()
    assert artifact.version.provenance.execution_id == execution.id
    assert artifact.id.startswith("art_")
    assert artifact.handle.startswith("a_")


def test_a_run_can_be_looked_up_again(room: Room) -> None:
    execution = room.run("open('a.txt', 'w').write('x')")
    engine = room.session
    found = [artifact.version.provenance.execution_id for artifact in engine.list().items]
    assert execution.id in found


async def test_a_run_is_recorded_with_its_files(data: Path) -> None:
    async with handiwork.open(data) as engine:
        session = engine.session("a")
        made = await session.run("print(1)\nopen('a.txt', 'w').write('x')")
        again = await session.execution(made.id)
        assert (again.id, again.outcome.stdout, [a.id for a in again.artifacts]) == (
            made.id,
            "1\n",
            [a.id for a in made.artifacts],
        )
        with pytest.raises(ExecutionNotFound):
            await engine.session("b").execution(made.id)


def test_output_that_is_no_text_is_shown_all_the_same(room: Room) -> None:
    execution = room.run("import sys\nsys.stdout.buffer.write(b'a\\xffb')\nprint('é ß 日')")
    assert execution.stdout == "a\ufffdbé ß 日\n"


def test_warnings_and_logging_go_to_standard_error(room: Room) -> None:
    execution = room.run("""
        import logging, warnings
        warnings.warn("careful")
        logging.warning("logged")
        print("plain")
    """)
    assert execution.stdout == "plain\n"
    assert "main.py:2: UserWarning: careful" in execution.stderr
    assert "WARNING:root:logged" in execution.stderr


# How it ends


@pytest.mark.parametrize("leave", ["import sys\nsys.exit(0)", "import sys\nsys.exit()", "exit()", "quit()"])
def test_a_program_may_leave_early(room: Room, leave: str) -> None:
    execution = room.run(f"open('a.txt', 'w').write('x')\n{leave}\n1 / 0")
    assert execution.ok
    assert names(execution) == ["a.txt"]


def test_an_exit_code_other_than_zero_is_a_failure_that_keeps_the_files(room: Room) -> None:
    execution = room.run("open('a.txt', 'w').write('x')\nimport sys\nsys.exit(3)")
    assert (execution.status, execution.outcome.exit_code) == ("failed", 3)
    assert execution.error is not None
    assert "exit code 3" in execution.error.message
    assert names(execution) == ["a.txt"]


def test_the_reason_given_to_exit_is_in_standard_error(room: Room) -> None:
    execution = room.run("import sys\nsys.exit('no rows left')")
    assert (execution.status, execution.outcome.exit_code, execution.stderr) == ("failed", 1, "no rows left\n")


def test_a_failure_is_told_by_the_lines_of_the_program_alone(room: Room) -> None:
    execution = room.run("""
        import json

        def read(text):
            return json.loads(text)

        read("{")
    """)
    error = execution.error
    assert error is not None
    assert (execution.status, error.type, error.line) == ("failed", "json.decoder.JSONDecodeError", 4)
    assert 'File "main.py", line 6, in <module>' in error.traceback
    assert "    return json.loads(text)" in error.traceback
    assert "/json/" not in error.traceback
    assert "handiwork" not in error.traceback
    assert execution.stderr == error.traceback


def test_the_cause_of_a_failure_is_told_before_it(room: Room) -> None:
    execution = room.run("""
        try:
            {}["key"]
        except KeyError as missing:
            raise ValueError("bad row") from missing
    """)
    assert execution.error is not None
    assert execution.error.traceback.index("KeyError: 'key'") < execution.error.traceback.index("ValueError: bad row")


def test_a_failure_with_a_hostile_message_is_still_a_failure(room: Room) -> None:
    execution = room.run("""
        class Hostile(Exception):
            def __str__(self):
                raise SystemExit(0)
        raise Hostile()
    """)
    assert (execution.status, execution.outcome.exit_code) == ("failed", 1)


def test_an_endless_message_is_cut(room: Room) -> None:
    error = room.run("raise ValueError('x' * 10_000_000)").error
    assert error is not None
    assert len(error.message) < 5_000
    assert len(error.traceback) < 20_000


@at_each_level
@pytest.mark.parametrize(
    ("code", "signal"),
    [
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("os.kill(os.getpid(), 15)", "SIGTERM"),
        ("os.abort()", "SIGABRT"),
    ],
)
def test_a_program_that_is_ended_by_a_signal_is_killed(room: Room, code: str, signal: str) -> None:
    execution = room.run(f"import os, signal\n{code}")
    assert (execution.status, execution.outcome.exit_code, execution.outcome.signal) == ("killed", None, signal)
    assert execution.error is not None
    assert signal in execution.error.message
    assert execution.artifacts == ()


@at_each_level
def test_after_any_end_the_next_program_runs(room: Room) -> None:
    for code in ("import os\nos.abort()", "raise SystemExit(9)", "import os\nos._exit(7)", "x = ("):
        assert not room.run(code).ok
    assert room.run("print('fine')").stdout == "fine\n"


@at_each_level
@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("import pandass", "ModuleNotFoundError", "Did you mean `pandas`?"),
        ("import sklearn.linear_model", "ModuleNotFoundError", "matplotlib 3"),
        ("import pandas as pd\npd.DataFrame({'a': [1]}).to_parquet('a.parquet')", "ImportError", "pyarrow"),
        ("open('gone.csv')", "FileNotFoundError", "`rows.csv`"),
        ("import pandas as pd\npd.read_csv('gone.csv')", "FileNotFoundError", "`rows.csv`"),
        ("name = input('Name? ')", "EOFError", "Nobody can type"),
        ("import urllib.request as r\nr.urlopen('http://example.org')", "urllib.error.URLError", "no network"),
        ("import socket\nsocket.create_connection(('192.0.2.1', 80), 1)", "OSError", "no network"),
        ("import subprocess\nsubprocess.run(['ls'])", "PermissionError", "No other program"),
        ("import os\nos.execv('/bin/ls', ['ls'])", "PermissionError", "No other program"),
    ],
)
def test_a_failure_that_the_walls_cause_says_what_to_do(
    room: Room, data: Path, code: str, kind: str, expected: str
) -> None:
    (data / "rows.csv").write_text("a\n1\n", encoding="utf-8")
    execution = room.run(code, inputs=[data / "rows.csv"], check=False)
    assert execution.status == "failed"
    assert execution.error is not None
    assert execution.error.type == kind
    assert expected in hint(execution)


# What is refused before anything runs


def test_all_violations_are_told_at_once_and_nothing_runs(room: Room) -> None:
    execution = room.run("""
        open("made.txt", "w").write("x")
        import os
        os.system("ls")
        import subprocess
        eval("1")
    """)
    assert (execution.status, execution.outcome.exit_code, execution.error) == ("rejected", None, None)
    assert [(v.line, v.rule) for v in execution.outcome.violations] == [(3, "call"), (4, "import"), (5, "call")]
    assert execution.artifacts == ()


def test_a_mistake_in_the_syntax_is_told_with_its_line(room: Room) -> None:
    (violation,) = room.run("print(1)\nfor x in range(3)\n    print(x)\n").outcome.violations
    assert (violation.line, violation.rule) == (2, "syntax")
    assert "expected ':'" in violation.message


def test_what_the_compiler_alone_refuses_is_told_with_its_line_too(room: Room) -> None:
    (violation,) = room.run("print(1)\nreturn 2").outcome.violations
    assert (violation.line, violation.rule) == (2, "syntax")


def test_without_the_check_a_mistake_in_the_syntax_is_a_failure_with_its_line(room: Room) -> None:
    execution = room.run("print(1)\nx = = 1", check=False)
    assert execution.error is not None
    assert (execution.status, execution.error.type, execution.error.line) == ("failed", "SyntaxError", 2)


def test_the_sample_that_the_check_must_allow_makes_its_chart(room: Room) -> None:
    execution = room.run("""
        import matplotlib.pyplot as plt
        plt.bar(['A', 'B', 'C'], [10, 20, 15])
        plt.savefig('chart.png')
    """)
    assert names(execution) == ["chart.png"]


def test_code_that_is_too_long_is_not_run(room: Room) -> None:
    with pytest.raises(ContentTooLarge, match=r"main\.py"):
        room.run("#" * (LONGEST_CODE_BYTES + 1))


# What ordinary programs rely on


@at_each_level
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("if __name__ == '__main__':\n    print('main')", "main"),
        (
            "import os\nprint(os.path.basename(__file__), os.path.dirname(os.path.abspath(__file__)) == os.getcwd())",
            "main.py True",
        ),
        ("import sys\nprint(sys.argv)", "['main.py']"),
        (
            "import pickle\nfrom dataclasses import dataclass\n@dataclass\nclass Row:\n    x: int\n"
            "print(pickle.loads(pickle.dumps(Row(3))))",
            "Row(x=3)",
        ),
        (
            "from __future__ import annotations\ndef f(x: Missing) -> None: ...\nprint(f.__annotations__)",
            "{'x': 'Missing', 'return': 'None'}",
        ),
        (
            "import asyncio\nasync def main():\n    await asyncio.sleep(0.01)\n    print('slept')\nasyncio.run(main())",
            "slept",
        ),
        ("import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))", "def f():\n    return 1"),
        ("import locale\nprint(locale.getpreferredencoding())", "UTF-8"),
        (
            "from datetime import datetime\nfrom zoneinfo import ZoneInfo\n"
            "print(datetime(2026, 7, 1, tzinfo=ZoneInfo('Europe/Berlin')).utcoffset())",
            "2:00:00",
        ),
        ("import time\nprint(time.tzname[0])", "UTC"),
        (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(4) as pool:\n    print(sum(pool.map(abs, range(-5, 0))))",
            "15",
        ),
        (
            "import typing\nclass A(typing.NamedTuple):\n    x: int\nprint(A(1), typing.get_type_hints(A))",
            "A(x=1) {'x': <class 'int'>}",
        ),
        ("open('helper.py', 'w').write('def f(): return 41')\nimport helper\nprint(helper.f())", "41"),
        (
            "import os\nos.makedirs('pkg')\nopen('pkg/__init__.py', 'w').write('')\n"
            "open('pkg/part.py', 'w').write('X = 5')\nfrom pkg.part import X\nprint(X)",
            "5",
        ),
        ("import sqlite3\nprint(sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0])", "42"),
        ("import decimal, fractions, statistics\nprint(statistics.mean([1, 2, 3]))", "2"),
    ],
)
def test_ordinary_python_works(room: Room, code: str, said: str) -> None:
    execution = room.run(code)
    assert execution.ok, (execution.error, execution.outcome.violations)
    assert execution.stdout.strip() == said


@at_each_level
def test_what_is_registered_for_the_end_is_done(room: Room) -> None:
    execution = room.run("""
        import atexit, threading
        atexit.register(lambda: open("atexit.txt", "w").write("x"))
        started = threading.Event()
        def work():
            started.wait(2)
            open("thread.txt", "w").write("x")
        threading.Thread(target=work).start()
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        started.set()
    """)
    assert execution.ok
    assert names(execution) == ["atexit.txt", "thread.txt"]


def test_a_figure_that_cannot_be_saved_at_the_end_is_a_failure(room: Room) -> None:
    execution = room.run(r"""
        import matplotlib.pyplot as plt
        plt.plot([1, 2])
        plt.title(r"$\frac{$")
    """)
    assert execution.status == "failed"
    assert execution.error is not None
    assert "frac" in execution.error.message


POOL = """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import Pool, Queue, Process

    def square(x):
        return x * x

    if __name__ == "__main__":
        with Pool(2) as pool:
            print(pool.map(square, range(4)))
        with ProcessPoolExecutor(2) as pool:
            print(list(pool.map(square, range(4))))
"""


def test_programs_may_use_several_processes(room: Room) -> None:
    execution = room.run(POOL)
    assert execution.stdout == "[0, 1, 4, 9]\n" * 2, execution.error


@pytest.mark.parametrize("room", ["unprivileged"], indirect=True, scope="session")
def test_where_a_job_is_one_process_the_hint_says_so(room: Room) -> None:
    assert "threads" in hint(room.run(POOL))


# The folder that hosted interpreters have


@at_each_level
@pytest.mark.parametrize("check", [True, False])
def test_what_is_written_to_mnt_data_is_in_the_work_folder(room: Room, check: bool) -> None:
    execution = room.run(
        """
        import os, shutil
        from pathlib import Path
        import pandas as pd
        n = 1
        pd.DataFrame({"a": [1]}).to_csv("/mnt/data/table.csv", index=False)
        os.makedirs("/mnt/data/charts", exist_ok=True)
        open(f"/mnt/data/charts/{n}.txt", "w").write("numbered")
        (Path("/mnt/data") / "path.txt").write_text("path")
        with open("/mnt/data/path.txt") as file:
            print(file.read())
        print(os.path.exists("path.txt"), "see /mnt/data/table.csv")
        """,
        check=check,
    )
    assert execution.ok, execution.error
    assert names(execution) == ["1.txt", "path.txt", "table.csv"]
    assert execution.stdout == "path\nTrue see /mnt/data/table.csv\n"


@at_each_level
def test_an_input_is_found_in_mnt_data(room: Room, data: Path) -> None:
    (data / "rows.csv").write_text("a\n1\n", encoding="utf-8")
    execution = room.run(
        "import pandas as pd\nprint(len(pd.read_csv('/mnt/data/rows.csv')))", inputs=[data / "rows.csv"]
    )
    assert execution.stdout == "1\n", execution.error


# Inputs


@at_each_level
def test_an_artifact_of_an_earlier_run_is_an_input_of_a_later_one(room: Room) -> None:
    first = room.run("open('rows.csv', 'w').write('a\\n1\\n')").artifacts[0]
    for reference in (first, first.id, first.handle):
        later = room.run("print(open('rows.csv').read(), open('inputs/rows.csv').read())", inputs=[reference])
        assert later.stdout == "a\n1\n a\n1\n\n"
        assert later.artifacts == ()


def test_a_version_names_the_inputs_that_it_was_made_from(room: Room) -> None:
    first = room.run("open('rows.csv', 'w').write('a\\n1\\n')").artifacts[0]
    made = room.run("open('copy.csv', 'w').write(open('rows.csv').read())", inputs=[first]).artifacts[0]
    assert made.version.provenance.inputs == (f"{first.id}@1",)


@at_each_level
def test_an_input_cannot_be_changed(room: Room, data: Path) -> None:
    (data / "rows.csv").write_text("kept", encoding="utf-8")
    execution = room.run("open('rows.csv', 'w').write('lost')", inputs=[data / "rows.csv"])
    assert execution.status == "failed"
    assert "new name" in hint(execution)
    assert (data / "rows.csv").read_text(encoding="utf-8") == "kept"


def test_a_module_given_as_an_input_can_be_imported(room: Room, data: Path) -> None:
    (data / "rates.py").write_text("RATE = 3", encoding="utf-8")
    assert room.run("import rates\nprint(rates.RATE)", inputs=[data / "rates.py"]).stdout == "3\n"


def test_a_missing_input_is_named_and_nothing_runs(room: Room, data: Path) -> None:
    with pytest.raises(InputNotFound, match=r"gone\.csv"):
        room.run("print(1)", inputs=[data / "gone.csv"])
    with pytest.raises(InputNotFound, match="not a regular file"):
        room.run("print(1)", inputs=[data])
    with pytest.raises(ArtifactNotFound, match="rows_0000"):
        room.run("print(1)", inputs=["rows_0000"])


def test_two_inputs_of_one_name_are_refused(room: Room, data: Path) -> None:
    (data / "a.txt").touch()
    with pytest.raises(InvalidName, match=r"a\.txt"):
        room.run("print(1)", inputs=[data / "a.txt", data / "a.txt"])


@pytest.mark.parametrize("name", ["main.py", "inputs", "my file (1).csv", "отчёт.csv", "-rf", "a'b\".csv"])
def test_an_input_may_have_any_name_that_a_file_may_have(room: Room, data: Path, name: str) -> None:
    (data / name).write_text("content", encoding="utf-8")
    execution = room.run(f"print(open('inputs/' + {name!r}).read())", inputs=[data / name])
    assert execution.stdout == "content\n", execution.error


# Fresh by default


@at_each_level
def test_two_runs_share_nothing(room: Room) -> None:
    code = """
        import builtins, os, random, sys, json
        import numpy as np
        import matplotlib as mpl
        import matplotlib.pyplot as plt
        found = [hasattr(builtins, "left"), hasattr(json, "left"), sorted(set(os.listdir()) - {"inputs", ".tmp"}),
                 plt.get_fignums(), mpl.rcParams["lines.linewidth"] == 77, os.environ.get("LEFT"), "left" in sys.path]
        print(found)
        builtins.left = json.left = True
        open("left.txt", "w").write("x")
        plt.figure()
        mpl.rcParams["lines.linewidth"] = 77
        os.environ["LEFT"] = "x"
        sys.path.append("left")
        print(random.random(), np.random.rand(), np.random.default_rng().random(), id(object()) and os.urandom(4).hex())
    """
    first, second = (room.run(code).stdout.splitlines() for _ in range(2))
    assert first[0] == second[0] == "[False, False, [], [], False, None, False]"
    assert not set(first[1].split()) & set(second[1].split())


# Cancelling


async def test_a_cancelled_run_ends_at_once_and_leaves_the_sandbox_usable(data: Path) -> None:
    # Without children that are ready, every process is of a run.
    async with handiwork.open(data, settings=Settings(artifacts=Artifacts(ready_children=0))) as engine:
        session = engine.session("a")
        assert (await session.run("print(1)")).ok
        before = descendants()
        running = asyncio.create_task(session.run("while True:\n    pass"))
        assert await eventually(lambda: busy(descendants() - before))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await running
        # The keeper of the first run may have gone meanwhile.
        assert not descendants() - before
        assert (await session.run("print(2)")).stdout == "2\n"
        assert (await session.list()).items == ()


async def test_runs_may_go_on_side_by_side(data: Path) -> None:
    async with handiwork.open(data) as engine:
        session = engine.session("a")
        async with asyncio.timeout(30):
            runs: list[Execution] = await asyncio.gather(
                *(session.run(f"open('n.txt', 'w').write('{n}')\nprint({n})") for n in range(6))
            )
        assert [run.stdout for run in runs] == [f"{n}\n" for n in range(6)]
        contents = [(await session.read(run.artifacts[0].id)).decode() for run in runs]
        assert contents == [str(n) for n in range(6)]


# Configuration


def test_allowed_imports_are_configuration(data: Path) -> None:
    with open_room("full", data, allowed_imports={"add": ["subprocess"], "remove": ["json"]}) as room:
        assert room.run("import subprocess\nprint(1)").ok
        assert room.run("import json\nprint(1)").status == "rejected"


def test_ids_begin_as_the_configuration_says(data: Path) -> None:
    with open_room("full", data, id_prefix="atf_") as room:
        (artifact,) = named(room.run("open('a.txt', 'w').write('x')")).values()
        assert artifact.id.startswith("atf_")


def test_without_walls_a_program_runs_only_where_that_is_asked_for(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert Settings().artifacts.isolation == "auto"
    with open_room("none", data) as room:
        execution = room.run("open('/mnt/data/a.txt', 'w').write('x')\nprint(1)")
        assert (execution.stdout, names(execution)) == ("1\n", ["a.txt"])
        assert execution.outcome.isolation is not None
        assert execution.outcome.isolation.level == "none"
    assert "reach everything" in caplog.text


def test_a_failed_task_group_tells_what_failed_in_it(room: Room) -> None:
    execution = room.run(
        "import asyncio\n"
        "async def fail():\n"
        "    raise ValueError('inner reason')\n"
        "async def main():\n"
        "    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(fail())\n"
        "asyncio.run(main())\n"
    )
    assert execution.error is not None
    assert execution.error.type == "ExceptionGroup"
    assert "line 3, in fail" in execution.error.traceback
    assert "ValueError: inner reason" in execution.error.traceback
