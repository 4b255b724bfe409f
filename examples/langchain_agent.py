"""Give a LangChain agent the tools of a session; references travel beside the text, and the user sees the content."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]  # its own types are open
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolCall, ToolMessage

import handiwork
from handiwork.adapters.langchain import artifact_tools, expanded, references_of


class Scripted(GenericFakeChatModel):
    """Says what it was given to say; put a real chat model in its place."""

    def bind_tools(self, tools: Any, **options: Any) -> "Scripted":
        return self


def script(found: list[str]) -> Iterator[AIMessage]:
    note = {"type": "markdown", "title": "Tide", "content": "**High** at 9:40"}
    yield AIMessage(content="", tool_calls=[ToolCall(name="generate_artifact", args=note, id="call-1")])
    yield AIMessage(content=f'Here it is: <artifact id="{found[0]}" /> Anything else?')


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("tides", user="ada")
        found: list[str] = []
        model = Scripted(messages=script(found), disable_streaming=True)
        build: Any = create_agent  # pyright: ignore[reportUnknownVariableType]  # likewise
        agent = build(model, tools=artifact_tools(session))
        asked = {"messages": [HumanMessage("When is high tide?")]}
        stream: AsyncIterator[tuple[Any, Any]] = agent.astream(asked, stream_mode="messages")
        said: list[str] = []
        async for message, _about in expanded(session, stream):
            if isinstance(message, ToolMessage):
                found += [reference["handle"] for reference in references_of(message)]
                print(message.status, [reference["name"] for reference in references_of(message)])
            else:
                said.append(message.text)
        print("".join(said))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
