"""`handiwork run`, from the words of the command to the files in the folder."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from handiwork.cli.app import start

WRITES = "from pathlib import Path\nPath('a.csv').write_text('x,y\\n1,2\\n')\nprint('done \\x1b[2J')\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def script(folder: Path) -> Path:
    path = folder / "writes.py"
    path.write_text(WRITES, encoding="utf-8")
    return path


def _answer(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_files_go_to_the_current_folder_and_replace_nothing(
    script: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.csv").write_text("mine", encoding="utf-8")
    assert start(["run", "writes.py"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "done \\x1b[2J"
    assert next(line.split() for line in lines if line.startswith("a.csv")) == [
        *("a.csv", "csv", "8", "bytes", "a-2.csv")
    ]
    assert lines[-1].startswith("succeeded · ")
    assert captured.err == ""
    assert {path.name for path in folder.iterdir()} == {"writes.py", "a.csv", "a-2.csv"}
    assert ((folder / "a.csv").read_text(), (folder / "a-2.csv").read_text()) == ("mine", "x,y\n1,2\n")


def test_json_is_the_object_of_the_contract_and_nothing_else(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["run", "writes.py", "--json", "--out", "out"]) == 0
    answer = _answer(capsys)
    (artifact,) = answer.pop("artifacts")
    assert (answer["status"], answer["exitCode"], answer["stdout"]) == ("succeeded", 0, "done \x1b[2J\n")
    assert set(answer) == {
        *("id", "status", "exitCode", "signal", "stdout", "stderr", "stdoutTruncated", "stderrTruncated", "error"),
        *("violations", "durationMs", "cpuMs", "peakMemoryBytes", "isolation", "refused"),
    }
    assert artifact["path"] == "out/a.csv"
    assert Path(artifact["path"]).read_text() == "x,y\n1,2\n"


def test_a_later_run_takes_artifacts_and_files_of_the_session(
    script: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", "store", "--session", "s", "--json", "--out", "out"]
    assert start(["run", "writes.py", *where]) == 0
    handle = _answer(capsys)["artifacts"][0]["handle"]
    (folder / "b.txt").write_text("file", encoding="utf-8")
    (folder / "reads.py").write_text("print(open('a.csv').read() + open('b.txt').read())", encoding="utf-8")
    assert start(["run", "reads.py", "--input", handle, "--input", "b.txt", *where]) == 0
    assert _answer(capsys)["stdout"] == "x,y\n1,2\nfile\n"


def test_a_program_that_fails_is_told_with_its_line_and_its_files_are_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "fails.py").write_text("open('kept.txt', 'w').write('kept')\nprint('before')\n1 / 0\n", encoding="utf-8")
    assert start(["run", "fails.py"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("before\nfailed on line 3\nTraceback (most recent call last):\n")
    assert captured.out.count("ZeroDivisionError: division by zero") == 1
    assert 'File "fails.py", line 3' in captured.out
    assert "\nfailed · " in captured.out
    assert captured.err == ""
    assert (folder / "kept.txt").read_text() == "kept"


def test_what_the_check_refuses_is_listed_by_line_and_column(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.py").write_text("import os\nx = 1; os.system('ls')\n", encoding="utf-8")
    assert start(["run", "x.py"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["2:8", "call"] for line in lines)
    assert lines[-1].startswith("rejected · ")


def test_limits_and_level_reach_the_sandbox(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.py").write_text("while True: pass\n", encoding="utf-8")
    assert start(["run", "x.py", "--json", "--timeout", "500ms", "--isolation", "unprivileged"]) == 1
    answer = _answer(capsys)
    assert (answer["status"], answer["isolation"]["level"]) == ("timed_out", "unprivileged")


def test_an_unsupported_file_is_told_and_the_rest_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.py").write_text(
        "open('a.mp3', 'wb').write(b'ID3\\x04' + bytes(6) + b'\\xff\\xfb\\x90\\x00' * 300)\n"
        "open('a.txt', 'w').write('text')\n",
        encoding="utf-8",
    )
    assert start(["run", "x.py"]) == 0
    out = capsys.readouterr().out
    assert "unsupported_format" in out
    assert {path.name for path in folder.iterdir()} == {"x.py", "a.txt"}


def test_no_check_runs_what_the_check_would_refuse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.py").write_text("print(eval('6 * 7'))\n", encoding="utf-8")
    assert start(["run", "x.py", "--json"]) == 1
    assert _answer(capsys)["status"] == "rejected"
    assert start(["run", "x.py", "--json", "--no-check"]) == 0
    assert _answer(capsys)["stdout"] == "42\n"


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (["missing.py"], 2, "script_unusable"),
        (["."], 2, "script_unusable"),
        ([sys.executable], 2, None),
        (["writes.py", "--timeout", "-1"], 2, "invalid_limit"),
        (["writes.py", "--timeout", "0"], 2, "invalid_limit"),
        (["writes.py", "--memory", "lots"], 2, "invalid_limit"),
        (["writes.py", "--timeout", "9h"], 2, "limit_exceeded"),
        (["writes.py", "--isolation", "strong"], 2, "usage"),
        (["writes.py", "--unknown"], 2, "usage"),
        ([], 2, "usage"),
        (["writes.py", "--input", "missing.csv"], 4, "input_not_found"),
        (["writes.py", "--input", "chart_k3x9"], 4, "input_not_found"),
        (["writes.py", "--input", "chart_k3x9", "--data", "store"], 4, "artifact_not_found"),
        (["writes.py", "--out", "writes.py"], 1, "target_refused"),
        (["writes.py", "--data", "writes.py"], 1, "storage_failed"),
        (["writes.py", "--session", "", "--data", "store"], 1, "invalid_name"),
    ],
)
def test_bad_words_get_a_clear_error_and_nothing_runs(
    words: list[str], code: int, kind: str | None, script: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start(["run", *words, "--json"]) == code
    error = _answer(capsys)["error"]
    assert kind in (None, error["code"])
    assert error["message"]
    assert not (folder / "a.csv").exists()
    assert start(["run", *words]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "rror: " in captured.err


def test_an_interrupt_ends_the_run_and_leaves_nothing(folder: Path) -> None:
    (folder / "slow.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    temporary = folder / "tmp"
    temporary.mkdir()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "handiwork", "run", "slow.py"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TMPDIR": str(temporary), "TERM": "xterm"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    try:
        _read_until(ours, b"Running slow.py")
        process.send_signal(signal.SIGINT)
        out, _nothing = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert (process.returncode, out) == (130, b"")
    assert list(temporary.iterdir()) == []


def _read_until(descriptor: int, wanted: bytes, *, seconds: float = 30) -> None:
    seen, deadline = b"", time.monotonic() + seconds
    while wanted not in seen:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        assert readable, f"{wanted!r} was not shown, but {seen!r}"
        seen += os.read(descriptor, 4096)
