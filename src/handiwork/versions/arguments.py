"""The arguments of a tool call while a model writes them: JSON text that is not whole yet.

One text in them, such as the content of a document, can be read as it grows; the rest counts when it has come and was
read strictly. Which tool is called, and what becomes of it, is not known here.
"""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from typing import cast

import jiter

from handiwork.errors import ContentRefused, ContentTooLarge, InvalidContent
from handiwork.model import KIB, MIB
from handiwork.tasks import in_thread
from handiwork.types.strict_json import parsed

LARGEST_BYTES = 64 * MIB
"""What the largest content may take, with every character of it escaped."""
# All is read again each time, so it is read when a share of it is new: the longer it is, the longer are the pieces.
LEAST_STEP_BYTES = 32
READ_HERE_BYTES = 16 * KIB
# A character may be written as `\u0041`, and beside the content there are a title and names.
BYTES_FOR_ONE, BESIDE_BYTES = 6, 64 * KIB
STEP_SHARE = 32


class Arguments:
    """What comes in `fragments`, once: first `begin`, then `text` if that says so, at last `whole`.

    `read` is for those that have come and were read strictly.
    """

    def __init__(self, fragments: AsyncIterable[str], *, field: str = "content") -> None:
        """`field` names the text that may be read as it grows."""
        if not isinstance(fragments, AsyncIterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise _refused("an async iterator of pieces of JSON text", f"a `{type(fragments).__name__}`")
        self._fragments, self._field = aiter(fragments), field
        self._most_bytes = LARGEST_BYTES
        self._written = bytearray()
        self._known: dict[str, object] = {}
        self._read_next = 0
        self._has_ended = False

    @classmethod
    def read(cls, known: Mapping[str, object]) -> "Arguments":
        """Return arguments that are whole and were read strictly, so that nothing is written and read again."""
        arguments = cls(_nothing())
        arguments._known, arguments._has_ended = dict(known), True
        return arguments

    async def begin(self, *needed: str) -> Mapping[str, object]:
        """Wait until the text grows and one of `needed` is known, or until all has come; return what is whole by then.

        Raises:
            InvalidContent, ContentTooLarge: they cannot become the arguments of a call.
        """
        while await self._grow():
            if self.is_growing and any(name in self._settled for name in needed):
                break
        return self._settled

    def bound(self, content_bytes: int) -> None:
        """Take no more from now on than content of so many bytes needs, however it is escaped."""
        self._most_bytes = min(LARGEST_BYTES, content_bytes * BYTES_FOR_ONE + BESIDE_BYTES)

    @property
    def is_growing(self) -> bool:
        """Whether the text has begun and is what is written now."""
        return not self._has_ended and self._last == self._field and isinstance(self._known[self._field], str)

    async def text(self) -> AsyncGenerator[str]:
        """Yield the text in the pieces in which it grows, until all has come."""
        told = 0
        while True:
            so_far = self._known.get(self._field)
            if not isinstance(so_far, str):
                # Written twice, which the strict reading refuses.
                await self.whole()
                return
            if len(so_far) > told:
                yield so_far[told:]
                told = len(so_far)
            if not await self._grow():
                return

    async def whole(self) -> Mapping[str, object]:
        """Return all arguments, strictly read.

        Raises:
            InvalidContent, ContentTooLarge: they are no JSON object; the place is told.
        """
        while await self._grow():
            pass
        return self._known

    @property
    def _last(self) -> str | None:
        return next(reversed(self._known), None)

    @property
    def _settled(self) -> Mapping[str, object]:
        """What is not being written any more."""
        if self._has_ended:
            return self._known
        return {name: value for name, value in self._known.items() if name not in (self._last, self._field)}

    async def _grow(self) -> bool:
        """Read on until there is more to know; return False when all had come before."""
        if self._has_ended:
            return False
        async for fragment in self._fragments:
            if not isinstance(fragment, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
                raise _refused("fragments of JSON text", f"a `{type(fragment).__name__}`")
            self._written += fragment.encode("utf-8", "surrogatepass")
            size = len(self._written)
            if size > self._most_bytes:
                raise ContentTooLarge("arguments", size=size, limit=self._most_bytes)
            if size >= self._read_next:
                # Of many values nobody is told anything, and all of them are built each time.
                is_told = self.is_growing or size <= READ_HERE_BYTES
                self._read_next = size + max(LEAST_STEP_BYTES, size // STEP_SHARE if is_told else size)
                self._known = _object(await self._read(self._so_far))
                return True
        self._has_ended = True
        self._known = _object(await self._read(self._all))
        return True

    async def _read(self, read: Callable[[], object]) -> object:
        return read() if len(self._written) <= READ_HERE_BYTES else await in_thread(read)

    def _so_far(self) -> object:
        if not self._written.strip():
            return {}
        try:
            return jiter.from_json(bytes(self._written), partial_mode="trailing-strings", cache_mode="none")
        except ValueError as wrong:
            raise _refused("JSON", str(wrong)) from wrong

    def _all(self) -> object:
        if not self._written.strip():
            return {}
        try:
            return parsed(self._written.decode("utf-8", "surrogatepass"), type_name="json")
        except ContentRefused as wrong:
            place = "" if wrong.where is None else f" at {wrong.where}"
            raise _refused(wrong.expected, f"{wrong.got}{place}") from wrong


async def _nothing() -> AsyncGenerator[str]:
    for each in ():
        yield each


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _refused("one JSON object", f"a `{type(value).__name__}`")
    return cast("dict[str, object]", value)


def _refused(expected: str, got: str) -> InvalidContent:
    return InvalidContent("arguments", expected=expected, got=got)
