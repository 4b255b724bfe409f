"""Agents of BeeAI hand a draft over by reference: the manager never sees it, the analyst and the user see all of it."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from beeai_framework.agents.requirement import RequirementAgent
from beeai_framework.backend import AssistantMessage, ChatModel, ChatModelOutput, MessageToolCallContent, ToolMessage

import handiwork
from handiwork.adapters.beeai import ArtifactHandoffTool, ArtifactMiddleware

DRAFT = "ARTIFACT\nARTIFACT_SUMMARY: Add a dark theme\n\n~~~markdown\n# Dark mode\n\nA theme for the night.\n~~~"


class Scripted(ChatModel):
    """Calls one tool after the other, a few characters at a time; `{}` is what the first one has answered."""

    model_id = "scripted"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]  # a property
    provider_id = "ollama"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(self, *calls: tuple[str, str, str]) -> None:
        super().__init__()
        self.calls, self.parameters.stream = list(calls), True

    async def clone(self) -> "Scripted":
        return self

    async def _create(self, input: Any, run: Any) -> ChatModelOutput:
        return ChatModelOutput.from_chunks([piece async for piece in self._create_stream(input, run)])

    async def _create_stream(self, input: Any, run: Any) -> AsyncGenerator[ChatModelOutput]:
        tool, name, value = self.calls.pop(0)
        told = [each.content[0].result for each in input.messages if isinstance(each, ToolMessage)] or ["nothing"]
        print(f"{name} for {tool}, knowing", "the draft" if "night" in told[0] else told[0].partition(" id=")[0])
        arguments = json.dumps({name: value.replace("{}", told[0])})
        for at in range(0, len(arguments), 7):
            call = MessageToolCallContent(id="1", tool_name="" if at else tool, args=arguments[at : at + 7])
            yield ChatModelOutput(output=[AssistantMessage(call)])


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("conv-42", principal="agent")
        store = handiwork.ArtifactStore.over(session)
        writer = RequirementAgent(llm=Scripted(("final_answer", "response", DRAFT)), name="writer")
        analyst = RequirementAgent(llm=Scripted(("final_answer", "response", "It is new.")), name="analyst")
        write = ArtifactHandoffTool(writer, artifact_store=store)
        check = ArtifactHandoffTool(analyst, artifact_store=store, reveal_policy="full")
        calls = ("writer", "task", "Draft"), ("analyst", "task", "Check {}"), ("final_answer", "response", "{}")
        manager = RequirementAgent(llm=Scripted(*calls), tools=[write, check], middlewares=[ArtifactMiddleware(store)])
        await manager.run("Dark mode, please").on("final_answer", lambda data, _: print(data.delta, end=""))
        print("", *[f"kept: {each.title}" for each in (await session.list()).items], sep="\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
