"""deepagents over the artifacts of a session: the official suite of sandboxes, its files, and programs among them."""

import asyncio
import fnmatch
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from deepagents.backends.protocol import FileInfo, GlobResult, WriteResult
from langchain_tests.integration_tests import SandboxIntegrationTests
from sides import Side

import handiwork
from handiwork.adapters.deepagents import ArtifactBackend, ArtifactSandbox
from handiwork.model import Limits
from handiwork.settings import AllowedImports, Artifacts, Settings

pytestmark = pytest.mark.linux

# The suite writes texts of a little more than 10 MiB.
ROOMY = Artifacts(max_file_size=16 * 1024 * 1024)


class AsTheSuiteAsks(ArtifactSandbox):
    """The suite knows the protocol before 0.7: a write refuses what is there, and `glob` names files from its folder.

    Today's protocol says the opposite of both, see the tests below it.
    """

    def write(self, file_path: str, content: str) -> WriteResult:
        if self.download_files([file_path])[0].content is not None:
            return WriteResult(error=f"File '{file_path}' already exists")
        return super().write(file_path, content)

    def glob(self, pattern: str, path: str | None = None) -> GlobResult:
        found = super().glob(pattern, path)
        base = (path or "/").rstrip("/") + "/"
        named = [FileInfo(path=each["path"].removeprefix(base), is_dir=False) for each in found.matches or []]
        folders = [entry["path"].removeprefix(base) for entry in self.ls(base).entries or [] if entry.get("is_dir")]
        named += [FileInfo(path=name, is_dir=True) for name in folders if fnmatch.fnmatchcase(name, pattern)]
        return GlobResult(matches=named)


@pytest.mark.filterwarnings("ignore:Class-scoped fixtures defined as instance methods")  # the suite's own fixtures
class TestTheOfficialSuite(SandboxIntegrationTests):
    @pytest.fixture(scope="class")
    def sandbox(self, tmp_path_factory: pytest.TempPathFactory) -> Generator[ArtifactSandbox]:
        folder = tmp_path_factory.mktemp("suite")
        with handiwork.open_sync(folder, settings=Settings(artifacts=ROOMY)) as engine:
            yield AsTheSuiteAsks(engine.session("suite"))


# A mebibyte of `x` in the variable of that name.
DOUBLED = "x=xxxxxxxxxxxxxxxx; for i in $(seq 16); do x=$x$x; done; "


@pytest.fixture
async def backend(session: Any) -> ArtifactBackend:
    return ArtifactBackend(session)


@pytest.fixture
async def sandbox(session: Any) -> ArtifactSandbox:
    return ArtifactSandbox(session)


async def test_each_write_of_a_path_is_a_version_of_one_artifact(backend: ArtifactBackend, session: Any) -> None:
    for text in ("one", "two", "two"):
        assert (await backend.awrite("/notes/plan.md", text)).error is None
    (plan,) = (await session.list()).items
    assert (plan.name, plan.version.number, plan.version.metadata["path"]) == ("plan.md", 2, "notes/plan.md")
    assert await session.read(plan.id, version=1) == b"one"


async def test_writers_of_one_path_at_the_same_time_make_one_artifact(backend: ArtifactBackend, session: Any) -> None:
    await asyncio.gather(*(backend.awrite("/a.txt", f"text {number}") for number in range(8)))
    (artifact,) = (await session.list()).items
    assert artifact.version.number == 8


async def test_writers_with_a_backend_each_make_one_artifact(side: Side) -> None:
    backends = [ArtifactBackend(side.session()) for _ in range(8)]
    await asyncio.gather(*(each.awrite("/a.txt", f"text {number}") for number, each in enumerate(backends)))
    (artifact,) = (await side.session().list()).items
    assert artifact.version.number == 8


async def test_what_was_made_elsewhere_is_a_file_under_its_name(backend: ArtifactBackend, session: Any) -> None:
    await session.create("markdown", title="Report", content="# Report\n")
    read = await backend.aread("/Report.md")
    assert read.file_data is not None
    assert read.file_data["content"] == "# Report\n"
    assert [entry["path"] for entry in (await backend.als("/")).entries or []] == ["/Report.md"]


