"""BeeAI: its agents hand artifacts over by reference, and a final answer shows what they refer to.

What a reader may see of an artifact, and how a reply that holds some is read, is not decided here but by the store.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Self, cast

from handiwork.characters import whole_characters
from handiwork.context.artifact_store import Handoffs, handed_over
from handiwork.context.marker import parts
from handiwork.context.revealing import Reveal
from handiwork.errors import ExtraMissing, HandiworkError
from handiwork.errors.telling import told_with_hint
from handiwork.references import MOST_HELD, Mention, pieces_of

try:
    from beeai_framework.backend import (
        AnyMessage,
        AssistantMessage,
        CustomMessageContent,
        MessageTextContent,
        MessageToolCallContent,
        MessageToolResultContent,
        UserMessage,
    )
    from beeai_framework.context import RunContext
    from beeai_framework.memory import BaseMemory, UnconstrainedMemory
    from beeai_framework.runnable import Runnable
    from beeai_framework.tools import StringToolOutput, ToolError, ToolRunOptions
    from beeai_framework.tools.handoff import HandoffSchema, HandoffTool

    from handiwork.adapters.final_answers import FinalAnswer, expanded, rewritten
except ModuleNotFoundError as missing:
    raise ExtraMissing("beeai", why="its agents are what hands over here") from missing

_ESCAPED = re.compile(rf"&lt;artifact\s(?:[^<>&]|&(?![lg]t;)){{1,{2 * MOST_HELD}}}+&gt;")
_HANDED_OVER = "handiwork_handed_over"
_SHOWN = "handiwork_shown"


class ArtifactHandoffTool(HandoffTool):
    """Hands the conversation and a task to another agent, and returns what it made as a reference.

    Artifacts in the agent's reply go to the store. What the agent sees of those that the conversation and the task
    refer to is decided by `reveal_policy`: their ids (`none`), also their summaries (`summary`), or all (`full`).
    """

    def __init__(
        self,
        target: Runnable[Any],
        *,
        artifact_store: Handoffs,
        reveal_policy: Reveal = "summary",
        name: str | None = None,
        description: str | None = None,
        propagate_inputs: bool = True,
    ) -> None:
        super().__init__(target, name=name, description=description, propagate_inputs=propagate_inputs)
        self._store = artifact_store
        self._reveal: Reveal = reveal_policy

    async def _run(self, input: HandoffSchema, options: ToolRunOptions | None, context: RunContext) -> StringToolOutput:
        state, memory = self._state_of(context)
        task = unescaped(input.task)
        conversation = [await self._revealed(message) for message in _answered(memory.messages)]
        conversation += await self._attached(task, conversation)
        revealed = UnconstrainedMemory()
        await revealed.add_many(conversation)
        context.context["state"] = {**state, "memory": revealed}
        # Runs within this one inherit it: what they answer is not for the user.
        context.context[_HANDED_OVER] = True
        asked = HandoffSchema(task=await self._named(task))
        reply = await super()._run(asked, options, context)
        return StringToolOutput(await self._kept(reply.result))

    async def _kept(self, reply: str) -> str:
        """Put what an agent has made into the store, and return its reply with references instead."""
        told: list[str] = []
        for part in parts(reply):
            try:
                told.append(await handed_over(self._store, part, created_by=self.name))
            except HandiworkError as refused:
                why = f"What `{self.name}` made was not stored: {told_with_hint(refused)}"
                before = f" Before it was stored: {', '.join(told)}" if told else ""
                raise ToolError(f"{why}{before}") from refused
        return "\n\n".join(told)

    def _state_of(self, context: RunContext) -> tuple[dict[str, Any], BaseMemory]:
        state = context.context.get("state")
        memory = cast("dict[str, Any]", state).get("memory") if isinstance(state, dict) else None
        if not isinstance(memory, BaseMemory):
            expected = "Let an agent call it, or run it with `.context({'state': {'memory': memory}})`."
            raise ToolError(f"`{self.name}` hands a conversation over, and no memory is in the context. {expected}")
        return cast("dict[str, Any]", state), memory

    async def _shown(self, text: str) -> str:
        """Return a text as the policy has it."""
        return await expanded(text, self._store.expander("agent", reveal=self._reveal))

    async def _named(self, text: str) -> str:
        """Return a text with references that are no longer than the policy has it."""
        reveal: Reveal = "none" if self._reveal == "none" else "summary"
        return await expanded(text, self._store.expander("agent", reveal=reveal))

    async def _revealed(self, message: AnyMessage) -> AnyMessage:
        # Not by `clone`: a message of a role of its own cannot be cloned.
        shown = copy(message)
        shown.content = [await self._part(part) for part in message.content]
        return shown

    async def _part(self, part: object) -> object:
        match part:
            case MessageTextContent():
                return MessageTextContent(text=await self._shown(unescaped(part.text)))
            case MessageToolResultContent():
                return part.model_copy(update={"result": await rewritten(part.result, self._shown)})
            case MessageToolCallContent():
                return part.model_copy(update={"args": await self._call(part.args)})
            case CustomMessageContent():
                return await rewritten(part, self._shown)
            case _:
                return part

    async def _call(self, arguments: str) -> str:
        """Return the arguments of an earlier call: what was asked is no place for content."""
        try:
            told = json.loads(arguments)
            named = await rewritten(told, self._named)
            return arguments if named == told else whole_characters(json.dumps(named, ensure_ascii=False))
        except (ValueError, RecursionError):
            return await self._named(arguments)

    async def _attached(self, task: str, conversation: list[AnyMessage]) -> list[AnyMessage]:
        """Return what the task refers to and the conversation does not show.

        It is not put into the task, where the framework would write `&lt;` for every `<` of a content.
        """
        if self._reveal != "full":
            return []
        mentions = {piece.raw: None for piece in pieces_of(task) if isinstance(piece, Mention)}
        shown = {raw: await self._shown(raw) for raw in mentions}
        said = [part for message in conversation for part in _texts(message)]
        new = {raw: text for raw, text in shown.items() if text != raw and not any(text in part for part in said)}
        return [UserMessage(f"{await self._named(raw)}\n{text}") for raw, text in new.items()]

    async def clone(self) -> Self:
        """Return a tool that hands over to the same agent, and keeps what it gets in the same store."""
        tool = self.__class__(
            self._target,
            artifact_store=self._store,
            reveal_policy=self._reveal,
            name=self._name,
            description=self._description,
            propagate_inputs=self._propagate_inputs,
        )
        tool._cache = await self._cache.clone()  # noqa: SLF001  # as every tool of the framework does
        tool.middlewares.extend(self.middlewares)
        return tool


class ArtifactMiddleware:
    """Puts into the final answer of a run, as it is streamed and as it is returned, what its references lead to.

    The memory of the agent keeps the references. An agent that was handed something by `ArtifactHandoffTool` answers
    to another agent, and so its answers are left as they are.
    """

    def __init__(self, artifact_store: Handoffs) -> None:
        self._store = artifact_store

    def bind(self, ctx: RunContext) -> None:
        """Listen to a run, as the framework wants it of a middleware. Of several for one run the first is the one."""
        # A second one would take for the answer what the first has put in.
        if not ctx.context.get(_HANDED_OVER) and ctx.context.get(_SHOWN) != ctx.run_id:
            ctx.context[_SHOWN] = ctx.run_id
            FinalAnswer(ctx, self._store).listen()


def _answered(messages: Sequence[AnyMessage]) -> Sequence[AnyMessage]:
    """Return messages without the calls at their end that have no answer yet, this one among them."""
    end = len(messages)
    while end and isinstance(last := messages[end - 1], AssistantMessage) and last.get_tool_calls():
        end -= 1
    return messages[:end]


def _texts(message: AnyMessage) -> Iterator[str]:
    for part in message.content:
        if isinstance(part, MessageTextContent):
            yield part.text
        elif isinstance(part, MessageToolResultContent):
            yield str(part.result)


def unescaped(text: str) -> str:
    """Return a text with its references as they were before the framework took them for the text of a web page."""
    return _ESCAPED.sub(lambda found: html.unescape(found[0]), text)
