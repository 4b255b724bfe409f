"""Signed links: whoever holds one may read one version's bytes, in one way, for a time. No account is needed.

A link says nothing about the row behind it: whoever opens it looks whether the artifact is still there, has not
expired and has this version, and a row that says no wins over a link that is valid.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, cast, get_args

from handiwork.access.expiry import milliseconds, moment_after, moment_of
from handiwork.access.keys import Keys
from handiwork.access.signing import Signing
from handiwork.clock import Clock, utc_now
from handiwork.errors import LinkInvalid
from handiwork.ids import ArtifactId
from handiwork.model import Artifact, Disposition, Scope

DEFAULT_SECONDS = 300.0
LONGEST_SECONDS = 24 * 60 * 60.0

LinkPurpose = Literal["content", "preview", "view"]
"""The bytes, a picture of them, or the page that shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link gives access to, and until when."""

    scope: Scope
    artifact_id: ArtifactId
    version: int
    disposition: Disposition
    purpose: LinkPurpose
    expires_at: datetime
    key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedLink:
    """A link as it is put into an address, and when it ends."""

    spelled: str = field(repr=False)
    expires_at: datetime


class Links:
    """Makes links and opens them. Both methods may raise `StorageFailed`."""

    def __init__(self, signing: Signing, keys: Keys, *, clock: Clock = utc_now) -> None:
        self._signing, self._keys, self._clock = signing, keys, clock

    async def make(
        self,
        artifact: Artifact,
        *,
        disposition: Disposition = "attachment",
        purpose: LinkPurpose = "content",
        expires_in: float = DEFAULT_SECONDS,
        key_id: str | None = None,
    ) -> SignedLink:
        """Return a link to the version that `artifact` is at, which the caller is known to be allowed.

        It ends after `expires_in` seconds, after a day, with the artifact or with the key `key_id` that it was made
        with, whichever is first. Without `key_id` it was made on a server that has no key, and the first one ends it.

        Raises:
            InvalidLimit: the time is not a positive number of seconds.
        """
        ends = [moment_after(self._clock(), min(expires_in, LONGEST_SECONDS))]
        if artifact.expires_at is not None and not artifact.held:
            ends.append(artifact.expires_at)
        expires_ms = milliseconds(min(ends))
        claims = {
            "tenant": artifact.scope.tenant,
            "user": artifact.scope.user,
            "session": artifact.scope.session,
            "artifact": artifact.id,
            "version": artifact.version.number,
            "disposition": disposition,
            "exp": expires_ms,
            "key": key_id,
        }
        payload = json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        spelled = await self._signing.sign(_tag(purpose), payload)
        return SignedLink(spelled=spelled, expires_at=moment_of(expires_ms))

    async def open(self, spelled: str, *, purpose: LinkPurpose = "content") -> Link:
        """Return what this link gives access to. Raises: `LinkInvalid`."""
        payload = await self._signing.verify(_tag(purpose), spelled)
        link = None if payload is None else _link(payload, purpose)
        if link is None or self._clock() >= link.expires_at:
            raise LinkInvalid
        if not await self._is_vouched_for(link):
            raise LinkInvalid
        return link

    async def _is_vouched_for(self, link: Link) -> bool:
        """Tell whether what the link was made with still stands, as `Keys.vouch_for` does of a caller."""
        if link.key_id is None:
            return not await self._keys.is_any()
        return await self._keys.is_valid(link.key_id, tenant=link.scope.tenant)


def _tag(purpose: LinkPurpose) -> str:
    return f"link-{purpose}"


def _link(payload: bytes, purpose: LinkPurpose) -> Link | None:
    """Return what was signed. It is ours; other shapes are those of another release."""
    try:
        claims = cast(object, json.loads(payload))  # whatever JSON gives; looked into below
        match claims:
            case {
                "tenant": str() as tenant,
                "user": str() as user,
                "session": str() as session,
                "artifact": str() as artifact_id,
                "version": int() as version,
                "disposition": str() as named,
                "exp": int() as expires_ms,
                "key": (str() | None) as key_id,
            } if disposition := _disposition(named):
                return Link(
                    scope=Scope(tenant=tenant, user=user, session=session),
                    artifact_id=ArtifactId(artifact_id),
                    version=version,
                    disposition=disposition,
                    purpose=purpose,
                    expires_at=moment_of(expires_ms),
                    key_id=key_id,
                )
            case _:
                return None
    except (ValueError, OverflowError, RecursionError):
        return None


def _disposition(name: str) -> Disposition | None:
    return next((disposition for disposition in get_args(Disposition) if disposition == name), None)
