import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.access.policy import PERMISSIONS_OF, Caller, local_caller
from handiwork.errors import InvalidLimit, InvalidName, NotAllowed, NotAuthenticated, SessionNotFound
from handiwork.model import Principal, Reach
from memory_keys import MILLISECOND, NOON, Access, access

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
printable = st.text(min_size=1, max_size=200).filter(str.isprintable)


@pytest.fixture
def room(tmp_path: Path) -> Access:
    return access(tmp_path)


async def admin(room: Access) -> Caller:
    _, spelled = await room.keys.create(Reach(tenant="acme"), "admin")
    return await room.keys.authenticate(spelled)


async def user(room: Access, *, session: str | None = None, expires_in: float | None = None) -> Caller:
    reach = Reach(tenant="acme", user="ada", session=session)
    _, spelled = await room.keys.create(reach, "user", expires_in=expires_in)
    return await room.keys.authenticate(spelled)


async def is_refused(room: Access, spelled: str) -> bool:
    try:
        await room.tokens.authenticate(spelled)
    except NotAuthenticated:
        return True
    return False


@same_folder
@given(tenant=printable, name=printable, session=st.none() | printable)
async def test_a_token_says_whom_it_is_for(tmp_path: Path, tenant: str, name: str, session: str | None) -> None:
    room = access(tmp_path)
    record, spelled = await room.keys.create(Reach(tenant=tenant), "admin")
    token = await room.tokens.mint(await room.keys.authenticate(spelled), user=name, session=session)
    assert await room.tokens.authenticate(token.spelled) == Caller(
        tenant=tenant,
        user=name,
        session=session,
        principal=Principal(kind="user", id=name),
        permissions=PERMISSIONS_OF["user"],
        key_id=record.id,
        expires_at=NOON + timedelta(minutes=15),
    )


async def test_the_longest_names_fit(room: Access) -> None:
    widest = "\U0001f980" * 200
    _, spelled = await room.keys.create(Reach(tenant=widest), "admin")
    token = await room.tokens.mint(await room.keys.authenticate(spelled), user=widest, session=widest)
    assert (await room.tokens.authenticate(token.spelled)).session == widest


async def test_every_bit_of_a_token_counts(room: Access) -> None:
    token = (await room.tokens.mint(await user(room))).spelled
    for place in range(len(token)):
        for bit in range(8):
            flipped = token[:place] + chr(ord(token[place]) ^ (1 << bit)) + token[place + 1 :]
            assert await is_refused(room, flipped), flipped
    assert not await is_refused(room, token)


async def test_a_token_of_a_user_is_the_users_own(room: Access) -> None:
    caller = await user(room)
    ada = await room.tokens.authenticate((await room.tokens.mint(caller)).spelled)
    assert (ada.user, ada.session, ada.permissions) == ("ada", None, caller.permissions)
    with pytest.raises(SessionNotFound):
        await room.tokens.mint(caller, user="bo")


async def test_a_caller_in_one_session_mints_for_that_session_alone(room: Access) -> None:
    caller = await user(room, session="s1")
    for session in (None, "s1"):
        minted = await room.tokens.mint(caller, session=session)
        assert (await room.tokens.authenticate(minted.spelled)).session == "s1"
    with pytest.raises(SessionNotFound):
        await room.tokens.mint(caller, session="s2")


async def test_an_agent_cannot_mint(room: Access) -> None:
    _, spelled = await room.keys.create(Reach(tenant="acme", user="ada", session="s1"), "agent")
    with pytest.raises(NotAllowed, match="`token:create`"):
        await room.tokens.mint(await room.keys.authenticate(spelled), "agent")
    token = await room.tokens.mint(await user(room), "agent", session="s1")
    with pytest.raises(NotAllowed, match="`token:create`"):
        await room.tokens.mint(await room.tokens.authenticate(token.spelled), "agent")


async def test_an_agents_token_holds_an_agents_rights_in_one_session(room: Access) -> None:
    caller = await admin(room)
    token = await room.tokens.mint(caller, "agent", user="ada", session="s1")
    agent = await room.tokens.authenticate(token.spelled)
    assert (agent.principal.kind, agent.permissions) == ("agent", PERMISSIONS_OF["agent"])
    with pytest.raises(InvalidName, match="session"):
        await room.tokens.mint(caller, "agent", user="ada")


