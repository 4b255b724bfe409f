"""What the table costs a model that reads it, counted with tokenizers that carry their vocabulary."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mistral_common
import pytest
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from handiwork.sandbox.libraries import installed
from handiwork.tools.tool import Offer
from handiwork.tools.toolbox import Toolbox

MOST_TOKENS = 1200
TYPES = ("markdown", "code", "html-sandboxed", "json", "csv", "svg", "image", "file")
PLANNED = (
    "email_draft", "meeting_invite", "task", "scheduled_task", "slack_message", "records_table", "calendar", "plan",
)  # fmt: skip
ACTIONS = (
    "send", "discard", "schedule", "confirm", "cancel", "create", "activate", "pause", "resume", "delete", "approve",
    "modify_step",
)  # fmt: skip

Count = Callable[[str], int]


@pytest.fixture(scope="module", params=["o200k_base", "cl100k_base", "tekken"])
def count(request: pytest.FixtureRequest) -> Count:
    if request.param == "tekken":
        data = Path(mistral_common.__file__).parent / "data"
        tekken = Tekkenizer.from_file(data / "tekken_240911.json")
        return lambda text: len(tekken.encode(text, bos=False, eos=False))
    return counter(request.param)


def counter(name: str) -> Count:
    with warnings.catch_warnings():
        # It reads its vocabularies, which it carries, in a way that Python is about to give up.
        warnings.filterwarnings("ignore", message="open_binary is deprecated", category=DeprecationWarning)
        import bpe_openai

        encoding = bpe_openai.get_encoding(name)
    return lambda text: len(encoding.encode(text))


def table(offer: Offer) -> dict[str, list[Any]]:
    toolbox = Toolbox(None, offer)  # pyright: ignore[reportArgumentType]  # nothing is called
    # What a host does with an annotation, no model reads.
    mcp = [{name: value for name, value in entry.items() if name != "annotations"} for entry in toolbox.mcp()]
    return {
        "openai": toolbox.openai(), "openai_chat": toolbox.openai_chat(), "anthropic": toolbox.anthropic(), "mcp": mcp,
    }  # fmt: skip


@pytest.mark.parametrize(
    "offer",
    [
        Offer(types=TYPES, libraries=installed()),
        Offer(types=(*TYPES, *PLANNED), actions=ACTIONS, libraries=installed()),
    ],
    ids=["today", "with every type and action that is planned"],
)
def test_the_whole_table_is_cheap_in_every_shape(offer: Offer, count: Count) -> None:
    costs = {shape: count(json.dumps(entries, separators=(",", ":"))) for shape, entries in table(offer).items()}
    assert {shape: cost for shape, cost in costs.items() if cost >= MOST_TOKENS} == {}


def test_the_readme_states_what_the_table_costs() -> None:
    entries = table(Offer(types=TYPES, libraries=installed()))["openai"]
    cost = counter("o200k_base")(json.dumps(entries, separators=(",", ":")))
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    stated = int(readme.partition("the whole table costs about ")[2].partition(" tokens")[0].replace(",", ""))
    assert stated * 0.95 <= cost <= stated * 1.05


def test_the_readme_states_what_actions_add() -> None:
    count = counter("o200k_base")
    costs = [
        count(json.dumps(table(offer)["openai"], separators=(",", ":")))
        for offer in (
            Offer(types=TYPES, libraries=installed()),
            Offer(types=TYPES, actions=("sent", "discarded", "done"), libraries=installed()),
        )
    ]
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    stated = int(readme.partition(" tokens of every request, about ")[2].partition(" more")[0])
    assert stated * 0.9 <= costs[1] - costs[0] <= stated * 1.1
