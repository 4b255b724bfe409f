"""Let agents of Google's Agent Development Kit keep what they save as artifacts with versions."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from google.adk.agents import LlmAgent
from google.adk.apps import App
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools.tool_context import ToolContext
from google.genai import types

import handiwork
from handiwork.adapters.google_adk import ArtifactService


async def save_report(text: str, tool_context: ToolContext) -> int:
    """Save a report and return the number of its version."""
    return await tool_context.save_artifact("reports/q3.md", types.Part(text=text))


class Scripted(BaseLlm):
    """Calls the tool twice, then answers; put the name of a real model in its place."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        turns = sum(content.role == "model" for content in llm_request.contents)
        if turns < 2:
            part = types.Part.from_function_call(name="save_report", args={"text": f"# Q3\n\nDraft {turns + 1}\n"})
        else:
            part = types.Part(text="The report is saved.")
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        agent = LlmAgent(name="writer", model=Scripted(model="scripted"), tools=[save_report])
        runner = Runner(
            app=App(name="reports", root_agent=agent),
            session_service=InMemorySessionService(),
            artifact_service=ArtifactService(engine),
            auto_create_session=True,
        )
        asked = types.Content(role="user", parts=[types.Part(text="Write the report.")])
        async for event in runner.run_async(user_id="ada", session_id="s1", new_message=asked):
            if event.is_final_response() and event.content and event.content.parts:
                print(event.content.parts[0].text)
        (report,) = (await engine.session("reports/s1", user="ada").list()).items
        print(report.name, report.media_type, "has", report.version.number, "versions")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
