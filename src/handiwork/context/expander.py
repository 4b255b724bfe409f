"""The stream expander: puts into a text what its references lead to, while the text is still being written.

Whose references they are, and what of an artifact its reader may see, is decided by what resolves them. What was put
in is not looked at again, so that no artifact can make another one appear.
"""

import asyncio
import contextlib
import copy
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from handiwork.errors import HandiworkError
from handiwork.model import KIB, MIB
from handiwork.references import Mention, Piece, Reference, Scanner
from handiwork.versions.selection import utf8_size

MOST_ADDED_BYTES = MIB
MOST_ADDED_BY_ONE_BYTES = 256 * KIB
MOST_LOOKED_UP = 500
READ_AT_ONCE = 16 * KIB
WAIT_SECONDS = 10.0

Mark = Literal["`", "~"]
Result = TypeVar("Result")

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LINE_END = re.compile(r"\r\n?")
_MARKED_WITHIN = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """What a reader gets instead of a reference; with a `fence` it stands on lines of its own, in a fence of that name.

    It is always in the fence when it `is_closed_in`, otherwise not where the text has one open already.
    """

    text: str
    fence: str | None = None
    is_closed_in: bool = False
    note: str = ""
    """What is said below the text, and is none of it."""


class Resolver(Protocol):
    """Knows what one reader may see. It raises nothing that is to be told: what cannot be had is None."""

    async def __call__(self, reference: Reference, /, *, room: int) -> Revealed | None:
        """Return what is to stand there, of about `room` bytes at most, or None to leave the reference as it is."""
        ...


class Waiting(Protocol):
    """Waits for what is asynchronous where nothing may be awaited."""

    def __call__(self, work: Callable[[], Coroutine[object, object, Result]], /) -> Result: ...


def wait_apart(work: Callable[[], Coroutine[object, object, Result]], /) -> Result:
    """Do `work` on an event loop in a thread of its own, and block until it is done.

    So it can be waited for within a running event loop, too, as long as the work does not need that loop.
    """
    done: Future[Result] = Future()

    def run() -> None:
        try:
            done.set_result(asyncio.run(work()))
        except BaseException as failure:  # noqa: BLE001  # the thread's edge: whoever waits is told
            done.set_exception(failure)

    threading.Thread(target=run, name="handiwork-expand", daemon=True).start()
    # What cannot be interrupted, such as a disk that hangs, is left alone.
    return done.result(WAIT_SECONDS + 1)


async def _within(work: Awaitable[Result], seconds: float) -> Result:
    async with asyncio.timeout(seconds):
        return await work


class Expander:
    """Expands the references of one text that comes in pieces.

    What comes out in all does not depend on where the text was cut. Text is given back at once, but for a `<` that may
    yet begin a reference, and what follows it, `references.MOST_HELD` characters at most. A reference that leads
    nowhere stays as it is written. All references of a text add at most `MOST_ADDED_BYTES`, and one
    `MOST_ADDED_BY_ONE_BYTES`; of `MOST_LOOKED_UP` references on they stay as they are.

    `take` and `end`, or `over`, are for whoever can await. `feed` and `close` do the same and block meanwhile,
    `WAIT_SECONDS` at most for each reference; they ask `apart`, which must not need the event loop of whoever blocks.
    """

    def __init__(self, resolve: Resolver, *, apart: Resolver | None = None, wait: Waiting = wait_apart) -> None:
        self._resolve, self._apart, self._wait = resolve, apart or resolve, wait
        self._scanner = Scanner()
        self._lines = _Lines()
        self._room = MOST_ADDED_BYTES
        self._left = MOST_LOOKED_UP

    def waiting(self, wait: Waiting) -> "Expander":
        """Return an expander, at the beginning of its text, whose blocking calls wait in this way."""
        return Expander(self._resolve, wait=wait)

    @property
    def held(self) -> str:
        """What was taken and has not been given back."""
        return self._scanner.held

    def feed(self, chunk: str) -> str:
        """Take a piece of the text and return what is decided; it blocks while the store is read."""
        return "".join(map(self._written_now, self._scanner.feed(chunk)))

    def close(self) -> str:
        """Return what was held back, since the text is at its end; it blocks while the store is read."""
        return "".join(map(self._written_now, self._scanner.close()))

    async def take(self, chunk: str) -> str:
        """Take a piece of the text and return what is decided. A long one does not hold up others meanwhile."""
        written: list[str] = []
        for at in range(0, len(chunk), READ_AT_ONCE):
            if at:
                await asyncio.sleep(0)
            written += [await self._written(piece) for piece in self._scanner.feed(chunk[at : at + READ_AT_ONCE])]
        return "".join(written)

    async def end(self) -> str:
        """Return what was held back, since the text is at its end."""
        return "".join([await self._written(piece) for piece in self._scanner.close()])

    async def over(self, chunks: AsyncIterable[str]) -> AsyncGenerator[str]:
        """Yield a text with its references expanded, while it comes; nothing that is empty."""
        async for chunk in chunks:
            for piece in self._scanner.feed(chunk):
                if written := await self._written(piece):
                    yield written
        for piece in self._scanner.close():
            if written := await self._written(piece):
                yield written

    async def _written(self, piece: Piece) -> str:
        if isinstance(piece, str):
            return self._passed(piece)
        return self._put(piece, await self._found(self._resolve, piece.reference))

    def _written_now(self, piece: Piece) -> str:
        if isinstance(piece, str):
            return self._passed(piece)
        found = None
        # What waits may be closed by now.
        with contextlib.suppress(TimeoutError, HandiworkError):
            found = self._wait(lambda: _within(self._found(self._apart, piece.reference), WAIT_SECONDS))
        return self._put(piece, found)

    async def _found(self, resolve: Resolver, reference: Reference) -> Revealed | None:
        if not self._left or not self._room:
            return None
        self._left -= 1
        # Whatever the reason is, the text around it must reach its reader.
        with contextlib.suppress(HandiworkError):
            return await resolve(reference, room=min(self._room, MOST_ADDED_BY_ONE_BYTES))
        return None

    def _passed(self, text: str) -> str:
        self._lines.note(text)
        return text

    def _put(self, mention: Mention, found: Revealed | None) -> str:
        if found is None:
            return self._passed(mention.raw)
        if self._lines.would_be_closed_by(found.text):
            # What follows would stand outside of the fence that its writer put it into.
            return self._passed(mention.raw)
        self._room = max(0, self._room - utf8_size(found.text))
        if found.fence is None or (self._lines.is_in_fence and not found.is_closed_in):
            text = found.text + self._lines.end_of(found.text)
            if found.note:
                text += found.note if text.endswith("\n") and text != found.text else f"\n{found.note}"
            self._lines.note_other(text)
            return text
        below = f"{found.note}\n" if found.note else ""
        begin = "" if self._lines.is_at_start else "\n"
        text = f"{begin}{fenced(found.text, info=found.fence, mark=self._lines.other_mark)}\n{below}"
        self._lines.note_other(text)
        return text


