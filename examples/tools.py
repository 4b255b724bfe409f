"""The loop of an agent: the table of tools goes to a model, and each call that it answers with is carried out."""

import asyncio
import json
import sys
from pathlib import Path

import handiwork

CHART = """
import pandas as pd

visits = pd.DataFrame({"month": ["Jan", "Feb", "Mar"], "visits": [120, 180, 240]})
visits.plot.bar(x="month").figure.savefig("visits.png")
"""


@handiwork.tool(cache_ref=True, threshold="1KB")
def page_views(month: str) -> list[dict[str, object]]:
    """Return every page view of a month."""
    return [{"page": f"/{month.lower()}/{number}", "seconds": number % 60} for number in range(180)]


def model(turn: int, answers: list[str]) -> tuple[str, str] | None:
    """Stand in for a model: the name of a tool and its arguments, as a provider returns them."""
    if turn == 0:
        return "page_views", json.dumps({"month": "Feb"})
    if turn == 1:
        cache_id = answers[-1].partition("cache_id: ")[2].partition(";")[0]
        return "get_cached_result", json.dumps({"cache_id": cache_id, "select": "rows=59:61"})
    if turn == 2:
        return "generate_file", json.dumps({"code": CHART})
    return None


async def main(folder: Path) -> None:
    async with handiwork.open(folder / "store") as engine:
        tools = engine.session("tools", user="ada").tools(extra=[page_views])
        print(len(tools.openai()), "tools go to the model")
        answers: list[str] = []
        while (call := model(len(answers), answers)) is not None:
            answer = await tools.call(*call)
            answers.append(answer.text)
            made = [artifact.name for artifact in answer.artifacts]
            print(call[0], made, "failed" if answer.is_error else "done", len(answer.text) < 500)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