async def test_a_found_path_is_absolute_so_that_rules_of_denial_hold(backend: ArtifactBackend) -> None:
    await backend.awrite("/secret/keys.txt", "x")
    assert [each["path"] for each in (await backend.aglob("*.txt", "/secret")).matches or []] == ["/secret/keys.txt"]
    assert [each["path"] for each in (await backend.aglob("**/*.txt")).matches or []] == ["/secret/keys.txt"]


@pytest.mark.parametrize("pattern", ["../*.txt", "{" * 40 + "a,b" + "}" * 40])
async def test_a_pattern_that_is_none_finds_nothing_and_does_not_raise(backend: ArtifactBackend, pattern: str) -> None:
    await backend.awrite("/a.txt", "x")
    found = await backend.aglob(pattern)
    assert found.error is not None or found.matches == []


async def test_lines_are_found_up_to_the_number_that_is_asked_for(backend: ArtifactBackend) -> None:
    await backend.awrite("/a.txt", "x\ny\nx\n")
    await backend.awrite("/b.txt", "x\n")
    every = await backend.agrep("x")
    assert [(each["path"], each["line"]) for each in every.matches or []] == [
        ("/a.txt", 1),
        ("/a.txt", 3),
        ("/b.txt", 1),
    ]
    some = await backend.agrep("x", max_count=2)
    assert (len(some.matches or []), some.truncated) == (2, True)


@pytest.mark.parametrize(
    "path", ["", "a.txt", "/", "/a/../b.txt", "/a\0b.txt", "/\ud800.txt", "/" + "x" * 300, "/x" * 1000, "/a\nb.txt"]
)
async def test_a_path_that_is_none_is_refused_in_words(backend: ArtifactBackend, session: Any, path: str) -> None:
    told = await backend.awrite(path, "x")
    (uploaded,) = await backend.aupload_files([(path, b"x")])
    if path == "/a/../b.txt":  # a model may say it; who uploads may not
        assert told.error is None
        assert uploaded.error == "invalid_path"
        return
    assert told.error
    assert uploaded.error
    assert (await backend.aread(path)).error is not None
    assert (await session.list()).items == ()


async def test_half_a_character_and_too_much_are_refused_in_words(backend: ArtifactBackend, session: Any) -> None:
    assert "position 1" in str((await backend.awrite("/a.txt", "a\ud800")).error)
    assert "10,485,760" in str((await backend.awrite("/a.txt", "a" * (10 * 1024 * 1024 + 1))).error)
    assert (await session.list()).items == ()


async def test_a_removed_folder_takes_its_files_with_it(backend: ArtifactBackend, session: Any) -> None:
    await backend.awrite("/old/a.txt", "x")
    await backend.awrite("/older.txt", "x")
    assert (await backend.adelete("/old")).error is None
    assert "not found" in str((await backend.adelete("/old")).error)
    assert [each.name for each in (await session.list()).items] == ["older.txt"]


async def test_an_edit_that_somebody_was_faster_with_is_not_lost(backend: ArtifactBackend, session: Any) -> None:
    await backend.awrite("/a.txt", "one\ntwo\nthree\n")
    assert (await backend.aedit("/a.txt", "one", "1")).occurrences == 1
    assert (await backend.aedit("/a.txt", "three", "3")).occurrences == 1
    (artifact,) = (await session.list()).items
    assert await session.read(artifact.id) == b"1\ntwo\n3\n"