def fenced(text: str, *, info: str = "", mark: Mark = "`") -> str:
    """Return a text in a fence that is longer than any in it."""
    fence = mark * (max(map(len, re.findall(f"{mark}{{3,}}", text)), default=2) + 1)
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{fence}{info}\n{text}{end}{fence}"


class _Lines:
    """Where in a Markdown text one is: at the start of a line or not, within a fence or not."""

    def __init__(self) -> None:
        self.line = ""
        self._is_at_start = True
        self.fence: str | None = None
        self.has_closed = False
        """Whether a fence was closed on the way."""

    @property
    def is_at_start(self) -> bool:
        return self._is_at_start

    @property
    def is_in_fence(self) -> bool:
        return self.fence is not None

    @property
    def other_mark(self) -> Mark:
        """What a fence is made of that does not end the one that is open."""
        return "~" if self.fence is not None and self.fence[0] == "`" else "`"

    def note(self, text: str) -> None:
        """Go on over a text of the writer."""
        first, *others = text.split("\n")
        self._continue(first)
        for line in others:
            self.end_line()
            self._continue(line)

    def note_other(self, text: str) -> None:
        """Go on over a text of another's, which leaves a fence open where one was, and none where there was none."""
        _, newline, last = _LINE_END.sub("\n", text).rpartition("\n")
        if newline:
            self.line, self._is_at_start = "", True
        self._continue(last)

    def would_be_closed_by(self, text: str) -> bool:
        """Tell whether the fence that is open would not stay open behind another's text."""
        if self.fence is None:
            return False
        inside = self._before(text)
        inside.end_line()
        return inside.has_closed

    def end_of(self, text: str) -> str:
        """Return what has to follow another's text so that a fence that it opens is closed."""
        if self.fence is not None:
            return ""
        inside = self._before(text)
        was_open = inside.fence is not None
        inside.end_line()
        begin = "" if text.endswith("\n") else "\n"
        if inside.fence is not None:
            return f"{begin}{inside.fence}\n"
        return begin if was_open else ""

    def _before(self, text: str) -> "_Lines":
        """Return where one is at the end of another's text, whose lines end as Markdown has it."""
        inside = copy.copy(self)
        inside.has_closed = False
        inside.note(_LINE_END.sub("\n", text))
        return inside

    def _continue(self, text: str) -> None:
        if text:
            self._is_at_start = False
            self.line = (self.line + text[:_MARKED_WITHIN])[:_MARKED_WITHIN]

    def end_line(self) -> None:
        found = _FENCE.match(self.line)
        if found is not None and self.fence is None and self._opens(found):
            self.fence = found[1]
        elif found is not None and self._closes(found):
            self.fence, self.has_closed = None, True
        self.line, self._is_at_start = "", True

    def _opens(self, found: re.Match[str]) -> bool:
        return found[1][0] == "~" or "`" not in self.line[found.end() :]

    def _closes(self, found: re.Match[str]) -> bool:
        is_bare = not self.line[found.end() :].strip()
        return self.fence is not None and is_bare and found[1].startswith(self.fence)
