"""The versions of an artifact on a server, as many as are asked for. One answer of a server holds fewer.

What is in a version is read by `answers`.
"""

from handiwork.client import answers
from handiwork.client.connection import Query
from handiwork.client.place import Place
from handiwork.model import Version
from handiwork.store.revisions import VersionPage
from handiwork.verbs import LARGEST_VERSION, page_size, version_number

# What a server gives at most of these at once.
MOST_VERSIONS = 100


async def listed_versions(place: Place, reference: str, *, limit: int, before: int | None) -> VersionPage:
    """Return versions with numbers below `before`, the newest first. See `Session.versions`."""
    found: list[Version] = []
    wanted, before = page_size(limit), version_number(before)
    if before is not None and before > LARGEST_VERSION:
        before = None
    if before is not None and before < 1:
        await place.artifact("GET", reference)
        return VersionPage(items=(), next_before=None)
    while True:
        query: Query = {"limit": min(wanted - len(found), MOST_VERSIONS), "cursor": before}
        page = await place.ask(place.call_on(reference, "GET", "/versions", query=query), answers.version_page)
        found += page.items
        before = page.next_before
        if before is None or len(found) >= wanted or not page.items:
            return VersionPage(items=tuple(found), next_before=before)