async def test_a_program_finds_the_files_and_what_it_changes_are_versions(
    sandbox: ArtifactSandbox, session: Any
) -> None:
    await sandbox.awrite("/mnt/data/in/sales.csv", "a\n1\n")
    await sandbox.awrite("/mnt/data/old.txt", "old")
    await sandbox.awrite(
        "/mnt/data/work.py",
        "import os, sys\n"
        "open('in/sales.csv', 'a').write(sys.argv[1] + '\\n')\n"
        "os.remove('old.txt')\n"
        "os.makedirs('out', exist_ok=True)\n"
        "open('/mnt/data/out/total.txt', 'w').write('3')\n"
        "print(sys.stdin.read().strip(), __name__)\n",
    )
    told = await sandbox.aexecute("echo hello | python work.py 2 && cat in/sales.csv")
    assert (told.output, told.exit_code) == ("hello __main__\na\n1\n2\n", 0)
    files = {each.version.metadata.get("path", each.name): each.version.number for each in (await session.list()).items}
    assert files == {"in/sales.csv": 2, "out/total.txt": 1, "work.py": 1}


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a", "a/b"], "`a` is a file and a folder"),
        (["inputs/a"], "has for itself"),
        (["inputs"], "a folder of its own"),
        (["a/x", "b/x"], "have the same name"),
        ([str(number) for number in range(101)], "at most 100"),
    ],
)
async def test_files_that_no_program_can_have_are_named(sandbox: ArtifactSandbox, paths: list[str], why: str) -> None:
    await sandbox.aupload_files([(f"/mnt/data/{path}", b"x") for path in paths])
    told = await sandbox.aexecute("python -c 'print(1)'")
    assert told.exit_code == 1
    assert why in told.output


async def test_a_program_that_fails_tells_its_own_lines(sandbox: ArtifactSandbox) -> None:
    await sandbox.awrite("/mnt/data/lib.py", "def f(x):\n    return 1 / x\n")
    await sandbox.awrite("/mnt/data/main.py", "import lib\n\nlib.f(0)\n")
    told = await sandbox.aexecute("python main.py; echo $?")
    assert told.output.startswith("1\n")
    assert 'File "main.py", line 3' in told.output
    assert "_run" not in told.output
    assert told.output.rstrip().endswith("ZeroDivisionError: division by zero")


async def test_what_a_program_spoils_stays_as_it_was_and_the_rest_is_kept(
    sandbox: ArtifactSandbox, session: Any
) -> None:
    await session.create("json", name="data.json", content='{"a": 1}')
    await sandbox.awrite("/mnt/data/t.txt", "old")
    told = await sandbox.aexecute(
        "python -c \"open('data.json', 'w').write('{'); open('t.txt', 'w').write('new'); print('done')\""
    )
    assert told.output.startswith("done\ndata.json was not kept: ")
    assert "no comma before a closing bracket" in told.output  # the next step
    assert told.exit_code == 1
    files = {each.name: each for each in (await session.list()).items}
    assert {name: each.version.number for name, each in files.items()} == {"data.json": 1, "t.txt": 2}
    assert await session.read(files["data.json"].id) == b'{"a": 1}'
    assert await session.read(files["t.txt"].id) == b"new"


async def test_a_model_is_told_the_next_step_and_nothing_of_the_machine(side: Side, sandbox: ArtifactSandbox) -> None:
    content = b"x" * 100_000
    await sandbox.aupload_files([("/mnt/data/a.txt", content)])
    files = [path for path in side.data.rglob("*") if path.is_file()]
    (kept,) = [path for path in files if path.stat().st_size == len(content) and path.read_bytes() == content]
    kept.chmod(0o600)
    kept.write_bytes(content[::-1].upper())
    for told in ((await sandbox.aread("/mnt/data/a.txt")).error, (await sandbox.aexecute("cat a.txt")).output):
        assert told
        assert "Stored bytes differ" in told or "hash" in told
        assert "Restore the file from a backup" in told
        assert kept.name not in told


