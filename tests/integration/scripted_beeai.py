"""A model of BeeAI that says what a script tells it to, whole or in pieces. Nothing is asserted here."""

import json
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple, Self

from beeai_framework.backend import (
    AnyMessage,
    AssistantMessage,
    ChatModel,
    ChatModelOutput,
    MessageToolCallContent,
    MessageToolResultContent,
)
from beeai_framework.backend.constants import ProviderName
from beeai_framework.backend.types import ChatModelInput
from beeai_framework.context import RunContext

WHOLE = 10**6
REFERENCE = re.compile(r"<artifact [^>]*/>")


class Call(NamedTuple):
    """A tool that the model calls."""

    tool: str
    arguments: dict[str, Any]
    raw: str | None = None

    @property
    def json(self) -> str:
        return self.json_of(is_ascii=False) if self.raw is None else self.raw

    def json_of(self, *, is_ascii: bool) -> str:
        return json.dumps(self.arguments, ensure_ascii=is_ascii)


Turn = Call | str | Callable[[list[AnyMessage]], Call | str]


def answer(text: str) -> Call:
    return Call("final_answer", {"response": text})


def asked(task: str, tool: str) -> Call:
    return Call(tool, {"task": task})


class ScriptedModel(ChatModel):
    """Takes its turns in order; clones share them. `seen` is what it was given at each turn."""

    def __init__(self, *turns: Turn, size: int | None = None) -> None:
        # A turn that is a text is no failure of a model that is not made to call tools.
        super().__init__(tool_choice_support={"auto", "none"}, tool_call_fallback_via_response_format=False)
        self.turns = list(turns)
        self.size = size
        self.seen: list[list[AnyMessage]] = []
        self.parameters.stream = size is not None

    @property
    def model_id(self) -> str:
        return "scripted"

    @property
    def provider_id(self) -> ProviderName:
        return "ollama"

    async def _create(self, input: ChatModelInput, run: RunContext) -> ChatModelOutput:
        return _said(self._turn(input.messages))

    async def _create_stream(self, input: ChatModelInput, run: RunContext) -> AsyncGenerator[ChatModelOutput]:
        turn = self._turn(input.messages)
        text = turn if isinstance(turn, str) else turn.json
        for start in range(0, len(text), self.size or WHOLE):
            piece = text[start : start + (self.size or WHOLE)]
            yield _said(piece if isinstance(turn, str) else turn._replace(raw=piece), is_first=start == 0)

    def _turn(self, messages: list[AnyMessage]) -> Call | str:
        self.seen.append(list(messages))
        turn = self.turns.pop(0)
        return turn(messages) if callable(turn) else turn

    async def clone(self) -> Self:
        clone = type(self)(size=self.size)
        clone.turns, clone.seen = self.turns, self.seen
        return clone


def _said(turn: Call | str, *, is_first: bool = True) -> ChatModelOutput:
    if isinstance(turn, str):
        return ChatModelOutput(output=[AssistantMessage(turn)])
    name = turn.tool if is_first else ""
    call = MessageToolCallContent(id="call_1", tool_name=name, args=turn.json)
    return ChatModelOutput(output=[AssistantMessage(call)])


def texts(messages: list[AnyMessage]) -> str:
    """All that is said in messages, the arguments of calls and the answers of tools too."""
    return "\n".join(_text(part) for message in messages for part in message.content)


def results(messages: list[AnyMessage]) -> list[str]:
    """What tools have answered."""
    return [str(part.result) for m in messages for part in m.content if isinstance(part, MessageToolResultContent)]


def mentioned(messages: list[AnyMessage]) -> str:
    """The reference that a tool answered first."""
    return REFERENCE.findall("\n".join(results(messages)))[0]


def _text(part: object) -> str:
    if isinstance(part, MessageToolResultContent):
        return str(part.result)
    return part.args if isinstance(part, MessageToolCallContent) else str(getattr(part, "text", ""))
