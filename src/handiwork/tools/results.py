"""What tools of one's own have answered: passed on as it is, or kept, with a summary and a reference in its place.

How an answer is summed up is known to `summaries`, and how a tool is called to `own`.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import cast

from pydantic_core import to_jsonable_python

from handiwork.collect.tool_output import ToolOutput
from handiwork.errors import HandiworkError
from handiwork.errors.telling import told_outside
from handiwork.ids import nanoid
from handiwork.model import Artifact
from handiwork.quantities import counted
from handiwork.tasks import in_thread, words_of
from handiwork.tools.accounts import line
from handiwork.tools.answers import LONGEST_MISTAKE
from handiwork.tools.calls import Verbs
from handiwork.tools.marks import Mark
from handiwork.tools.spelling import reference_of, tag_of
from handiwork.tools.summaries import Summary, keepable, rows_of, summary_of
from handiwork.tools.threads import AllHang, Threads
from handiwork.tools.tool import Answer
from handiwork.types.tool_result import RETENTION
from handiwork.verbs import Recorded

MOST_YIELDED = 100_000
SUMMARY_SECONDS = 60.0

_THREADS = Threads()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """An answer as JSON or text or bytes, and its text for a model."""

    value: object
    text: str
    size: int
    is_used_up: bool = False
    """Whether what it was made of could be read once and no more."""

    @property
    def is_binary(self) -> bool:
        return isinstance(self.value, bytes)

    @property
    def as_object(self) -> Mapping[str, object]:
        """What a summarizer is given."""
        match self.value:
            case dict():
                return cast("Mapping[str, object]", self.value)
            case list():
                return {"items": cast("list[object]", self.value)}
            case str():
                return {"text": self.value}
            case _:
                return {"value": None if self.is_binary else self.value}


class Unspeakable(Exception):
    """A tool has answered with something that JSON cannot hold; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The answers of one tool in one session."""

    verbs: Verbs
    tool: str
    mark: Mark
    summary_seconds: float = SUMMARY_SECONDS
    """How long a summarizer may take; after that it is said what can be said of any answer."""
    threads: Threads = _THREADS
    """Those of the whole process: a summarizer that hangs keeps the one that it has."""

    async def answer(self, result: object, tool_call_id: str | None) -> Answer:
        """Return what the model gets for what the tool has returned. Raises `Unspeakable`."""
        if isinstance(result, ToolOutput):
            return await self._declared(result, tool_call_id)
        return await self._answer(result, tool_call_id)

    async def _declared(self, output: ToolOutput, tool_call_id: str | None) -> Answer:
        """Return the text for the model, with references to what is kept of the artifacts declared beside it."""
        answer = replace(await self._answer(output.text, tool_call_id), metadata=output.metadata)
        try:
            kept = await self.verbs.collect(metadata=output.metadata, tool_call_id=tool_call_id)
        except HandiworkError as error:
            why = line(told_outside(error), longest=LONGEST_MISTAKE)
            return replace(answer, text=f"{answer.text}\nWhat the tool has made could not be kept ({why})")
        artifacts = (*answer.artifacts, *kept)
        return replace(
            answer,
            text="\n".join([answer.text, *map(tag_of, kept)]),
            artifacts=artifacts,
            structured={**answer.structured, "artifacts": [reference_of(each) for each in artifacts]},
        )

    async def failure(self, failure: BaseException, tool_call_id: str | None) -> Answer:
        """Return what the model gets for what the tool has raised, which is kept as a failure."""
        if isinstance(failure, HandiworkError):
            said, hint, code = told_outside(failure), failure.hint, failure.code
        else:
            said, hint, code = words_of(failure), None, "tool_failed"
        said = line(f"`{self.tool}` failed: {said}", longest=LONGEST_MISTAKE)
        error = {"code": code, "message": said, "hint": hint}
        text = f"{said}\n{line(hint, longest=LONGEST_MISTAKE)}" if hint else said
        # Where it cannot be kept, that is no news to a model that has to know of the failure.
        with contextlib.suppress(HandiworkError):
            await self._recorded(said, tool_call_id, failed=True)
        return Answer(text=text, is_error=True, structured={"artifacts": [], "error": error})

    async def _answer(self, result: object, tool_call_id: str | None) -> Answer:
        plain = _of_text(result) if type(result) is str else await in_thread(_plain, result)
        # Bytes never reach a model.
        is_kept = plain.is_binary or (self.mark.is_cached and plain.size > self.mark.threshold_bytes)
        if is_kept:
            return await self._kept(plain, tool_call_id)
        # What is yielded can be read once, which was done.
        return _unchanged(plain, plain.value if plain.is_used_up else result)

    async def _kept(self, plain: _Plain, tool_call_id: str | None) -> Answer:
        summary: Summary = {"type": "bytes"}
        if not plain.is_binary:
            summary = await self._summary(plain.as_object)
        in_short = json.dumps(summary, ensure_ascii=False)
        try:
            kept = await self._recorded(plain.value, tool_call_id, summary=None if plain.is_binary else summary)
        except HandiworkError as error:
            why = line(told_outside(error), longest=LONGEST_MISTAKE)
            begin = f"`{self.tool}` answered {counted(plain.size, 'byte')}"
            text = f"{begin}, which could not be kept ({why}) Ask it for less. In short:\n{in_short}"
            return Answer(text=text, structured={"artifacts": [], "summary": summary}, result=summary)
        ttl = self.mark.ttl or RETENTION
        lines = [
            # The size is that of what is kept, as in its reference.
            f"`{self.tool}` answered {counted(kept.size, 'byte')}, kept for {_minutes(ttl)}. In short:",
            in_short,
            f"cache_id: {kept.handle}{_promotion(tool_call_id)}{_way(plain)}",
            tag_of(kept),
        ]
        structured = {"artifacts": [reference_of(kept)], "cacheId": kept.handle, "summary": summary}
        return Answer(
            text="\n".join(lines),
            artifacts=(kept,),
            structured=structured,
            result={**summary, "cache_id": kept.handle},
        )

    async def _summary(self, value: Mapping[str, object]) -> Summary:
        if self.mark.summarize is not None:
            # One of somebody's own may take for ever, and an answer that has come must not be lost for it.
            summarized = partial(summary_of, value, self.tool, self.mark.summarize)
            with contextlib.suppress(TimeoutError, AllHang):
                return await self.threads.do(summarized, name=self.tool, seconds=self.summary_seconds)
        return await in_thread(summary_of, value, self.tool, None)

    async def _recorded(
        self, value: object, tool_call_id: str | None, *, failed: bool = False, summary: Summary | None = None
    ) -> Artifact:
        told: Recorded = {"failed": failed, "category": self.mark.category, "ttl": self.mark.ttl}
        if summary is not None:
            told["summary_data"] = keepable(summary)
        return await self.verbs.record(tool_call_id or f"call_{nanoid()}", tool=self.tool, result=value, **told)


def _unchanged(plain: _Plain, result: object) -> Answer:
    return Answer(text=plain.text, structured={"artifacts": []}, result=result)


def _plain(result: object) -> _Plain:
    try:
        return _read(result)
    except Unspeakable:
        raise
    except (ValueError, TypeError, RecursionError) as wrong:
        raise Unspeakable(line(str(wrong), longest=LONGEST_MISTAKE)) from wrong
    except BaseException as wrong:  # values of others fail in any way when they are read, and may call `sys.exit`
        raise Unspeakable(line(words_of(wrong), longest=LONGEST_MISTAKE)) from wrong


def _read(result: object) -> _Plain:
    if isinstance(result, str):
        return _of_text(str.__str__(result))
    if isinstance(result, (bytes, bytearray, memoryview)):
        data = bytes(cast("bytes", result))
        return _Plain(value=data, text="", size=len(data))
    if isinstance(result, AsyncIterator):
        raise Unspeakable("it yields instead of returning; return a list")
    if is_used_up := _yields(result):
        result = _Yielded().all_of(result)
    value = to_jsonable_python(result, fallback=str, inf_nan_mode="strings", bytes_mode="base64")
    # In values of Python that mode leaves such numbers as they are.
    value = json.loads(json.dumps(value, ensure_ascii=False), parse_constant=str)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    plain = _of_text(text)
    if plain.text != text:
        value = json.loads(plain.text)
    return _Plain(value=value, text=plain.text, size=plain.size, is_used_up=is_used_up)


def _yields(value: object) -> bool:
    """Tell whether something in a value can be read once and no more."""
    match value:
        case dict():
            return any(map(_yields, cast("dict[object, object]", value).values()))
        case list() | tuple():
            return any(map(_yields, cast("Sequence[object]", value)))
        case _:
            return isinstance(value, Iterator)


@dataclass(slots=True)
class _Yielded:
    """How many values may still be yielded; what yields them may go on for ever."""

    left: int = MOST_YIELDED

    def all_of(self, value: object) -> object:
        """Return a value with a list in the place of each that yields."""
        match value:
            case dict():
                return {name: self.all_of(each) for name, each in cast("dict[object, object]", value).items()}
            case list() | tuple():
                return [self.all_of(each) for each in cast("Sequence[object]", value)]
            case Iterator():
                yielded = list(islice(cast("Iterator[object]", value), self.left + 1))
                self.left -= len(yielded)
                if self.left < 0:
                    raise Unspeakable(f"it yields more than {MOST_YIELDED:,} values")
                return [self.all_of(each) for each in yielded]
            case _:
                return value


def _of_text(text: str) -> _Plain:
    # Half a surrogate pair has no bytes, and no provider takes it.
    data = text.encode("utf-8", "replace")
    whole = data.decode()
    return _Plain(value=whole, text=whole, size=len(data))


def _way(plain: _Plain) -> str:
    """Say how a part of what was kept is asked for."""
    if plain.is_binary:
        return ""
    example = "lines=1:50"
    if isinstance(plain.value, list):
        example = "rows=0:20"
    elif isinstance(plain.value, dict):
        path, _rows = rows_of(plain.as_object)
        example = "path=$" if path is None else f"path=$.{path}[0:20]"
    return f"; get_cached_result reads parts of it, such as {example} or grep=text"


def _promotion(tool_call_id: str | None) -> str:
    """Say how it can be promoted, where the caller knows the call by an id, which a model may not see."""
    return "" if tool_call_id is None else f" (toolCallId {tool_call_id})"


def _minutes(ttl: timedelta) -> str:
    minutes = max(round(ttl.total_seconds() / 60), 1)
    if minutes % 60 == 0:
        return counted(minutes // 60, "hour")
    return counted(minutes, "minute")
