"""Answers of BeeAI's agents to whoever reads them over HTTP: a server on loopback that streams what it is told.

It does as the framework's own servers do, which cannot be had beside the protocol's newer library: it clones its agent
for each request, listens for `final_answer` and sends the deltas.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator

import httpx2
import pytest
import uvicorn
from beeai_framework.agents.requirement import RequirementAgent
from beeai_framework.agents.requirement.events import RequirementAgentFinalAnswerEvent
from beeai_framework.emitter import EventMeta
from scripted_beeai import ScriptedModel, Turn, answer, asked, mentioned
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from handiwork import ArtifactStore
from handiwork.adapters.beeai import ArtifactHandoffTool, ArtifactMiddleware

DRAFT = "# Dark mode\n\n" + "".join(f"{line}. A theme for ☾ nights & <b>days</b>.\n" for line in range(200))
REPLY = f"ARTIFACT\nARTIFACT_SUMMARY: Add a dark theme\n\n~~~markdown\n{DRAFT}~~~\n"
SHOWN: Turn = lambda messages: answer(f"Here it is:\n\n{mentioned(messages)}\n\nShall I file it?")  # noqa: E731


def application(agent: RequirementAgent) -> Starlette:
    async def stream(request: Request) -> StreamingResponse:
        message = (await request.body()).decode()
        return StreamingResponse(events(message), media_type="text/event-stream")

    async def events(message: str) -> AsyncGenerator[str]:
        clone, deltas = await agent.clone(), asyncio.Queue[str | None]()

        @clone.emitter.on("final_answer")
        async def tell(data: RequirementAgentFinalAnswerEvent, _event: EventMeta) -> None:  # pyright: ignore[reportUnusedFunction]  # is called by its name
            await deltas.put(data.delta)

        async def run() -> None:
            await clone.run(message)
            await deltas.put(None)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run())
            while (delta := await deltas.get()) is not None:
                yield f"data: {json.dumps(delta)}\n\n"

    return Starlette(routes=[Route("/ask", stream, methods=["POST"])])


@contextlib.asynccontextmanager
async def served(agent: RequirementAgent) -> AsyncGenerator[httpx2.AsyncClient]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(application(agent), log_level="error", lifespan="off"))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
                yield client
            server.should_exit = True


async def heard(client: httpx2.AsyncClient) -> list[str]:
    async with client.stream("POST", "/ask", content="Dark mode, please") as response:
        assert response.status_code == 200
        return [json.loads(line.removeprefix("data: ")) async for line in response.aiter_lines() if line]


def manager(store: ArtifactStore, *, size: int | None) -> RequirementAgent:
    writer = RequirementAgent(llm=ScriptedModel(answer(REPLY)), name="writer", description="Writes")
    turns = [asked("Draft an issue", "writer"), SHOWN]
    return RequirementAgent(
        llm=ScriptedModel(*turns, size=size),
        tools=[ArtifactHandoffTool(writer, artifact_store=store)],
        middlewares=[ArtifactMiddleware(artifact_store=store)],
    )


@pytest.mark.parametrize("size", [None, 1, 3, 7])
async def test_a_streaming_client_reads_the_draft_and_no_reference(size: int | None) -> None:
    async with served(manager(ArtifactStore(), size=size)) as client:
        deltas = await heard(client)
    assert "".join(deltas).startswith("Here it is:\n\n# Dark mode")
    assert DRAFT in "".join(deltas)
    assert "".join(deltas).endswith("Shall I file it?")
    assert "<artifact" not in "".join(deltas)
    assert (len(deltas) > 5) == (size is not None)
