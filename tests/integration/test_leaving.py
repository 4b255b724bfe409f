"""Clients that leave in the middle of a verb, at each step of its answer: it is done or not, and nothing is left."""

import asyncio
import gc
import socket
import struct
import threading
from collections.abc import AsyncGenerator
from operator import lt
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_serving import Halting, bounded

from handiwork import wiring
from handiwork.server.app import guarded
from handiwork.server.desk import API, Desk, Origins
from handiwork.settings import Settings

ROUNDS = 5
SESSION = f"{API}/sessions/s"
VERBS: dict[str, tuple[str, dict[str, Any]]] = {
    "promotions": (f"{SESSION}/promotions", {"toolCallId": "call_0", "type": "json"}),
    "tool results": (f"{SESSION}/tool-results", {"toolCallId": "call_1", "tool": "t", "result": {"a": [1] * 5000}}),
    "collect": (f"{SESSION}/collect", {"text": "```python\nprint(1)\n```\n", "iteration": 1}),
    "expand": (f"{SESSION}/expand", {"text": '<artifact id="none_0000" />', "audience": "user"}),
    "executions": (f"{SESSION}/executions", {"code": "open('a.txt', 'w').write('a')", "wait": True}),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk]:
    origins = Origins(public="http://127.0.0.1", content="http://127.0.0.2")
    settings = Settings.model_validate({"cache": tmp_path / "cache", "artifacts": {"ready_children": 0}})
    async with wiring.open_desk(tmp_path / "data", settings=settings, origins=origins, is_open=True) as desk:
        await desk.engine.session("s").record("call_0", tool="t", result={"a": 1})
        yield desk


def held() -> tuple[int, int, int]:
    """Tasks, descriptors and threads; of folders some are kept open, which has its own bound."""
    gc.collect()
    return (
        len(asyncio.all_tasks()),
        sum(not each.is_dir() for each in Path("/proc/self/fd").iterdir()),
        threading.active_count(),
    )


@pytest.mark.linux
@pytest.mark.parametrize("verb", VERBS)
async def test_whoever_leaves_in_the_middle_of_a_verb_leaves_nothing_behind(
    desk: Desk, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, body = VERBS[verb]
    app, loop = Halting(guarded(desk)), asyncio.get_running_loop()
    async with bounded(app) as port, httpx2.AsyncClient(headers={"host": "127.0.0.1"}) as client:
        sent = client.build_request("POST", f"http://127.0.0.1:{port}{path}", json=body)
        content = sent.read()
        head = ["Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(content)}"]
        asked = "\r\n".join([f"POST {path} HTTP/1.1", *head, "", ""]).encode() + content

        async def leave_at(step: int) -> None:
            app.begin(step)
            with socket.socket() as leaving:
                leaving.setblocking(False)
                await loop.sock_connect(leaving, ("127.0.0.1", port))
                await loop.sock_sendall(leaving, asked)
                await app.reached.wait()
                # The other side is told of it as an error.
                leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            app.goes_on.set()
            await app.ended.wait()

        async with asyncio.timeout(50):
            app.begin(0)
            whole = await client.send(sent)
            assert whole.status_code in {200, 201}, whole.text
            await app.ended.wait()
            steps = app.steps
            assert steps >= 4
            # What is begun for the first time, and kept, is there after a round.
            before = (0, 0, 0)
            for _round in range(ROUNDS):
                for step in range(1, steps + 1):
                    await leave_at(step)
                # The run that nobody waits for any more ends by itself.
                while desk.engine.runs.turns.running:  # noqa: ASYNC110  # nothing announces it
                    await asyncio.sleep(0.01)
                before = max(before, held()) if _round == 0 else before
            after = held()
            app.begin(0)
            again = await client.post(sent.url, json=body)
        assert again.status_code in {200, 201}, again.text
        # Less than one for each who left; what verbs share, such as threads and what they have open, has its bounds.
        assert all(map(lt, after, (each + steps * (ROUNDS - 1) for each in before)))
    listed = await desk.engine.session("s").list(limit=100)
    for each in listed.items:
        assert len(await desk.engine.session("s").read(each.id)) == each.size
    assert [each.getMessage() for each in caplog.records if "Exception" in each.getMessage()] == []
