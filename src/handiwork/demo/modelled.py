"""The agent of the sample conversation when there is a model: it is given what the user says, and the tools.

What the tools do, and who the user is, is the conversation's.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from handiwork.autopilot.dialogue import Begun, Dialogue
from handiwork.context.marker import HANDOFF_INSTRUCTIONS
from handiwork.demo.conversation import INSTRUCTIONS, Called, Calling, Use
from handiwork.tools.tool import Answer
from handiwork.tools.toolbox import Toolbox


class Modelled:
    """An agent on a model of pydantic-ai; `write` is its writer, on the same model."""

    def __init__(self, model: str) -> None:
        """Raises `ModelUnusable`."""
        self._model = model
        self._dialogue = Dialogue(model, instructions=INSTRUCTIONS)

    async def answer(self, message: str, use: Use, tools: Toolbox) -> AsyncGenerator[Calling | Called | str]:
        done: list[Called] = []

        async def call(name: str, arguments: object, tool_call_id: str | None) -> Answer:
            done.append(await use(name, arguments, tool_call_id=tool_call_id))
            return done[-1].answer

        async with aclosing(self._dialogue.say(message, tools=tools, call=call)) as said:
            async for each in said:
                for called in done:
                    yield called
                done.clear()
                if isinstance(each, Begun):
                    yield Calling(tool=", ".join(each.tools))
                else:
                    yield each

    async def write(self, task: str) -> str:
        writer = Dialogue(self._model, instructions=f"You are a writer.\n\n{HANDOFF_INSTRUCTIONS}")
        return "".join([each async for each in writer.say(task, call=_none) if isinstance(each, str)])


async def _none(name: str, _arguments: object, _tool_call_id: str | None) -> Answer:
    return Answer(text=f"There is no tool `{name}`.", is_error=True)