@pytest.mark.parametrize("is_alone", [True, False], ids=["alone", "among files"])
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("x = 1\nimport socket", "line 2: Import not allowed: socket."),
        ("import secretlib", "line 1: Import not allowed: secretlib."),
        ("import wave\nprint(1)", "line 1: Import not allowed: wave."),
        ("eval('1')", "line 1: Function not allowed: eval."),
        ("exec('x = 1')", "line 1: Function not allowed: exec."),
        ("x = (", "line 1: Syntax error: '(' was never closed"),
        ("x = '\0'", "Syntax error"),
        ("(" * 10_000, "Syntax error"),
    ],
)
async def test_a_program_is_checked_alone_and_among_files(tmp_path: Path, code: str, why: str, is_alone: bool) -> None:
    # Also one that what is put around a program needs is none of those that it may import itself.
    allowed = AllowedImports(remove=("wave", "shutil", "os"))
    settings = Settings(artifacts=Artifacts(allowed_imports=allowed, ready_children=0))
    async with handiwork.open(tmp_path, settings=settings) as engine:
        sandbox = ArtifactSandbox(engine.session("s"))
        if not is_alone:
            await sandbox.awrite("/mnt/data/lib.py", "x = 1\n")
        told = await sandbox.aexecute(f"python <<'END'\n{code}\nEND")
        assert why in told.output
        assert told.exit_code == 1
        if not is_alone:
            assert (await sandbox.aexecute("python -c 'import lib; print(lib.x)'")).output == "1\n"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("exec(compile('import socket', 'x', 'exec'), {})", ["Import not allowed: socket."]),
        ("exec(compile('x = (', 'x', 'exec'), {})", ["Syntax error: '(' was never closed"]),
        ("exec(compile('eval(1)', 'x', 'exec'), eval('{}'))", ["Function not allowed: eval."] * 2),
        ("exec(compile('exec(compile(\"1\", \"x\", \"exec\"), {})', 'x', 'exec'), {})", ["exec.", "compile."]),
        ("x = '1'\nexec(compile(x, 'x', 'exec'), {})", ["exec.", "compile."]),
        ("exec(compile('print(1)', 'x', 'exec'), {})", []),
        ("open('own.py', 'w').write('x = 1')\nexec(compile('import own\\nprint(own.x)', 'x', 'exec'), {})", []),
    ],
)
async def test_a_program_that_is_written_out_in_another_is_checked_as_one(
    tmp_path: Path, code: str, told: list[str]
) -> None:
    async with handiwork.open(tmp_path, settings=Settings(artifacts=Artifacts(ready_children=0))) as engine:
        run = await engine.session("s").run(code)
    assert len(run.outcome.violations) == len(told)
    assert [why for why, each in zip(told, run.outcome.violations, strict=True) if why not in each.message] == []
    assert (run.status, run.stdout) == (("rejected", "") if told else ("succeeded", "1\n"))


async def test_a_program_is_stopped_at_its_time(session: Any) -> None:
    sandbox = ArtifactSandbox(session, limits=Limits(wall_seconds=10))
    told = await sandbox.aexecute("python -c 'while True: pass'", timeout=1)
    assert told.exit_code == 124
    assert "timed out" in told.output


@pytest.mark.parametrize(
    "command", ["curl http://127.0.0.1/", "pip install x", "bash -c ls", "/bin/cat /etc/passwd", "git log"]
)
async def test_no_other_program_is_started_and_a_model_is_told_what_there_is(
    sandbox: ArtifactSandbox, command: str
) -> None:
    told = await sandbox.aexecute(command)
    assert told.exit_code == 127
    assert "cannot be run here. There are Python in a sandbox" in told.output


async def test_commands_see_the_session_and_nothing_of_the_machine(sandbox: ArtifactSandbox) -> None:
    # A path that is written out would be refused by the check already.
    await sandbox.awrite("/mnt/data/look.py", "print(open('/'.join(['', 'etc', 'passwd'])).read())")
    told = await sandbox.aexecute("cat /etc/passwd; ls /etc; python look.py")
    assert "root:" not in told.output
    assert "cat: /etc/passwd: No such file" in told.output
    assert "ls: /etc: No such file or folder" in told.output
    assert "FileNotFoundError" in told.output
    await sandbox.awrite("/etc/passwd", "mine")
    assert (await sandbox.aexecute("cat /etc/passwd")).output == "mine"


