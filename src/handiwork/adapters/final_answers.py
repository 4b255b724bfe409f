"""The final answer of a run on BeeAI: found among the events of the run, and shown with what its references lead to.

It is told piece by piece before the tool is called that gives it, and that tool is made anew within each run. Which
runs answer to a user is not known here, nor what a user may see.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, cast

from beeai_framework.agents.requirement.events import RequirementAgentFinalAnswerEvent
from beeai_framework.backend import AssistantMessage
from beeai_framework.context import RunContext, RunContextSuccessEvent
from beeai_framework.emitter import EmitterOptions, EventMeta
from beeai_framework.runnable import RunnableOutput
from beeai_framework.tools.events import ToolStartEvent
from pydantic import BaseModel

from handiwork.characters import whole_characters
from handiwork.context.artifact_store import Handoffs
from handiwork.context.expander import Expander

Rewrite = Callable[[str], Awaitable[str]]

# Above any priority that somebody else who listens to a run would ask for: whoever came first has seen the reference.
FIRST = 1 << 128
FINAL_ANSWER_STARTS = {"tool.final_answer.start", "tool.custom.final_answer.start"}
DEEPEST_ANSWER = 64
SAME_WORDS = 20
LONGEST_UNFINISHED = 6
# What the framework takes for text while the rest of an escape of JSON is still to come.
_UNFINISHED = re.compile(r"[\ud800-\udbff]?(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")


class FinalAnswer:
    """The final answer of one run, with what its references lead to, while it comes and when it is there."""

    def __init__(self, run: RunContext, store: Handoffs) -> None:
        self._run, self._store = run, store
        self._expander = self._begin()
        self._taken = self._told = ""
        self._last: RequirementAgentFinalAnswerEvent | None = None
        self._own: object = None
        self._whole: object = None

    def listen(self) -> None:
        options = EmitterOptions(is_blocking=True, match_nested=True, priority=FIRST)
        self._run.emitter.on(self._is_piece, self._on_piece, options)
        self._run.emitter.on(self._is_whole, self._on_whole, options)
        self._run.emitter.on(self._is_end, self._on_end, options)

    # An event is known by its run: the agents of a tool tell theirs here too, and that of a clone names the original.

    def _is_piece(self, event: EventMeta) -> bool:
        return event.name == "final_answer" and event.trace is not None and event.trace.run_id == self._run.run_id

    def _is_whole(self, event: EventMeta) -> bool:
        is_own = event.trace is not None and event.trace.parent_run_id == self._run.run_id
        return is_own and event.path in FINAL_ANSWER_STARTS

    def _is_end(self, event: EventMeta) -> bool:
        return event.name == "success" and event.creator is self._run

    async def _on_piece(self, data: object, _event: EventMeta) -> None:
        if not isinstance(data, RequirementAgentFinalAnswerEvent) or data is self._own:
            return
        text = steady(data.output)
        # Another attempt, unless it goes on where the last one was: the framework misreads fences at the end, too.
        if data.delta == data.output and not (self._taken and text.startswith(self._taken)):
            self._expander = self._begin()
            self._taken = self._told = ""
        # `delta` is not looked at: the framework counts characters, also where an escape has become another text.
        new = text[len(self._taken) :] if text.startswith(self._taken) else ""
        self._taken += new
        data.delta = await self._expander.take(new)
        self._told += data.delta
        data.output = self._told
        self._last = data

    async def _on_whole(self, data: ToolStartEvent, _event: EventMeta) -> None:
        if data.input is self._whole:
            return
        self._whole, last, self._last = data.input, self._last, None
        values = vars(data.input)
        response = values.get("response")
        if last is None or not isinstance(response, str):
            await rewrite_fields(data.input, self._expanded)
            return
        # What was streamed of it must not be looked at again.
        values["response"] = ""
        await rewrite_fields(data.input, self._expanded)
        values["response"] = answer = await self._rest(response)
        if answer != self._told:
            self._own = last.model_copy(update={"delta": untold(answer, self._told), "output": answer})
            await self._run.emitter.emit("final_answer", self._own)

    async def _on_end(self, data: RunContextSuccessEvent, _event: EventMeta) -> None:
        if self._whole is not None or not isinstance(data.output, RunnableOutput):
            return
        message = data.output.last_message
        if isinstance(message, AssistantMessage) and data.output.output:
            # The message itself may be in the agent's memory, and so may the list.
            shown = message.clone()
            for part in shown.get_text_messages():
                part.text = await self._expanded(part.text)
            data.output.output = [*data.output.output[:-1], shown]

    def _begin(self) -> Expander:
        return self._store.expander("user")

    async def _rest(self, response: str) -> str:
        """Return the whole answer, which goes on from what was told of it if it can."""
        text = whole_characters(response)
        if not text.startswith(self._taken):
            return await self._expanded(text)
        return self._told + await expanded(text[len(self._taken) :], self._expander)

    async def _expanded(self, text: str) -> str:
        return await expanded(text, self._begin())


async def expanded(text: str, expander: Expander) -> str:
    """Return a text, or the rest of one, with its references expanded."""
    return await expander.take(text) + await expander.end()


async def rewritten(value: object, rewrite: Rewrite, *, depth: int = 0) -> Any:
    """Return a value with every string in it rewritten, names apart. What is too deep in stays as it is."""
    if type(value) is str:
        return await rewrite(value)
    if depth == DEEPEST_ANSWER:
        return value
    if isinstance(value, BaseModel):
        copy = value.model_copy()
        await rewrite_fields(copy, rewrite, depth=depth)
        return copy
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {name: await rewritten(item, rewrite, depth=depth + 1) for name, item in items}
    if type(value) in (list, tuple):
        each = cast("list[object] | tuple[object, ...]", value)
        return type(each)([await rewritten(item, rewrite, depth=depth + 1) for item in each])
    return value


async def rewrite_fields(model: BaseModel, rewrite: Rewrite, *, depth: int = 0) -> None:
    """Rewrite every string in a model where it is."""
    # Not by attribute: a model may be frozen, and what is shown need not pass for what a model may answer.
    for fields in (vars(model), model.model_extra or {}):
        for name, value in fields.items():
            fields[name] = await rewritten(value, rewrite, depth=depth + 1)


def untold(answer: str, told: str) -> str:
    """Return what of an answer was not told yet: all of it when nothing of it was."""
    if answer.startswith(told):
        return answer[len(told) :]
    # The framework misreads some escapes while they come. Nobody wants to read the rest twice for one character.
    last_words = told[-SAME_WORDS:]
    at = answer.find(last_words, max(0, len(told) - 5 * SAME_WORDS))
    return answer if at < 0 or len(last_words) < SAME_WORDS else answer[at + SAME_WORDS :]


def steady(text: str) -> str:
    """Return as much of a text that is read from unfinished JSON as will stay when more of it comes."""
    begin, end = text[:-LONGEST_UNFINISHED], text[-LONGEST_UNFINISHED:]
    return whole_characters(begin + _UNFINISHED.sub("", end))
