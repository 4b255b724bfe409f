"""The stream expander of a session on a server: the same expander as everywhere, reading over HTTP.

Whoever blocks cannot wait on the event loop that the connection belongs to, so those reads have a connection of their
own. What a reader sees is decided where it is decided for every session.
"""

from collections.abc import Callable
from dataclasses import replace

from handiwork.client import answers
from handiwork.client.contents import Body
from handiwork.client.place import Place
from handiwork.context.expander import Expander, Revealed
from handiwork.context.revealing import LINK_SECONDS, Audience, Reading, Reveal, Revealing, Shown
from handiwork.model import Artifact
from handiwork.references import Reference


def expander_over(place: Place, reading: Callable[[Place], Reading], audience: Audience, reveal: Reveal) -> Expander:
    """Return an expander for the artifacts of a session on a server; `reading` gives its verbs at a place."""

    def revealing(at: Place) -> Revealing:
        async def link(artifact: Artifact, shown: Shown, /) -> str:
            order = {"disposition": shown, "version": artifact.version.number, "expiresIn": f"{LINK_SECONDS}s"}
            call = at.call_on(artifact.id, "POST", "/links", body=Body(value=order))
            return await at.ask(call, lambda told, _scope: answers.address(told))

        return Revealing(reading=reading(at), audience=audience, reveal=reveal, link=link)

    async def apart(reference: Reference, /, *, room: int) -> Revealed | None:
        async with place.connection.apart() as connection:
            return await revealing(replace(place, connection=connection))(reference, room=room)

    return Expander(revealing(place), apart=apart)
