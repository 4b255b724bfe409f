"""Whatever is told on a wire, and however hostile: each frame is one event to a reader of Server-Sent Events, says what
it was made of, is what the protocol's own models take, and holds whole characters alone.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from a2a.types.a2a_pb2 import StreamResponse
from ag_ui.core import Event as AgUiEvent
from google.protobuf.json_format import ParseDict
from happenings import happened, piece, plan, printed, settled, versioned
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from handiwork.events import Event, Told
from handiwork.wires.a2a import A2A
from handiwork.wires.ag_ui import AgUi
from handiwork.wires.ai_sdk import AiSdk
from handiwork.wires.frames import RETRY, server_sent_passing, server_sent_shapes
from handiwork.wires.wire import Wire

_AG_UI: TypeAdapter[Any] = TypeAdapter(AgUiEvent)
_HALF = re.compile("[\ud800-\udfff]")

whole = st.text(
    st.one_of(
        st.sampled_from(list('\n\r\t\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff\u202e\U0010ffff:"\\<>&')),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
) | st.sampled_from(
    ["x" * 70_000, "a\n\ndata: [DONE]\n\n", "\r\nid: 99\r\nevent: resync\r\ndata: {}\r\n\r\n", "retry: 0"]
)
# Pieces are cut anywhere, and programs write what they like.
any_text = whole | st.text(st.characters(), min_size=1, max_size=20) | st.sampled_from(["\ud83c", "\udf88", "\ud800\n"])
contents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | whole,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(whole, inner, max_size=3),
    max_leaves=8,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("version"), whole, contents),
        st.tuples(st.just("write"), any_text),
        st.tuples(st.just("go on"), any_text),
        st.tuples(st.just("print"), any_text),
        st.tuples(st.just("settle")),
        st.tuples(st.just("fail"), whole),
        st.tuples(st.just("expire")),
    ),
    max_size=6,
)


def wires(session: str) -> dict[str, Wire]:
    return {
        "ag-ui": AgUi(session, run_id="run_1"),
        "ai-sdk": AiSdk(session),
        "a2a": A2A(session, public="https://hands.example", is_resumed=False),
    }


def told_by(plan_of_steps: Sequence[tuple[Any, ...]]) -> list[tuple[Told, dict[str, Any] | None]]:
    """What is told, each with the artifact that can be seen then."""
    number, length, seen = 0, 0, None
    found: list[tuple[Told, dict[str, Any] | None]] = []
    for seq, (verb, *given_) in enumerate(plan_of_steps, 1):
        match verb:
            case "version":
                title, content = given_
                number += 1
                seen = plan(number, content, title=title, labels=[title], facts={title: title}, handle=title)
                seen["version"] |= {"name": title, "summary": title, "language": title}
                found.append((versioned(number, seq=seq), seen))
            case "write":
                length = len(given_[0])
                found.append((piece(given_[0]), seen))
            case "go on":
                found.append((piece(given_[0], offset=length), seen))
                length += len(given_[0])
            case "print":
                found.append((printed(given_[0]), seen))
            case "settle":
                found.append((settled(), seen))
            case "fail":
                found.append((happened("artifact-failed", seq=seq, code=given_[0]), seen))
            case _:
                found.append((happened("artifact-expired", seq=seq), None))
    return found


def read(raw: bytes) -> list[httpx2.ServerSentEvent]:
    """Read a stream as the SSE reader of an HTTP client does."""
    asked = httpx2.Request("GET", "http://127.0.0.1/")
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw, request=asked)
    return list(httpx2.EventSource(response))


def require_taken(format_: str, shape: Any) -> None:
    match format_:
        case "ag-ui":
            _AG_UI.validate_python(shape)
        case "a2a":
            ParseDict(shape, StreamResponse())
        case _:
            assert shape["type"]


@pytest.mark.parametrize("format_", ["ag-ui", "ai-sdk", "a2a"])
@settings(max_examples=100, deadline=None)
@given(session=whole.filter(bool), plan_of_steps=steps, message=whole)
def test_each_frame_is_one_event_that_the_other_side_takes(
    format_: str, session: str, plan_of_steps: Sequence[tuple[Any, ...]], message: str
) -> None:
    wire, cursor = wires(session)[format_], ""
    raw, expected = RETRY + server_sent_shapes(wire.begin()), list(wire.begin())
    for told, seen in told_by(plan_of_steps):
        shapes = wire.tell(told, seen if wire.look(told) is not None else None)
        seq = told.seq if isinstance(told, Event) else None
        raw += server_sent_shapes(shapes, seq=seq)
        expected += shapes
        cursor = cursor if seq is None else str(seq)
    last = wire.break_off("a_code", message)
    raw += server_sent_shapes(last)
    expected += last
    assert raw.isascii()
    events = [event for event in read(raw) if event.data]
    assert [json.loads(event.data) for event in events] == expected
    assert all(event.event == "message" for event in events)
    assert read(raw)[-1].id == cursor
    for event in events:
        shape = json.loads(event.data)
        assert not _HALF.search(json.dumps(shape, ensure_ascii=False))
        require_taken(format_, shape)


@settings(max_examples=100, deadline=None)
@given(text=any_text)
def test_in_our_own_format_what_passes_by_is_one_event_with_the_same_text(text: str) -> None:
    for passing in (piece(text), printed(text)):
        (event,) = read(server_sent_passing(passing))
        assert json.loads(event.data)["text"] == text
        assert event.id == ""
