"""`handiwork mcp` as clients start it: a process that speaks on its standard streams, over a store or a server."""

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from pathlib import Path

import pytest
from doors import listening_server
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from protocol_clients import MODES, PATIENCE_SECONDS, VERSIONS, Mode, News, following, talking

import handiwork

COMMAND = ("-m", "handiwork", "mcp")
# More than there is room for in the pipes and behind them.
MANY = 12_000


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> Mode:
    return request.param


@contextlib.asynccontextmanager
async def started(*flags: str, mode: Mode, place: Path, news: News | None = None) -> AsyncGenerator[Client]:
    with (place / "mcp.log").open("a", encoding="utf-8") as log:
        parameters = StdioServerParameters(
            command=sys.executable, args=[*COMMAND, *flags], cwd=place, env={**os.environ}
        )
        async with talking(stdio_client(parameters, errlog=log), mode, news) as client:
            yield client


@pytest.mark.linux
async def test_a_store_is_spoken_with(tmp_path: Path, mode: Mode) -> None:
    data = tmp_path / "store"
    async with started("--data", str(data), "--session", "notes", mode=mode, place=tmp_path) as client:
        assert client.protocol_version == VERSIONS[mode]
        made = await client.call_tool("generate_file", {"code": "print('hello'); open('a.csv', 'w').write('x,y\\n')"})
        assert not made.is_error, made.content
        (listed,) = (await client.list_resources()).resources
        (content,) = (await client.read_resource(listed.uri)).contents
    assert content.model_dump()["text"] == "x,y\n"
    async with handiwork.open(data) as engine:
        (artifact,) = (await engine.session("notes").list()).items
        assert artifact.version.provenance.principal.kind == "agent"
    assert (tmp_path / "mcp.log").read_text(encoding="utf-8") == ""


async def test_a_server_is_spoken_with_by_its_address(tmp_path: Path, mode: Mode) -> None:
    with listening_server(tmp_path) as server:
        async with started("--url", server.url, "--session", "s", mode=mode, place=tmp_path) as client:
            made = await client.call_tool("generate_artifact", {"type": "markdown", "title": "N", "content": "text"})
            assert not made.is_error, made.content
            (listed,) = (await client.list_resources()).resources
            (content,) = (await client.read_resource(listed.uri)).contents
        async with handiwork.connect(server.url) as engine:
            assert [each.title for each in (await engine.session("s").list()).items] == ["N"]
    assert content.model_dump()["text"] == "text"


async def test_what_another_process_does_is_told(tmp_path: Path, mode: Mode) -> None:
    news = News()
    async with handiwork.open(tmp_path / "store") as engine:
        session = engine.session("s")
        artifact = await session.create("markdown", title="a", content="a")
        flags = ("--data", str(tmp_path / "store"), "--session", "s")
        async with started(*flags, mode=mode, place=tmp_path, news=news) as client:
            uri = f"artifact://s/{artifact.handle}"
            async with following(client, uri, news=news):
                await session.revise(artifact.id, content="b")
                await news.until(uri)


@pytest.mark.linux
async def test_a_call_that_is_given_up_ends_its_program(tmp_path: Path, mode: Mode) -> None:
    flags = ("--data", str(tmp_path / "store"), "--session", "s")
    async with (
        handiwork.open(tmp_path / "store") as engine,
        started(*flags, mode=mode, place=tmp_path) as client,
        asyncio.timeout(PATIENCE_SECONDS),
        aclosing(engine.session("s").watch()) as events,
    ):
        call = asyncio.create_task(client.call_tool("generate_file", {"code": "import time; time.sleep(25)"}))
        async for event in events:
            if event.type == "execution-started":
                call.cancel()
            if event.type == "execution-finished":
                assert event.facts["status"] == "cancelled"
                break
        # The conversation goes on.
        assert not (await client.call_tool("list_artifacts", {})).is_error


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@contextlib.contextmanager
def process(place: Path, *flags: str) -> Generator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, *COMMAND, "--data", str(place / "store"), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def asked(process: "subprocess.Popen[str]", message: object) -> dict[str, object]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("end", ["it closes its side", "SIGTERM", "SIGINT"])
def test_it_ends_when_the_client_goes_or_when_it_is_told_to(tmp_path: Path, end: str) -> None:
    with process(tmp_path) as running:
        assert asked(running, HELLO)["id"] == 1
        assert running.stdin is not None
        if end.startswith("SIG"):
            running.send_signal(signal.Signals[end])
        else:
            running.stdin.close()
        assert running.wait(PATIENCE_SECONDS) == 0
        assert running.stderr is not None
        assert running.stderr.read() == ""