@pytest.mark.parametrize(
    ("command", "told", "log"),
    [
        ("cat none > log 2>&1", "", "cat: none: No such file\n"),
        ("cat none 2>&1 > log", "cat: none: No such file\n", ""),
        ("cat none &> log", "", "cat: none: No such file\n"),
        ("cat none 2> log", "", "cat: none: No such file\n"),
        ("echo a 1> log; cat none >> log 2>&1", "", "a\ncat: none: No such file\n"),
        ("echo a > log 2> /dev/null", "", "a\n"),
    ],
)
async def test_each_stream_goes_where_it_was_led_at_last(
    sandbox: ArtifactSandbox, command: str, told: str, log: str
) -> None:
    assert (await sandbox.aexecute(command)).output == told
    assert (await sandbox.aexecute("cat log")).output == log


@pytest.mark.parametrize(
    "command",
    ['rm -rf "$nothing"', 'cp a "$nothing"', 'echo b > "$nothing"', 'cat < "$nothing"', "rm *", "rm [.]hidden"],
)
async def test_a_name_that_is_empty_or_only_like_it_touches_no_other_file(
    sandbox: ArtifactSandbox, command: str
) -> None:
    await sandbox.aexecute("echo a > .hidden; mkdir b; echo a > b/a")
    assert (await sandbox.aexecute(command)).exit_code == 1
    assert (await sandbox.aexecute("cat .hidden b/a; ls -a")).output == "a\na\n.hidden\nb\n"


async def test_a_file_that_is_not_there_fails_its_command_alone(sandbox: ArtifactSandbox) -> None:
    told = await sandbox.aexecute("echo one; cat < none || echo two; cat //mnt/data/none; echo x > ~/three; cat three")
    assert told.output == "one\ntwo\nx\nshell: none: No such file\ncat: //mnt/data/none: No such file\n"


async def test_bytes_that_are_no_text_are_told_as_such_and_copied_as_they_are(
    session: Any, sandbox: ArtifactSandbox
) -> None:
    await sandbox.aupload_files([("/mnt/data/a", b"\xff\xfe")])
    assert (await sandbox.aexecute("cat a; cat a > b")).output == "\ufffd\ufffd"
    (copied,) = [each for each in (await session.list()).items if each.name == "b"]
    assert await session.read(copied.id) == b"\xff\xfe"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("A=1 B='2 3'; cat <<EOF\n$A ${B}$(echo x) \\$A \\n \"q\" 'r' $ \\\\\nEOF", "1 2 3x $A \\n \"q\" 'r' $ \\\n"),
        ("A=1; cat <<'EOF'\n$A `b`\nEOF", "$A `b`\n"),
        ('A=1; cat <<"EOF"\n$A\nEOF', "$A\n"),
        ("A=1; cat <<\\EOF\n$A\nEOF", "$A\n"),
        ("cat <<-EOF\n\t$(cat <<X\n\tin\nX\n)\n\tEOF", "in\n"),
        ('A=1 echo "[$A]"; echo "[$A]"', "[]\n[]\n"),
        ("A=1; A=2 true; B=$A$A; echo $A $B", "1 11\n"),
        ("A='x y'; B=$A; echo \"$B\"; 'C=1' || echo no", "x y\nno\n"),
        ('X=D=1; $X || echo "none$D"', "none\n"),
        ("mkdir -p a/b && cd a && pwd && cd b && pwd && cd .. && pwd", "/mnt/data/a\n/mnt/data/a/b\n/mnt/data/a\n"),
        (
            'mkdir a; (cd a; X=1; pwd); pwd; echo "$(cd a; pwd)$X"; pwd',
            "/mnt/data/a\n/mnt/data\n/mnt/data/a\n/mnt/data\n",
        ),
        ("cd nowhere && echo there; pwd", "/mnt/data\n"),
    ],
)
async def test_a_line_does_what_a_shell_does_with_it(sandbox: ArtifactSandbox, command: str, told: str) -> None:
    did = await sandbox.aexecute(command)
    lines = did.output.splitlines(keepends=True)
    assert "".join(line for line in lines if "cannot be run" not in line and "cd:" not in line) == told


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("cat <<EOF\na `b`\nEOF", "write `<<'EOF'` for lines as they are"),
        ("cat <<EOF\n${A:-b}\nEOF", "write `<<'EOF'` for lines as they are"),
        ("cat <<EOF\ncosts $5\nEOF", "write `\\$` for the character"),
        ("cd nowhere", "cd: nowhere: No such file or directory, `mkdir -p` makes it"),
        ("echo a > f; cd f", "cd: f: Not a directory"),
        ("cd -", "name one folder"),
        ("cd a b", "name one folder"),
        ("for i in 1 2; do echo $i; done > f", "redirect each command within it"),
        ("(echo a) 2>f", "redirect each command within it"),
    ],
)
async def test_what_a_line_cannot_be_is_refused_with_what_to_write_instead(
    sandbox: ArtifactSandbox, command: str, words: str
) -> None:
    did = await sandbox.aexecute(command)
    assert did.exit_code
    assert words in did.output


