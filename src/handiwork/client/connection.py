"""The connection to one server: requests sent, tried again where that is safe, answers bounded, problems raised.

What is asked for, and what the answers mean, is known to the verbs. A request that changes something is sent once: it
is tried again only where nothing of it can have left this machine.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx2

from handiwork.client.json_bodies import halved_in, json_of, value_of
from handiwork.client.refusals import MEDIA_TYPE, error_of
from handiwork.errors import (
    ConnectionBroken,
    EngineClosed,
    HandiworkError,
    InvalidContent,
    RequestRefused,
    ServerUnreachable,
    ShuttingDown,
    UnexpectedAnswer,
)
from handiwork.model import MIB
from handiwork.tasks import words_of

API = "/api/v1"
LARGEST_ANSWER_BYTES = 64 * MIB
LARGEST_PROBLEM_BYTES = MIB
# Less than a server waits, so that it is not just closing what is used again.
KEPT_OPEN_SECONDS = 15.0
MOST_CONNECTIONS = 1000
KNOWN_SECONDS = 60.0

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Query = Mapping[str, str | int | None]

_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_JSON = {"content-type": "application/json"}
# From a server that turns clients away for now, or from a proxy whose server is away.
_AWAY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client waits, in seconds, and how often it tries.

    An answer is waited for `answer_seconds` from one sign of life to the next and `whole_seconds` in all, the end of a
    run for `run_seconds`. Streams outlive that the server is away for `outage_seconds`.
    """

    connect_seconds: float = 10.0
    answer_seconds: float = 60.0
    whole_seconds: float = 600.0
    run_seconds: float = 3600.0
    quiet_seconds: float = 45.0
    """A stream of events has a sign of life every 15 s."""
    outage_seconds: float = 300.0
    tries: int = 4
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0
    random: Callable[[], float] = field(default=lambda: secrets.randbelow(1000) / 1000)

    def pause_seconds(self, tried: int) -> float:
        """Return how long to wait after so many tries that came to nothing: longer each time, and never the same."""
        most = min(self.longest_pause_seconds, self.first_pause_seconds * 2 ** min(tried, 16))
        return most * (0.5 + self.random() / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `content` gives the body anew each time that it is asked, unless it is the caller's own iterator."""

    method: Method
    path: str
    query: Query = field(default_factory=dict[str, str | int | None])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    value: object = None
    """A body of JSON."""
    content: Callable[[], AsyncIterator[bytes]] | None = None
    quiet_seconds: float | None = None
    whole_seconds: float | None = None

    @property
    def is_safe(self) -> bool:
        return self.method == "GET"

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server has answered, as a whole."""

    headers: Mapping[str, str]
    body: bytes


class Interrupted(Exception):  # never leaves this room
    """The connection failed; `was_sent` says whether any of the request may have arrived."""

    def __init__(self, why: str, *, was_sent: bool) -> None:
        super().__init__(why)
        self.why, self.was_sent = why, was_sent


class Connection:
    """A server at an address, for who holds a key; it is entered, and closed at the end."""

    def __init__(self, new_client: Callable[[], httpx2.AsyncClient], *, url: str, patience: Patience) -> None:
        self.url, self.patience = url, patience
        self._new_client, self._client = new_client, new_client()
        self._known: dict[str, tuple[float, Any]] = {}

    async def __aenter__(self) -> "Connection":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.__aexit__()

    @property
    def is_closed(self) -> bool:
        return self._client.is_closed

    def apart(self) -> "Connection":
        """Return a connection of its own to the same server, for another event loop; it is to be entered there."""
        return Connection(self._new_client, url=self.url, patience=self.patience)

    async def ask(self, call: Call) -> Any:
        """Return what an answer of JSON says. Raises what the server refuses, and `UnexpectedAnswer`."""
        answer = await self.fetch(call)
        if not _is(answer.headers, "application/json"):
            raise self.unexpected(call, expected="JSON", got=f"`{answer.headers.get('content-type', 'nothing')[:100]}`")
        try:
            return await value_of(answer.body)
        except (ValueError, RecursionError) as wrong:
            raise self.unexpected(call, expected="JSON", got="something that is none") from wrong

    async def known(self, call: Call) -> Any:
        """Return what was answered within the last minute, or ask."""
        now = asyncio.get_running_loop().time()
        if (found := self._known.get(call.path)) is None or now > found[0]:
            found = self._known[call.path] = (now + KNOWN_SECONDS, await self.ask(call))
        return found[1]

    async def fetch(self, call: Call) -> Answer:
        """Return the answer as a whole.

        Raises:
            ServerUnreachable: no answer came, and nothing was changed.
            ConnectionBroken: no answer came to what may have changed something.
            HandiworkError: what the server refuses.
        """
        for tried in range(self.patience.tries):
            try:
                async with asyncio.timeout(call.whole_seconds or self.patience.whole_seconds):
                    async with self.opened(call) as response:
                        return Answer(headers=response.headers, body=await self._body(call, response))
            except TimeoutError as late:
                raise self._failure(call, Interrupted("it took too long", was_sent=True)) from late
            except Interrupted as interrupted:
                is_last = tried == self.patience.tries - 1
                if is_last or (interrupted.was_sent and not call.is_safe):
                    raise self._failure(call, interrupted) from interrupted
            await asyncio.sleep(self.patience.pause_seconds(tried))
        raise AssertionError("the last try returns or raises")

    @contextlib.asynccontextmanager
    async def opened(self, call: Call) -> AsyncGenerator[httpx2.Response]:
        """Send a request and give the response, its body not yet read.

        Raises:
            Interrupted: the connection failed, within the context too.
            HandiworkError: what the server refuses.
        """
        request = await self._request(call)
        if self.is_closed:
            raise EngineClosed
        try:
            response = await self._client.send(request, stream=True)
            try:
                if not response.is_success:
                    raise await self._refusal(call, response)
                if response.headers.get("content-encoding", "identity") != "identity":
                    got = f"the encoding `{response.headers['content-encoding'][:100]}`"
                    raise self.unexpected(call, expected="an answer that is not compressed", got=got)
                yield response
            finally:
                await response.aclose()
        except _NOTHING_SENT as failure:
            raise Interrupted(_why(failure), was_sent=False) from failure
        except (httpx2.TransportError, httpx2.StreamError) as failure:
            raise Interrupted(_why(failure), was_sent=True) from failure

    def unexpected(self, call: Call, *, expected: str, got: str) -> UnexpectedAnswer:
        return UnexpectedAnswer(f"{self.url}{API}{call.path}", expected=expected, got=got)

    async def _request(self, call: Call) -> httpx2.Request:
        try:
            is_json = call.content is None and call.value is not None
            return self._built(call, await json_of(call.value) if is_json else None)
        except Exception as wrong:  # values of callers without types fail in any way when they are read
            if isinstance(wrong, UnicodeError) and (name := await halved_in(call.value)) is not None:
                raise InvalidContent(name, expected="text of whole characters", got="half a character") from wrong
            got = " ".join(words_of(wrong).split())[:200]
            raise InvalidContent("request", expected="values that JSON and UTF-8 can hold", got=got) from wrong

    def _built(self, call: Call, json: bytes | None) -> httpx2.Request:
        content = call.content and call.content()
        headers = dict(call.headers)
        if json is not None:
            content, headers = json, {**_JSON, **headers}
        patience = self.patience
        timeout = httpx2.Timeout(
            call.quiet_seconds or patience.answer_seconds,
            connect=patience.connect_seconds,
            pool=patience.connect_seconds,
        )
        return self._client.build_request(
            call.method,
            f"{self.url}{API}{call.path}",
            params={name: value for name, value in call.query.items() if value is not None},
            # As a header has them: none is a character more than Latin-1 knows.
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()],
            content=content,
            timeout=timeout,
        )

    async def _body(self, call: Call, response: httpx2.Response, *, most: int = LARGEST_ANSWER_BYTES) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > most:
                raise self.unexpected(call, expected=f"an answer of at most {most:,} bytes", got="more")
            pieces.append(piece)
        return b"".join(pieces)

    async def _refusal(self, call: Call, response: httpx2.Response) -> HandiworkError:
        got = f"the status {response.status_code}"
        if response.has_redirect_location:
            got += f", which leads to `{response.headers['location'][:200]}`"
        if _is(response.headers, MEDIA_TYPE):
            try:
                told = await value_of(await self._body(call, response, most=LARGEST_PROBLEM_BYTES))
                return error_of(response.status_code, told)
            except (ValueError, RecursionError, AttributeError, TypeError):
                got += " with a problem that cannot be read"
        address = f"{self.url}{API}{call.path}"
        return UnexpectedAnswer(
            address, expected="an answer to the request", got=got, answer_status=response.status_code
        )

    def _failure(self, call: Call, interrupted: Interrupted) -> HandiworkError:
        if call.is_safe or not interrupted.was_sent:
            return ServerUnreachable(self.url, interrupted.why)
        return ConnectionBroken(str(call), interrupted.why)


def will_pass(failure: HandiworkError) -> bool:
    """Tell whether a server that refuses like this may be expected to come back."""
    match failure:
        case ShuttingDown():
            return True
        case RequestRefused():
            return failure.status in _AWAY
        case UnexpectedAnswer():
            return failure.answer_status in _AWAY
        case _:
            return False


class Outage:
    """How long a stream has gone without its server, and whether it has to give up. Made anew for each stream."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._patience = connection, connection.patience
        self._tried = 0
        self._gives_up_at: float | None = None

    def is_over(self) -> None:
        """Note a sign of life."""
        self._tried, self._gives_up_at = 0, None

    async def wait(self, why: Exception) -> None:
        """Wait before the next try. Raises `ServerUnreachable` when it was away for too long, and `EngineClosed`."""
        if self._connection.is_closed:
            raise EngineClosed from why
        now = asyncio.get_running_loop().time()
        if self._gives_up_at is None:
            self._gives_up_at = now + self._patience.outage_seconds
        if now >= self._gives_up_at:
            raise ServerUnreachable(self._connection.url, f"for {self._patience.outage_seconds:g} s, {why}") from why
        await asyncio.sleep(self._patience.pause_seconds(self._tried))
        self._tried += 1


def _is(headers: Mapping[str, str], media_type: str) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == media_type


def _why(failure: Exception) -> str:
    said = " ".join(str(failure).split())[:300]
    match failure:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return "no connection came about in time"
        case httpx2.TimeoutException():
            return "nothing came for too long"
        case _:
            return said or type(failure).__name__
