"""A user's decision on what an agent has proposed, asked for through the client where that can ask its user.

Clients of the handshake eras are asked while the call waits, and for so long only; later ones get the question as the
answer, and call again with what the user has said. Whether a client speaks for a user is known to who let it in.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, cast

import anyio
import mcp_types as mcp
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from handiwork.errors import HandiworkError
from handiwork.mcp.visitors import Visitor
from handiwork.model import Acted
from handiwork.references import cleaned
from handiwork.tools import answers
from handiwork.tools.arguments import ProposeAction
from handiwork.tools.tool import Answer
from handiwork.verbs import MOST_ON_A_PAGE
from handiwork.versions.calls import parsed_call

ANSWER_SECONDS = 120.0
"""How long a call waits for a user."""
MOST_ASKED = 8
"""So many questions one client may have open: each holds a call, and answers come the same way as calls."""

_QUESTION = "approval"
_MAY_NOT = "Nobody was asked here, since this connection only proposes."
_CANNOT_ASK = "Nobody was asked here, since this client cannot ask the user."
_TOO_MANY = "Nobody was asked here, since so many questions are open already."
_UNANSWERED = "The user was asked here and has not decided."

Decision = Literal["accept", "decline", "cancel"]
Context = ServerRequestContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proposal:
    """What a user is asked about."""

    id: str
    artifact_id: str


@dataclass(slots=True)
class Approvals:
    """What the user of one client is asked."""

    visitor: Visitor
    _open: int = field(default=0, init=False)

    async def settled(self, context: Context, answer: Answer) -> Answer | mcp.InputRequiredResult:
        """Return what becomes of a proposal: the user's decision, the question to ask, or that it waits."""
        action = waiting_in(answer)
        if action is None:
            return answer
        id = str(action["id"])
        if (why := self._unasked(context)) is not None:
            return _noted(answer, why, id)
        question = _question(answer, action)
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            asked: mcp.InputRequests = {_QUESTION: mcp.ElicitRequest(params=question)}
            return mcp.InputRequiredResult(input_requests=asked, request_state=id)
        proposal = _Proposal(id=id, artifact_id=answer.artifacts[0].id)
        self._open += 1
        try:
            decision = await self._asked(context, question, proposal)
        finally:
            self._open -= 1
        return await self._settled(proposal, decision) or _noted(answer, _UNANSWERED, id)

    async def resumed(self, asked: mcp.CallToolRequestParams) -> Answer | None:
        """Return what comes of the answer to a question that this call brings; None where it brings none.

        What it says that it answers is looked up: it must be a proposal of what this very call asks for.
        """
        response = (asked.input_responses or {}).get(_QUESTION)
        if asked.request_state is None or not isinstance(response, mcp.ElicitResult) or not self.visitor.may_approve:
            return None
        given = {name: value for name, value in (asked.arguments or {}).items() if value is not None}
        try:
            call = parsed_call(ProposeAction, given)
            ledger = await self.visitor.session.actions(call.artifact_id)
            wanted = (asked.request_state, call.action, call.said or {})
            found = next((each for each in ledger.items if (each.id, each.name, dict(each.params)) == wanted), None)
            if found is None:
                return None
            artifact = await self.visitor.session.get(call.artifact_id)
        except HandiworkError as error:
            return answers.mistake(error)
        stands = answers.acted(Acted(action=found, artifact=artifact))
        waits = _noted(stands, _UNANSWERED, found.id) if found.status == "proposed" else stands
        return await self._settled(_Proposal(id=found.id, artifact_id=artifact.id), response.action) or waits

    def _unasked(self, context: Context) -> str | None:
        """Return why nobody is asked; None where the user is."""
        if not self.visitor.may_approve:
            return _MAY_NOT
        if not _asks_users(context):
            return _CANNOT_ASK
        return _TOO_MANY if self._open >= MOST_ASKED else None

    async def _asked(self, context: Context, question: mcp.ElicitRequestFormParams, proposal: _Proposal) -> Decision:
        """Ask, and wait until the user has said something, here or elsewhere, or the time is up, or all is over."""
        decision: Decision = "cancel"

        async def end(after: Callable[[], Awaitable[None]]) -> None:
            await after()
            tasks.cancel_scope.cancel()

        with anyio.move_on_after(ANSWER_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(end, self.visitor.until_over)
                tasks.start_soon(end, partial(self._until_decided, proposal))
                try:
                    said = await context.session.elicit_form(
                        question.message, question.requested_schema, context.request_id
                    )
                    decision = said.action
                except (MCPError, ValidationError, anyio.ClosedResourceError, anyio.BrokenResourceError):
                    # What is no answer decides nothing.
                    pass
                tasks.cancel_scope.cancel()
        return "cancel" if self.visitor.is_over() else decision

    async def _settled(self, proposal: _Proposal, decision: Decision) -> Answer | None:
        """Do what the user has decided, as the user; None where nothing was, nor elsewhere."""
        session = self.visitor.session
        try:
            match decision:
                case "accept":
                    return answers.acted(await session.approve(proposal.id))
                case "decline":
                    return answers.acted(await session.reject(proposal.id))
                case "cancel":
                    return None if self.visitor.is_over() else await self._decided(proposal)
        except HandiworkError as error:
            return answers.mistake(error)

    async def _decided(self, proposal: _Proposal) -> Answer | None:
        """Return what was decided meanwhile; None where it waits."""
        session = self.visitor.session
        ledger = await session.actions(proposal.artifact_id, limit=MOST_ON_A_PAGE)
        action = next((each for each in ledger.items if each.id == proposal.id), None)
        if action is None or action.status == "proposed":
            return None
        return answers.acted(Acted(action=action, artifact=await session.get(proposal.artifact_id)))

    async def _until_decided(self, proposal: _Proposal) -> None:
        """Return when somebody has decided elsewhere; where that cannot be followed, never."""
        session = self.visitor.session
        with contextlib.suppress(HandiworkError):
            seq = (await session.list(limit=1)).seq
            if await self._decided(proposal) is not None:
                return
            async with aclosing(session.watch(after=seq)) as events:
                async for event in events:
                    if event.facts.get("actionId") == proposal.id and event.type == "artifact-action":
                        return
        await anyio.sleep_forever()


def waiting_in(answer: Answer) -> Mapping[str, object] | None:
    """Return the action that an answer says is proposed."""
    action = answer.structured.get("action")
    if not isinstance(action, Mapping) or not answer.artifacts:
        return None
    told = cast("Mapping[str, object]", action)
    return told if told.get("status") == "proposed" else None


def _asks_users(context: Context) -> bool:
    known = context.session.client_capabilities
    offered = None if known is None else known.elicitation
    # One that names no mode has forms: there was nothing else when there were no modes.
    return offered is not None and (offered.form is not None or offered.url is None)


def _question(answer: Answer, action: Mapping[str, object]) -> mcp.ElicitRequestFormParams:
    """Return what the user is asked, in words that nothing of the artifact can end or go on with."""
    artifact = answer.artifacts[0]
    title = cleaned(artifact.title, longest=answers.LONGEST_TITLE).replace('"', "'")
    state = "" if artifact.state is None else f", now in the state {artifact.state}"
    message = (
        f'The assistant proposes "{action["action"]}" for the {artifact.type} titled "{title}" '
        f"({artifact.handle}), version {action['version']}{state}. Accept it to have this done."
    )
    # Today no action takes arguments; those that do will be shown as the assistant has filled them in.
    return mcp.ElicitRequestFormParams(message=message, requested_schema={"type": "object", "properties": {}})


def _noted(answer: Answer, note: str, action_id: str) -> Answer:
    """Add why it waits, and what the model can do about that."""
    elsewhere = f"Tell the user to run `handiwork actions approve {action_id}`, or to approve it in the application."
    return replace(answer, text=f"{answer.text}\n{note} {elsewhere}")
