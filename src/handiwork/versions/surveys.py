"""What is noted of long text while its bytes pass on their way into the store: where lines begin, some way apart.

That costs next to nothing. Rows and elements take longer to find: those that nobody has found when the content was
examined are looked for by the first who selects some. Where the notes are kept is not known here.
"""

from collections.abc import AsyncGenerator

from handiwork.media.places import APART_BYTES, LINES, Place, Places
from handiwork.store.pieces import OUTLINED_BYTES
from handiwork.tasks import in_thread
from handiwork.versions.blocks import text_begins
from handiwork.versions.drafts import Content
from handiwork.versions.excerpts import is_text

_NEWLINE = b"\n"
_MARK_BYTES = 2


class Survey:
    """Some content that is being stored; `places` are those that are known of it, more when it has passed."""

    def __init__(self, content: Content, *, media_type: str, places: Places) -> None:
        self.places = places
        self._content = content
        self._is_wanted = is_text(media_type) and content.size > OUTLINED_BYTES
        self._start = b""
        self._offset = self._count = 0
        self._due = APART_BYTES
        self._found: list[Place] = []

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the content."""
        async for chunk in self._content.chunks():
            if self._is_wanted:
                await in_thread(self._pass, chunk)
            yield chunk
        # Where the bytes are not those of the text, nobody can begin at one of them.
        if text_begins(self._start) is not None:
            self.places.learn(LINES, self._found)

    def _pass(self, data: bytes) -> None:
        self._start = (self._start + data[:_MARK_BYTES])[:_MARK_BYTES]
        position = 0
        while position < len(data):
            due = min(self._due - self._offset, len(data))
            if position < due:
                self._count += data.count(_NEWLINE, position, due)
                position = due
                continue
            end = data.find(_NEWLINE, position) + 1
            if not end:
                break
            self._count += 1
            self._found.append(Place(self._offset + end, self._count))
            self._due = self._offset + end + APART_BYTES
            position = end
        self._offset += len(data)
