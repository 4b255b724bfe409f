import hashlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.access.keys import CACHE_ENTRIES, Keys
from handiwork.access.policy import PERMISSIONS_OF, Caller
from handiwork.errors import InvalidLimit, InvalidName, KeyNotFound, NotAuthenticated
from handiwork.ids import BASE62
from handiwork.model import Principal, Reach
from handiwork.store.key_records import KeyKind
from memory_keys import MILLISECOND, NOON, HandClock, MemoryKeys

ADA = Reach(tenant="acme", user="ada")
WRONG = "x" * 43


def make(records: MemoryKeys | None = None, clock: HandClock | None = None) -> Keys:
    clock = clock or HandClock()
    return Keys(records or MemoryKeys(), clock=clock.now, monotonic=clock.monotonic)


async def refusal(keys: Keys, spelled: str) -> tuple[str, str | None]:
    with pytest.raises(NotAuthenticated) as refused:
        await keys.authenticate(spelled)
    return str(refused.value), refused.value.hint


async def test_a_key_authenticates_its_holder() -> None:
    keys = make()
    record, spelled = await keys.create(ADA, "user", name="laptop")
    assert re.fullmatch(r"hw_[0-9A-Za-z]{10}_[0-9A-Za-z]{43}", spelled)
    assert await keys.authenticate(spelled) == Caller(
        tenant="acme",
        user="ada",
        principal=Principal(kind="user", id="ada"),
        permissions=PERMISSIONS_OF["user"],
        key_id=record.id,
    )


async def test_an_agent_key_is_confined_to_its_session() -> None:
    keys = make()
    _, spelled = await keys.create(Reach(tenant="acme", user="ada", session="s1"), "agent")
    caller = await keys.authenticate(spelled)
    assert (caller.user, caller.session, caller.principal.kind) == ("ada", "s1", "agent")


async def test_an_admin_key_is_for_its_tenant() -> None:
    keys = make()
    record, spelled = await keys.create(Reach(tenant="acme"), "admin")
    caller = await keys.authenticate(spelled)
    assert (caller.tenant, caller.user, caller.session) == ("acme", None, None)
    assert caller.principal == Principal(kind="admin", id=record.id)


@pytest.mark.parametrize(
    ("kind", "reach"),
    [
        ("user", Reach(tenant="acme")),
        ("agent", Reach(tenant="acme", user="ada")),
        ("agent", Reach(tenant="acme", session="s1")),
        ("admin", Reach(tenant="acme", user="ada")),
        ("admin", Reach(tenant="acme", session="s1")),
        ("user", Reach(tenant="", user="ada")),
        ("user", Reach(tenant="acme", user="a\nb")),
    ],
)
async def test_a_reach_that_does_not_suit_the_kind_is_refused(kind: KeyKind, reach: Reach) -> None:
    records = MemoryKeys()
    with pytest.raises(InvalidName):
        await make(records).create(reach, kind)
    assert records.records == {}


async def test_a_key_may_hold_less_than_its_kind() -> None:
    keys = make()
    _, spelled = await keys.create(ADA, "user", permissions=["artifact:read"])
    assert (await keys.authenticate(spelled)).permissions == {"artifact:read"}


@pytest.mark.parametrize("permission", ["admin", "action:execute", "nonsense"])
async def test_a_key_that_would_hold_more_than_its_kind_is_refused(permission: str) -> None:
    reach = Reach(tenant="acme", user="ada", session="s1")
    with pytest.raises(InvalidName, match=permission):
        await make().create(reach, "agent", permissions=["artifact:read", permission])


async def test_a_record_that_was_tampered_with_gives_no_more_than_its_kind() -> None:
    records = MemoryKeys()
    keys = make(records)
    record, spelled = await keys.create(Reach(tenant="acme", user="ada", session="s1"), "agent")
    records.records[record.id] = replace(record, permissions=frozenset({"admin", "artifact:read"}))
    assert (await keys.authenticate(spelled)).permissions == {"artifact:read"}


async def test_the_record_holds_no_usable_key() -> None:
    records = MemoryKeys()
    record, spelled = await make(records).create(ADA, "user")
    secret = spelled.split("_")[2]
    assert record.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr({name: getattr(record, name) for name in record.__slots__})
    assert record.secret_sha256 not in repr(record)
    for guess in (record.secret_sha256, record.secret_sha256[:43], f"hw_{record.id}_{record.secret_sha256[:43]}"):
        await refusal(make(records), guess)


async def test_an_unknown_id_takes_the_same_path_as_a_wrong_secret_and_a_key_that_is_over() -> None:
    records, clock = MemoryKeys(), HandClock()
    keys = make(records, clock)
    known, _ = await keys.create(ADA, "user")
    revoked, once = await keys.create(ADA, "user")
    expired, brief = await keys.create(ADA, "user", expires_in=1)
    await keys.revoke("acme", revoked.id)
    clock.move(5)
    answers = [
        await refusal(keys, spelled) for spelled in (f"hw_0123456789_{WRONG}", f"hw_{known.id}_{WRONG}", once, brief)
    ]
    assert len(set(answers)) == 1
    assert records.sought == ["0123456789", known.id, revoked.id, expired.id]