@pytest.mark.linux
def test_nothing_is_left_when_the_client_goes_while_a_program_runs(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        asked(running, HELLO)
        assert running.stdin is not None
        assert running.stdout is not None
        params = {"name": "generate_file", "arguments": {"code": "import time; time.sleep(25)"}}
        params |= {"_meta": {"progressToken": "p"}}
        running.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}) + "\n")
        running.stdin.flush()
        assert "notifications/progress" in running.stdout.readline()
        below = _below(running.pid)
        assert below
        running.stdin.close()
        assert running.wait(PATIENCE_SECONDS) == 0
        deadline = time.monotonic() + PATIENCE_SECONDS
        while any(Path(f"/proc/{each}").exists() for each in below):
            assert time.monotonic() < deadline, below


def _below(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    listed = [each.read_text(encoding="ascii") for each in Path(f"/proc/{pid}/task").glob("*/children")]
    own = [int(each) for line in listed for each in line.split()]
    return own + [each for child in own for each in _below(child)]


@pytest.mark.linux
def test_a_client_that_takes_no_answers_is_listened_to_no_further(tmp_path: Path) -> None:
    ping = b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n'
    with process(tmp_path) as running:
        asked(running, HELLO)
        assert running.stdin is not None
        assert running.stdout is not None
        pipe, sent, rest = running.stdin.fileno(), 0, b""
        os.set_blocking(pipe, False)
        while sent < MANY:
            rest = rest or ping % sent
            try:
                rest = rest[os.write(pipe, rest) :]
            except BlockingIOError:
                if not select.select([], [pipe], [], 2.0)[1]:
                    break
            sent += not rest
        assert sent < MANY
        # Who takes them is listened to again.
        os.set_blocking(pipe, True)
        for number in range(sent):
            assert json.loads(running.stdout.readline())["id"] == number
        if rest:
            os.write(pipe, rest)
            assert json.loads(running.stdout.readline())["id"] == sent
        running.stdin.close()
        assert running.wait(PATIENCE_SECONDS) == 0


def test_lines_that_are_no_messages_are_passed_over(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        assert running.stdin is not None
        for line in ("", "nonsense", "[" * 100_000, '{"jsonrpc": "2.0"}', "\0", '{"id": NaN}', "[]"):
            running.stdin.write(line + "\n")
        assert asked(running, HELLO)["id"] == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--key", "hw_x"), "`--url`"),
        (("--url", "http://127.0.0.1:1", "--data", "x"), "not both"),
        (("--url", "http://127.0.0.1:1", "--http"), "`/mcp`"),
    ],
)
def test_flags_that_do_not_fit_together_are_wrong_usage(tmp_path: Path, flags: tuple[str, ...], words: str) -> None:
    done = subprocess.run([sys.executable, *COMMAND, *flags], cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_server_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, *COMMAND, "--url", "http://127.0.0.1:1"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 1
    assert "http://127.0.0.1:1" in done.stderr
    assert done.stdout == ""


async def test_over_http_the_session_needs_no_name(tmp_path: Path, mode: Mode) -> None:
    with process(tmp_path, "--http", "--port", "0", "--session", "s") as running:
        assert running.stdout is not None
        url = next(line.split()[-1] for line in iter(running.stdout.readline, "") if line.strip().startswith("MCP"))
        async with talking(url, mode) as client:
            written = {"type": "markdown", "title": "N", "content": "text"}
            assert not (await client.call_tool("generate_artifact", written)).is_error
            (listed,) = (await client.list_resources()).resources
            assert listed.uri.startswith("artifact://s/")
        running.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(running.wait, PATIENCE_SECONDS) == 0
