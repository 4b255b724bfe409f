"""Hand a draft from one agent of OpenAI's SDK to another: the next one reads it, the history keeps the reference."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from agents import Agent, RunConfig, Runner, handoff
from agents.items import ToolCallOutputItem
from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message, function_call

import handiwork
from handiwork.adapters.openai_agents import artifact_tools, handoff_filter

DRAFT = {
    "type": "markdown",
    "title": "Draft",
    "content": "# Fleet\n\nThree ships.\n",
    "language": None,
    "mediaType": None,
}


def critic(call: ModelCall) -> Any:
    seen = "Three ships" in json.dumps(call.input)
    return [assistant_message("Good: it names the number." if seen else "I saw no draft.")]


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("fleet", user="ada")
        # Put real models in the places of these.
        writer_model = ScriptedModel(
            [
                [function_call("generate_artifact", json.dumps(DRAFT), call_id="call-1")],
                [function_call("transfer_to_critic", "{}", call_id="call-2")],
            ]
        )
        reader = Agent(name="critic", model=ScriptedModel([ModelStep.respond(critic)]))
        handoffs: list[Any] = [handoff(reader, input_filter=handoff_filter(session, "full"))]
        writer = Agent(
            name="writer",
            model=writer_model,
            tools=list(artifact_tools(session)),
            handoffs=handoffs,
        )
        result = await Runner.run(writer, "Write of the fleet.", run_config=RunConfig(tracing_disabled=True))
        print(result.last_agent.name, "-", result.final_output)
        for item in result.new_items:
            if isinstance(item, ToolCallOutputItem):
                print([reference["name"] for reference in (item.custom_data or {})["artifacts"]])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