async def test_an_admin_has_to_name_the_user(room: Access) -> None:
    with pytest.raises(InvalidName, match="user"):
        await room.tokens.mint(await admin(room))


async def test_rights_are_those_that_caller_and_kind_and_wish_share(room: Access) -> None:
    reach = Reach(tenant="acme", user="ada")
    _, spelled = await room.keys.create(reach, "user", permissions=["token:create", "artifact:read", "link:create"])
    caller = await room.keys.authenticate(spelled)
    all_of_them = await room.tokens.mint(caller)
    assert (await room.tokens.authenticate(all_of_them.spelled)).permissions == caller.permissions
    token = await room.tokens.mint(caller, permissions=["artifact:read", "artifact:write", "admin"])
    assert (await room.tokens.authenticate(token.spelled)).permissions == {"artifact:read"}


async def test_a_token_ends_at_its_time(room: Access) -> None:
    token = await room.tokens.mint(await user(room), expires_in=60)
    assert token.expires_at == NOON + timedelta(seconds=60)
    room.clock.moment = token.expires_at - MILLISECOND
    assert not await is_refused(room, token.spelled)
    for room.clock.moment in (token.expires_at, token.expires_at + MILLISECOND):
        assert await is_refused(room, token.spelled)


async def test_no_token_is_longer_than_an_hour_or_its_key_or_the_token_that_minted_it(room: Access) -> None:
    hour = await room.tokens.mint(await user(room), expires_in=86400)
    assert hour.expires_at == NOON + timedelta(hours=1)
    brief = await room.tokens.mint(await user(room, expires_in=10), expires_in=60)
    assert brief.expires_at == NOON + timedelta(seconds=10)
    again = await room.tokens.mint(await room.tokens.authenticate(brief.spelled), expires_in=60)
    assert again.expires_at == brief.expires_at


@pytest.mark.parametrize("lapse", [0, -1, float("nan")])
async def test_a_token_without_time_is_refused(room: Access, lapse: float) -> None:
    with pytest.raises(InvalidLimit):
        await room.tokens.mint(await user(room), expires_in=lapse)


async def test_a_token_ends_with_its_key(room: Access, tmp_path: Path) -> None:
    elsewhere = access(tmp_path, records=room.records, clock=room.clock)
    caller = await user(room)
    token = await room.tokens.mint(caller)
    assert (await elsewhere.tokens.authenticate(token.spelled)).key_id == caller.key_id
    await room.keys.revoke("acme", caller.key_id or "")
    assert await is_refused(room, token.spelled)
    room.clock.move(2)
    assert await is_refused(elsewhere, token.spelled)


async def test_a_token_of_the_local_user_ends_with_the_first_key(room: Access) -> None:
    token = await room.tokens.mint(local_caller())
    assert (await room.tokens.authenticate(token.spelled)).user == "local"
    await room.keys.create(Reach(tenant="acme"), "admin")
    assert await is_refused(room, token.spelled)


async def test_a_token_is_no_link_and_a_preview_no_token(room: Access) -> None:
    token = await room.tokens.mint(await user(room))
    signed = token.spelled.removeprefix("hwt_")
    for purpose in ("link-content", "link-preview", "link-view"):
        assert await room.signing.verify(purpose, signed) is None
        assert await is_refused(room, "hwt_" + await room.signing.sign(purpose, b"{}"))
    assert await is_refused(room, signed)


@pytest.mark.parametrize("change", [{"kind": "admin"}, {"exp": None}, {"exp": 10**30}, {"user": None}, {"key": 1}])
async def test_claims_of_another_shape_are_refused(room: Access, change: dict[str, object]) -> None:
    claims = {
        "tenant": "t",
        "user": "u",
        "session": None,
        "kind": "user",
        "permissions": "",
        "exp": 10**13,
        "key": None,
    }
    good = await room.signing.sign("token", json.dumps(claims).encode())
    assert not await is_refused(room, f"hwt_{good}")
    bad = await room.signing.sign("token", json.dumps(claims | change).encode())
    assert await is_refused(room, f"hwt_{bad}")


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"{}", b"[" * 2000])
async def test_claims_that_are_no_claims_are_refused(room: Access, payload: bytes) -> None:
    assert await is_refused(room, "hwt_" + await room.signing.sign("token", payload))


async def test_what_is_printed_of_a_token_is_of_no_use(room: Access) -> None:
    token = await room.tokens.mint(await user(room))
    assert token.spelled[-43:] not in repr(token)
