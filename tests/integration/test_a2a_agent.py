"""An agent on A2A's own SDK that hands on what a session tells, proved from outside by contracts on what it answers."""

import asyncio
import contextlib
import json
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing
from pathlib import Path

import pytest
import uvicorn
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from doors import PUBLIC, open_server
from google.protobuf.json_format import ParseDict
from other_sides import blocks_of
from starlette.applications import Starlette

from handiwork.server.desk import Desk
from handiwork.server.projections import Projected
from handiwork.session import Session
from handiwork.wires.a2a import A2A

PROOF = str(Path(sys.executable).parent / "a2a-proof")
SOON = 50.0
EVENTS = 4
"""How many a piece of work comes to."""


class Worker(AgentExecutor):
    """Makes a plan, a table and data in the session of the conversation, and tells them as they come."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        names = {"task_id": context.task_id or "", "context_id": context.context_id or ""}
        await event_queue.enqueue_event(
            Task(id=names["task_id"], context_id=names["context_id"], status=_status(TaskState.TASK_STATE_WORKING))
        )
        session = self._desk.engine.session(names["context_id"])
        working = asyncio.create_task(_work(session))
        wire = A2A(names["task_id"], public=PUBLIC, is_resumed=True)
        projected = Projected(wire=wire, desk=self._desk, scope=session.scope)
        async with aclosing(session.engine.feed.follow_live(session.scope, after=0)) as told:
            async for each in told:
                for cursor, frame in blocks_of(await projected.tell(each)):
                    if frame is not None:
                        await event_queue.enqueue_event(_update(frame, names))
                    if cursor == EVENTS:
                        await working
                        status = _status(TaskState.TASK_STATE_COMPLETED)
                        return await event_queue.enqueue_event(
                            TaskStatusUpdateEvent(
                                task_id=names["task_id"], context_id=names["context_id"], status=status
                            )
                        )
        raise AssertionError("the feed ended")

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


async def _work(session: Session) -> None:
    plan = await session.create("markdown", title="Plan", content=_pieces("# P", "lan", "\n"))
    await session.revise(plan.id, content="# Plan B\n")
    await session.create("json", title="Data", content='{"queue": "billing", "numbers": [1, 2.5, null]}')
    await session.create("file", content=b"a,b\n1,2\n", name="table.csv", title="Table")


async def _pieces(*parts: str) -> AsyncIterator[str]:
    for part in parts:
        await asyncio.sleep(0.01)
        yield part


def _update(frame: dict[str, object], names: dict[str, str]) -> TaskArtifactUpdateEvent | TaskStatusUpdateEvent:
    """The update in a frame, for the task that the SDK has made of the request."""
    response = ParseDict(frame, StreamResponse())
    is_artifact = response.HasField("artifact_update")
    update = response.artifact_update if is_artifact else response.status_update
    update.task_id, update.context_id = names["task_id"], names["context_id"]
    return update


def _status(state: TaskState) -> TaskStatus:
    return TaskStatus(state=state)


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@pytest.fixture
async def agent(data: Path) -> AsyncGenerator[str]:
    async with open_server(data) as door:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            card = AgentCard(
                name="Planner",
                description="Makes a plan",
                version="1",
                supported_interfaces=[
                    AgentInterface(url=f"{url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")
                ],
                capabilities=AgentCapabilities(streaming=True),
                default_input_modes=["text/plain"],
                default_output_modes=["text/plain", "application/json"],
                skills=[AgentSkill(id="plan", name="Plan", description="Makes a plan", tags=["plan"])],
            )
            handler = DefaultRequestHandler(
                agent_executor=Worker(door.desk), task_store=InMemoryTaskStore(), agent_card=card
            )
            routes = [*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/a2a")]
            server = Server(uvicorn.Config(Starlette(routes=routes), lifespan="off", log_config=None))
            running = asyncio.create_task(server.serve(sockets=[listener]))
            yield url
            server.should_exit = True
            await running


async def proved(url: str, folder: Path, *, text: str) -> bool:
    """Whether the contracts on the agent's answer are kept, asked in a process of its own."""
    expected = {
        "state": "completed",
        "text": {"contains": [text]},
        "data": [{"path": "/queue", "equals": "billing"}, {"path": "/numbers/1", "equals": 2.5}],
        "files": [{"source": "artifact", "artifact_name": "Table", "filename": "table.csv", "kind": "url"}],
    }
    scenario = {"name": "a plan", "message": "Make a plan.", "expect": expected}
    contract = folder / "a2a-proof.yaml"
    contract.write_text(json.dumps({"version": 1, "agent": {"url": url, "timeout": 30}, "scenarios": [scenario]}))
    process = await asyncio.create_subprocess_exec(PROOF, "run", str(contract), stdout=PIPE, stderr=STDOUT)
    told, _ = await asyncio.wait_for(process.communicate(), SOON)
    assert process.returncode in {0, 1}, told.decode()
    assert "a plan" in told.decode()
    return process.returncode == 0


async def test_what_a_session_tells_is_what_an_agent_of_a2a_may_answer(agent: str, tmp_path: Path) -> None:
    assert await proved(agent, tmp_path, text="# Plan B")


async def test_the_contracts_are_not_kept_by_another_answer(agent: str, tmp_path: Path) -> None:
    assert not await proved(agent, tmp_path, text="# Plan C")
