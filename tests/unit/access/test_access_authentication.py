from pathlib import Path

import pytest

from handiwork.access.policy import local_caller
from handiwork.errors import NotAuthenticated
from handiwork.model import Reach
from memory_keys import Access, access


@pytest.fixture
def room(tmp_path: Path) -> Access:
    return access(tmp_path)


async def key(room: Access, *, expires_in: float | None = None) -> str:
    return (await room.keys.create(Reach(tenant="acme", user="ada"), "user", expires_in=expires_in))[1]


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {} ", "{}"])
async def test_a_header_or_a_bare_credential_is_taken(room: Access, form: str) -> None:
    spelled = await key(room)
    caller = await room.authenticator.authenticate(form.format(spelled))
    token = await room.tokens.mint(caller)
    assert caller.user == "ada"
    assert (await room.authenticator.authenticate(form.format(token.spelled))).user == "ada"


@pytest.mark.parametrize(
    "form",
    [None, "", "Bearer", "Bearer ", "Basic {}", "Bearer Bearer {}", "Token {}", "{}, {}", "Bearer\t{}", "Bearer {}\n"],
)
async def test_any_other_form_is_refused_and_not_repeated(room: Access, form: str | None) -> None:
    spelled = await key(room)
    with pytest.raises(NotAuthenticated) as refused:
        await room.authenticator.authenticate(None if form is None else form.format(spelled, spelled))
    told = f"{refused.value} {refused.value.hint} {refused.value.args} {vars(refused.value)}"
    assert spelled.split("_")[2] not in told
    assert "`Authorization: Bearer hw_…`" in told


async def test_a_link_is_no_credential(room: Access) -> None:
    text = await room.signing.sign("link-content", b"{}")
    for spelled in (text, f"hw_{text}", f"hwt_{text}"):
        with pytest.raises(NotAuthenticated):
            await room.authenticator.authenticate(f"Bearer {spelled}")


async def test_a_caller_stands_until_the_key_is_revoked(room: Access) -> None:
    caller = await room.authenticator.authenticate(await key(room))
    by_token = await room.tokens.authenticate((await room.tokens.mint(caller)).spelled)
    for each in (caller, by_token):
        await room.authenticator.confirm(each)
    await room.keys.revoke("acme", caller.key_id or "")
    for each in (caller, by_token):
        with pytest.raises(NotAuthenticated):
            await room.authenticator.confirm(each)


async def test_a_caller_stands_until_key_or_token_expires(room: Access) -> None:
    caller = await room.authenticator.authenticate(await key(room, expires_in=60))
    by_token = await room.tokens.authenticate((await room.tokens.mint(caller, expires_in=30)).spelled)
    room.clock.move(30)
    await room.authenticator.confirm(caller)
    with pytest.raises(NotAuthenticated):
        await room.authenticator.confirm(by_token)
    room.clock.move(30)
    with pytest.raises(NotAuthenticated):
        await room.authenticator.confirm(caller)


async def test_the_local_user_stands_until_there_is_a_key(room: Access) -> None:
    await room.authenticator.confirm(local_caller())
    await key(room)
    with pytest.raises(NotAuthenticated):
        await room.authenticator.confirm(local_caller())