@pytest.mark.linux
async def test_a_variable_before_a_program_is_for_that_program_alone(sandbox: ArtifactSandbox) -> None:
    await sandbox.aexecute("mkdir -p lib; echo 'x = 7' > lib/seven.py")
    await sandbox.aexecute("cat > show.py <<'EOF'\nimport os\nprint(os.environ.get('A'), os.environ.get('B'))\nEOF")
    did = await sandbox.aexecute('B=2; A=\'1 "x"\' python show.py; python show.py; echo "[$A]"')
    assert did.output == '1 "x" None\nNone None\n[]\n'
    did = await sandbox.aexecute("PYTHONPATH=lib python -c 'import seven; print(seven.x)'")
    assert did.output == "7\n"


async def test_a_format_says_all_its_values(sandbox: ArtifactSandbox) -> None:
    told = await sandbox.aexecute("printf '%s: %05.1f%%|' a 1 b 2.25 c; printf 'x%%y'; printf '[%3d]' 7 8")
    assert told.output == "a: 001.0%|b: 002.2%|c: 000.0%|x%y[  7][  8]"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (f"{DOUBLED}echo {'$x ' * 100}", "more than 67,108,864 characters"),
        (f"{DOUBLED}for i in $(seq 1000); do y$i=$x; done", "more than 67,108,864 characters"),
        (f"{DOUBLED}for i in $(seq 1000); do $x; done", "more than 67,108,864 characters"),
        ("for i in $(seq 9999) $(seq 9999); do true; done", "more than 10,000 words"),
        ("touch a; echo " + "* " * 2001, "more than 2,000 commands"),
        ("printf '%999s' $(seq 9000)", "more than 2,097,152 characters"),
        ("printf '%9999s' 1", "no such format"),
        ("seq 1 " + "9" * 30, "more than 18 digits"),
        ("echo a | head -n ²", "a number of lines is needed"),
        ("echo '\ud800'", "half a character stands at position 6"),
        ("x=aa; for i in $(seq 40); do x=$x$x; done; echo $x", "a word has more than"),
        ("for i in $(seq 9999); do for j in $(seq 9999); do true; done; done", "more than 2,000 commands"),
        ("printf '%99999999999d' 1", "no such format"),
        ("seq 99999999999", "more than 10,000 numbers"),
        ("(" * 100_000, "nested deeper"),
        ("echo $(" * 100_000, "nested deeper"),
        ("sleep 1 &", "nothing runs in the background"),
        ("while true; do true; done", "`while`"),
        ("echo 'a", "without its second"),
        ("cat <<" * 100_000, "not understood"),
        ("x" * 2_000_000, "1,048,576 are the most"),
    ],
)
async def test_a_line_that_is_too_much_is_refused_in_words(sandbox: ArtifactSandbox, command: str, why: str) -> None:
    told = await asyncio.wait_for(sandbox.aexecute(command), 30)
    assert told.exit_code != 0
    assert why in told.output


async def test_the_sync_face_is_refused_where_it_would_wait_for_itself(backend: ArtifactBackend) -> None:
    with pytest.raises(RuntimeError, match="`ainvoke`"):
        backend.read("/a.txt")
    assert (await asyncio.to_thread(backend.read, "/a.txt")).error == "File '/a.txt' not found"