async def test_a_key_that_is_in_use_does_not_show_in_how_a_wrong_secret_is_refused() -> None:
    records = MemoryKeys()
    keys = make(records)
    record, spelled = await keys.create(ADA, "user")
    await keys.authenticate(spelled)
    records.sought.clear()
    await refusal(keys, f"hw_{record.id}_{WRONG}")
    await refusal(keys, f"hw_0123456789_{WRONG}")
    assert records.sought == [record.id, "0123456789"]


@given(st.data())
async def test_any_other_spelling_is_refused(data: st.DataObject) -> None:
    keys = make()
    _, spelled = await keys.create(ADA, "user")
    place = data.draw(st.integers(0, len(spelled) - 1))
    other = data.draw(
        st.one_of(st.sampled_from(BASE62 + "_- \n"), st.characters()).filter(lambda c: c != spelled[place])
    )
    await refusal(keys, spelled[:place] + other + spelled[place + 1 :])
    await refusal(keys, spelled[:place])
    await refusal(keys, spelled + other)


async def test_a_key_ends_at_its_time() -> None:
    clock = HandClock()
    keys = make(clock=clock)
    record, spelled = await keys.create(ADA, "user", expires_in=60)
    assert record.expires_at is not None
    clock.moment = record.expires_at - MILLISECOND
    assert (await keys.authenticate(spelled)).expires_at == record.expires_at
    for clock.moment in (record.expires_at, record.expires_at + MILLISECOND):
        await refusal(keys, spelled)


@pytest.mark.parametrize("lapse", [0, -1, float("nan"), 1e300])
async def test_a_key_that_would_never_work_is_not_made(lapse: float) -> None:
    records = MemoryKeys()
    with pytest.raises(InvalidLimit):
        await make(records).create(ADA, "user", expires_in=lapse)
    assert records.records == {}


async def test_revoking_ends_a_key_here_at_once_and_elsewhere_within_two_seconds() -> None:
    records, clock = MemoryKeys(), HandClock()
    here, elsewhere = make(records, clock), make(records, clock)
    record, spelled = await here.create(ADA, "user")
    for keys in (here, elsewhere):
        await keys.authenticate(spelled)
    await here.revoke("acme", record.id)
    await refusal(here, spelled)
    clock.move(2)
    await refusal(elsewhere, spelled)


async def test_a_look_up_counts_from_when_it_was_asked() -> None:
    clock = HandClock()

    class Slow(MemoryKeys):
        async def find(self, key_id: str):
            record = await super().find(key_id)
            clock.move(1.5)
            return record

    records = Slow()
    keys = make(records, clock)
    record, spelled = await keys.create(ADA, "user")
    await keys.authenticate(spelled)
    await records.revoke("acme", record.id, at=NOON)
    clock.move(0.5)
    await refusal(keys, spelled)


async def test_a_key_in_use_is_looked_up_every_two_seconds() -> None:
    records, clock = MemoryKeys(), HandClock()
    keys = make(records, clock)
    _, spelled = await keys.create(ADA, "user")
    for _ in range(41):
        await keys.authenticate(spelled)
        clock.move(0.125)
    assert len(records.sought) == 3


async def test_what_is_remembered_is_bounded() -> None:
    records = MemoryKeys()
    keys = make(records)
    made = [await keys.create(ADA, "user") for _ in range(CACHE_ENTRIES + 1)]
    for _, spelled in made:
        await keys.authenticate(spelled)
    records.sought.clear()
    for _, spelled in (made[-1], made[1], made[0]):
        await keys.authenticate(spelled)
    assert records.sought == [made[0][0].id]


async def test_a_key_of_another_tenant_cannot_be_revoked() -> None:
    keys = make()
    record, spelled = await keys.create(ADA, "user")
    with pytest.raises(KeyNotFound):
        await keys.revoke("other", record.id)
    assert await keys.authenticate(spelled)


async def test_a_key_counts_for_its_own_tenant_only() -> None:
    keys = make()
    record, _ = await keys.create(ADA, "user")
    assert await keys.is_valid(record.id, tenant="acme")
    assert not await keys.is_valid(record.id, tenant="other")


async def test_keys_are_listed_by_tenant() -> None:
    keys = make()
    first, _ = await keys.create(ADA, "user")
    second, _ = await keys.create(Reach(tenant="acme"), "admin")
    await keys.create(Reach(tenant="other"), "admin")
    assert await keys.list("acme") == (second, first)


async def test_a_server_that_had_keys_is_never_without_again() -> None:
    records, clock = MemoryKeys(), HandClock()
    here, elsewhere = make(records, clock), make(records, clock)
    assert not await here.is_any()
    assert not await elsewhere.is_any()
    record, _ = await here.create(ADA, "user")
    assert await here.is_any()
    clock.move(2)
    assert await elsewhere.is_any()
    await here.revoke("acme", record.id)
    assert await here.is_any()
