"""Give a deep agent a folder whose files are artifacts, and Python that works on them in the sandbox."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepagents import create_deep_agent  # pyright: ignore[reportUnknownVariableType]  # its own types are open
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall

import handiwork
from handiwork.adapters.deepagents import ArtifactSandbox

CODE = "import pandas as pd\nprint(pd.read_csv('sales.csv').amount.sum())"


class Scripted(GenericFakeChatModel):
    """Says what it was given to say; put a real chat model in its place."""

    def bind_tools(self, tools: Any, **options: Any) -> "Scripted":
        return self


def script() -> Iterator[AIMessage]:
    def call(name: str, **arguments: Any) -> AIMessage:
        return AIMessage(content="", tool_calls=[ToolCall(name=name, args=arguments, id=f"call-{name}")])

    yield call("write_file", file_path="/mnt/data/sales.csv", content="region,amount\nnorth,12\nsouth,30\n")
    yield call("edit_file", file_path="/mnt/data/sales.csv", old_string="30", new_string="35")
    yield call("execute", command=f'cd /mnt/data && ls && python -c "{CODE}"')
    yield AIMessage(content="The regions sold 47 in all.")


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        session = engine.session("deep", user="ada")
        build: Any = create_deep_agent  # pyright: ignore[reportUnknownVariableType]  # likewise
        agent = build(Scripted(messages=script()), backend=ArtifactSandbox(session))
        ended = await agent.ainvoke({"messages": [HumanMessage("How much did we sell?")]})
        said: list[BaseMessage] = ended["messages"]
        print(said[-2].text.splitlines()[:2], "-", said[-1].text)
        sales = (await session.list()).items[0]
        print(sales.name, sales.media_type, "has", sales.version.number, "versions")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
