"""API keys: how one is made, checked and revoked. Where their records lie is the store's affair.

A key is spelled `hw_<id>_<secret>`. It is shown once, when it is made; kept is the SHA-256 of its secret alone. A
refusal never says why, and takes the same steps whether the id is unknown, the secret wrong or the key over.
"""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from handiwork.access.expiry import moment_after
from handiwork.access.policy import Caller, Permission, permissions_for, require_scope_name
from handiwork.clock import Clock, utc_now
from handiwork.errors import InvalidName, NotAuthenticated
from handiwork.ids import RandomBelow, nanoid
from handiwork.model import Principal, Reach
from handiwork.store.key_records import KeyKind, KeyRecord, KeyRecords

KEY_PREFIX = "hw_"
ID_LENGTH = 10
SECRET_LENGTH = 43
"""Of base62: 256 bits."""
CACHE_SECONDS = 2.0
CACHE_ENTRIES = 1024
LONGEST_NAME = 200

_KEY = re.compile(rf"hw_([0-9A-Za-z]{{{ID_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}})", re.ASCII)
# No secret is known that has this hash.
_NO_HASH = "0" * 64

Monotonic = Callable[[], float]


class Keys:
    """The keys of all tenants, over their records.

    A record is trusted for `CACHE_SECONDS` once its key was shown, so a key that is revoked in one process ends in
    all within that time. A wrong key is looked up each time: nobody can fill the cache from outside, and the time
    that a refusal takes does not tell which ids are in use.
    """

    def __init__(
        self,
        records: KeyRecords,
        *,
        clock: Clock = utc_now,
        monotonic: Monotonic = time.monotonic,
        below: RandomBelow = secrets.randbelow,
    ) -> None:
        self._records = records
        self._clock, self._monotonic, self._below = clock, monotonic, below
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._forgot_at = -math.inf
        self._has_any = False
        self._had_none_until = -math.inf

    async def create(
        self,
        reach: Reach,
        kind: KeyKind,
        *,
        name: str = "",
        permissions: Iterable[str] | None = None,
        expires_in: float | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key and return its record with the key itself, which cannot be had again.

        A user's key is for one user, an agent's for one session of one user, an admin's for the whole tenant.
        `permissions` None is all that the kind may hold; `expires_in` is in seconds, None is for ever.

        Raises:
            InvalidName: the reach does not suit the kind, or a name or permission cannot be used.
            InvalidLimit: the key would expire at once, or beyond the end of the calendar.
        """
        _require_suitable(reach, kind)
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InvalidName("key name", name, expected=f"at most {LONGEST_NAME} printable characters")
        now = self._clock()
        secret = nanoid(SECRET_LENGTH, below=self._below)
        record = KeyRecord(
            id=nanoid(ID_LENGTH, below=self._below),
            tenant=reach.tenant,
            kind=kind,
            user=reach.user,
            session=reach.session,
            name=name,
            permissions=_granted(kind, permissions),
            secret_sha256=_hashed(secret),
            created_at=now,
            expires_at=None if expires_in is None else moment_after(now, expires_in),
        )
        await self._records.add(record)
        self._has_any = True
        return record, f"{KEY_PREFIX}{record.id}_{secret}"

    async def list(self, tenant: str) -> tuple[KeyRecord, ...]:
        """Return all keys of a tenant, expired and revoked ones too, the newest first."""
        return await self._records.list(tenant)

    async def revoke(self, tenant: str, key_id: str) -> KeyRecord:
        """End a key: here at once, in other processes within `CACHE_SECONDS`. Once more changes nothing.

        Raises:
            KeyNotFound: the tenant has no such key.
        """
        revoked = await self._records.revoke(tenant, key_id, at=self._clock())
        self._seen.pop(key_id, None)
        return revoked

    async def authenticate(self, spelled: str) -> Caller:
        """Return whose key this is. Raises: `NotAuthenticated`."""
        matched = _KEY.fullmatch(spelled)
        if matched is None:
            raise NotAuthenticated
        key_id, digest = matched[1], _hashed(matched[2])
        record = self._remembered(key_id)
        if not _has_hash(record, digest):
            asked_at = self._monotonic()
            record = await self._records.find(key_id)
            if not _has_hash(record, digest):
                raise NotAuthenticated
            self._remember(record, asked_at)
        if record is None or not record.is_valid_at(self._clock()):
            raise NotAuthenticated
        return _caller(record)

    async def is_valid(self, key_id: str, *, tenant: str) -> bool:
        """Tell whether a key can still be used, for what was made with it; as fresh as `authenticate`."""
        record = self._remembered(key_id)
        if record is None:
            asked_at = self._monotonic()
            record = await self._records.find(key_id)
            self._remember(record, asked_at)
        return record is not None and record.tenant == tenant and record.is_valid_at(self._clock())

    async def vouch_for(self, caller: Caller) -> bool:
        """Tell whether what made this caller one still stands: the key, or that there is none at all."""
        if caller.key_id is None:
            # The local user of a server without keys: the first key ends that, and what the user handed out.
            return not await self.is_any()
        return await self.is_valid(caller.key_id, tenant=caller.tenant)

    def forget(self) -> None:
        """Ask anew about every key: some were ended in another way than by `revoke`."""
        self._seen.clear()
        self._forgot_at = self._monotonic()

    async def is_any(self) -> bool:
        """Tell whether a key was ever made, for any tenant; as fresh as `authenticate`."""
        if self._has_any or self._monotonic() < self._had_none_until:
            return self._has_any
        asked_at = self._monotonic()
        # A key that was made here meanwhile has set this already.
        self._has_any = await self._records.is_any() or self._has_any
        self._had_none_until = asked_at + CACHE_SECONDS
        return self._has_any

    def _remembered(self, key_id: str) -> KeyRecord | None:
        seen = self._seen.get(key_id)
        if seen is None or self._monotonic() >= seen.until:
            return None
        self._seen.move_to_end(key_id)
        return seen.record

    def _remember(self, record: KeyRecord | None, asked_at: float) -> None:
        if record is None or record.revoked_at is not None or asked_at < self._forgot_at:
            return
        # From before the question: the answer may have been true only then.
        self._seen[record.id] = _Seen(record=record, until=asked_at + CACHE_SECONDS)
        self._seen.move_to_end(record.id)
        while len(self._seen) > CACHE_ENTRIES:
            self._seen.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    record: KeyRecord
    until: float


def _require_suitable(reach: Reach, kind: KeyKind) -> None:
    for what, name, is_demanded in (
        ("tenant", reach.tenant, True),
        ("user", reach.user, kind != "admin"),
        ("session", reach.session, kind == "agent"),
    ):
        if name is None and is_demanded:
            raise InvalidName(what, "", expected=f"the name of one, for a key of kind `{kind}`")
        if name is not None:
            require_scope_name(what, name)
    if kind == "admin" and (reach.user is not None or reach.session is not None):
        raise InvalidName(
            "user" if reach.user is not None else "session",
            reach.user or reach.session or "",
            expected="none, for a key of kind `admin`",
        )


def _granted(kind: KeyKind, asked: Iterable[str] | None) -> frozenset[Permission]:
    most = permissions_for(kind)
    if asked is None:
        return most
    named = frozenset(asked)
    if refused := named - most:
        expected = f"one that a key of kind `{kind}` may hold: {', '.join(sorted(most))}"
        raise InvalidName("permission", min(refused), expected=expected)
    return permissions_for(kind, named)


def _has_hash(record: KeyRecord | None, digest: str) -> bool:
    # Without a record too, something is compared.
    return hmac.compare_digest(_NO_HASH if record is None else record.secret_sha256, digest)


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("ascii")).hexdigest()


def _caller(record: KeyRecord) -> Caller:
    return Caller(
        tenant=record.tenant,
        user=record.user,
        session=record.session,
        # An admin is nobody's user, so the key itself is who acted.
        principal=Principal(kind=record.kind, id=record.user or record.id),
        permissions=permissions_for(record.kind, record.permissions),
        key_id=record.id,
        expires_at=record.expires_at,
    )
