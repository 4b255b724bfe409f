"""Tools of one's own: marked functions as a model sees them, and how they are called.

What becomes of what they return is known to `results`.
"""

import asyncio
import contextlib
import copy
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.alias_generators import to_camel
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from handiwork.errors import InvalidTool
from handiwork.tasks import is_given_up
from handiwork.tools.calls import Verbs
from handiwork.tools.docstrings import docstring_of
from handiwork.tools.marks import mark_of
from handiwork.tools.results import Results, Unspeakable
from handiwork.tools.schemas import parameters_of, strict_parameters_of
from handiwork.tools.tool import Answer, Tool
from handiwork.versions.calls import refusal_of

LONGEST_DESCRIPTION = 1000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")

Function = Callable[..., object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What a function returned, or raised."""

    result: object = None
    failure: BaseException | None = None


class OwnTool:
    """One marked function in one session."""

    def __init__(self, function: object, verbs: Verbs) -> None:
        """Raises `InvalidTool` for what is not marked, or cannot be told to a model."""
        mark, self._function = mark_of(function), cast("Function", function)
        name = mark.name or str(getattr(function, "__name__", ""))
        if not NAME.fullmatch(name):
            raise InvalidTool(name[:100], problem="expected a name of 1 to 64 letters, digits, `_` and `-`")
        self._names, self._model = _model_of(name, self._function)
        self._results = Results(verbs=verbs, tool=name, mark=mark)
        description = mark.description or docstring_of(self._function).prose or name.replace("_", " ")
        self.tool = Tool(
            name=name,
            description=description[:LONGEST_DESCRIPTION],
            parameters=_schema(name, self._model),
            strict_parameters=strict_parameters_of(self._model),
            annotations={},
        )

    async def __call__(self, arguments: Mapping[str, object], tool_call_id: str | None) -> Answer:
        """Call the function, and answer with what it returns or raises. Raises `InvalidContent` for other arguments."""
        given = self._given(arguments)
        outcome = await _outcome(self._function, given)
        if outcome.failure is not None:
            return await self._results.failure(outcome.failure, tool_call_id)
        try:
            return await self._results.answer(outcome.result, tool_call_id)
        except Unspeakable as unspeakable:
            return await self._results.failure(unspeakable, tool_call_id)

    def _given(self, arguments: Mapping[str, object]) -> dict[str, object]:
        fields = self._model.model_fields
        optional = {self._names[name] for name in fields if not fields[name].is_required()}
        # In the strict form, what may be left out is null.
        said = {name: value for name, value in arguments.items() if value is not None or name not in optional}
        try:
            read = self._read(said)
        except ValidationError as wrong:
            raise refusal_of(wrong, list(self._names.values())) from wrong
        return {self._names[name]: getattr(read, name) for name in read.model_fields_set}

    def _read(self, said: dict[str, object]) -> BaseModel:
        try:
            return self._model.model_validate(said)
        except ValidationError as wrong:
            # So it is within an argument, too; that what is null there may be left out is known to its type alone.
            left = copy.deepcopy(said)
            for fault in wrong.errors(include_url=False, include_context=False):
                _leave_out(left, fault["loc"])
            if left == said:
                raise
            with contextlib.suppress(ValidationError):
                return self._model.model_validate(left)
            raise


def _leave_out(value: object, place: Sequence[str | int]) -> None:
    """Leave out what is null at a place, some steps of which are no names but members of a union."""
    holder: dict[str | int, object] = {}
    name: str | int = ""
    for step in place:
        if isinstance(value, dict) and step in value:
            holder, name = cast("dict[str | int, object]", value), step
            value = holder[name]
        elif isinstance(value, list) and isinstance(step, int):
            holder, value = {}, cast("list[object]", value)[step]
    if value is None:
        holder.pop(name, None)


async def _outcome(function: Function, given: Mapping[str, object]) -> _Outcome:
    """Call a function, one that is not async in a thread: it may take its time."""
    try:
        if inspect.iscoroutinefunction(function):
            return _Outcome(result=await cast("Awaitable[object]", function(**given)))
        outcome = await asyncio.to_thread(_called, function, given)
        if inspect.isawaitable(outcome.result):
            return _Outcome(result=await outcome.result)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as failure:  # the boundary to code of others, which may call `sys.exit`
        if isinstance(failure, asyncio.CancelledError) and is_given_up():
            raise
        return _Outcome(failure=failure)
    return outcome


def _called(function: Function, given: Mapping[str, object]) -> _Outcome:
    # Caught here, since a future cannot hold every exception.
    try:
        return _Outcome(result=function(**given))
    except BaseException as failure:  # noqa: BLE001  # the boundary to code of others, which may call `sys.exit`
        return _Outcome(failure=failure)


def _model_of(name: str, function: Function) -> tuple[dict[str, str], type[BaseModel]]:
    """Return a model of the arguments, and which of its fields is which argument."""
    told = docstring_of(function).arguments
    names: dict[str, str] = {}
    fields: dict[str, Any] = {}
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except (NameError, TypeError, ValueError) as wrong:
        raise InvalidTool(name, problem=f"its signature cannot be read ({wrong})") from wrong
    for number, parameter in enumerate(parameters):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidTool(name, problem=f"its argument `{parameter.name}` cannot be given by name")
        # An argument may be called like something that every model has.
        names[f"argument_{number}"] = parameter.name
        aliases = AliasChoices(parameter.name, to_camel(parameter.name))
        description = told.get(parameter.name)
        # A default is not told: it may be something that JSON does not know, and the function has it anyway.
        field = (
            Field(validation_alias=aliases, description=description)
            if parameter.default is parameter.empty
            else Field(default_factory=lambda: None, validation_alias=aliases, description=description)
        )
        fields[f"argument_{number}"] = (hints.get(parameter.name, Any), field)
    try:
        return names, create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError) as wrong:
        raise InvalidTool(name, problem=f"its arguments cannot be read from JSON ({wrong.message})") from wrong


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    try:
        return parameters_of(model)
    except PydanticUserError as wrong:
        raise InvalidTool(name, problem=f"its arguments have no JSON Schema ({wrong.message})") from wrong
