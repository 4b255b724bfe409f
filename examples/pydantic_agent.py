"""Give a Pydantic AI agent artifacts by one capability: tools, large answers kept apart, and the answer expanded."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

import handiwork
from handiwork.adapters.pydantic_ai import Artifacts


async def answer(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Call both tools, then speak of what they made; put a real model in its place."""
    told = returns_in(messages)
    if not told:
        yield {0: DeltaToolCall("rainfall", "{}", tool_call_id="call-1")}
    elif len(told) == 1:
        note = {"type": "markdown", "title": "Rain", "content": "It rained on **every** day.\n"}
        yield {0: DeltaToolCall("generate_artifact", json.dumps(note), tool_call_id="call-2")}
    else:
        for piece in ("As asked: <arti", f'fact id="{told[-1].metadata["artifacts"][0]["handle"]}" />'):
            yield piece


def returns_in(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]


def rainfall() -> list[dict[str, int]]:
    """Measurements of a year."""
    return [{"day": day, "millimetres": day % 7 + 1} for day in range(1, 366)]


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("rain", user="ada")
        agent = Agent(FunctionModel(stream_function=answer), tools=[rainfall], capabilities=[Artifacts(session)])
        result = await agent.run("Did it rain?")
        print(str(returns_in(result.all_messages())[0].content).splitlines()[0])
        print(result.output)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
