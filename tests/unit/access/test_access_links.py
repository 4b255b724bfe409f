import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.access.links import Link, LinkPurpose
from handiwork.errors import InvalidLimit, LinkInvalid, NotAuthenticated
from handiwork.ids import ArtifactId, Handle
from handiwork.model import Artifact, Disposition, Reach, Scope, Version
from memory_keys import MILLISECOND, NOON, Access, access

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
printable = st.text(min_size=1, max_size=200).filter(str.isprintable)
ID = ArtifactId("art_0123456789abcdefABCDEF")
PURPOSES: tuple[LinkPurpose, ...] = get_args(LinkPurpose)


def chart(*, scope: Scope | None = None, number: int = 3, expires_at: datetime | None = None) -> Artifact:
    return Artifact(
        id=ID,
        handle=Handle("chart_k3x9"),
        scope=scope or Scope(tenant="acme", user="ada", session="s1"),
        type="file",
        title="Chart",
        created_at=NOON,
        updated_at=NOON,
        expires_at=expires_at,
        version=Version(
            artifact_id=ID,
            number=number,
            name="chart.png",
            media_type="image/png",
            category="image",
            size=1,
            sha256="0" * 64,
            created_at=NOON,
        ),
    )


@pytest.fixture
def room(tmp_path: Path) -> Access:
    return access(tmp_path)


async def is_refused(room: Access, spelled: str, purpose: LinkPurpose = "content") -> bool:
    try:
        await room.links.open(spelled, purpose=purpose)
    except LinkInvalid:
        return True
    return False


@same_folder
@given(
    scope=st.builds(Scope, tenant=printable, user=printable, session=printable),
    number=st.integers(1, 2**31),
    disposition=st.sampled_from(get_args(Disposition)),
    purpose=st.sampled_from(PURPOSES),
)
async def test_a_link_opens_to_what_it_was_made_for(
    tmp_path: Path, scope: Scope, number: int, disposition: Disposition, purpose: LinkPurpose
) -> None:
    room = access(tmp_path)
    made = await room.links.make(chart(scope=scope, number=number), disposition=disposition, purpose=purpose)
    assert await room.links.open(made.spelled, purpose=purpose) == Link(
        scope=scope,
        artifact_id=ID,
        version=number,
        disposition=disposition,
        purpose=purpose,
        expires_at=NOON + timedelta(minutes=5),
    )


async def test_every_bit_of_a_link_counts(room: Access) -> None:
    link = (await room.links.make(chart())).spelled
    for place in range(len(link)):
        for bit in range(8):
            flipped = link[:place] + chr(ord(link[place]) ^ (1 << bit)) + link[place + 1 :]
            assert await is_refused(room, flipped), flipped
    assert not await is_refused(room, link)


@pytest.mark.parametrize("made_for", PURPOSES)
async def test_a_link_is_good_for_its_purpose_alone(room: Access, made_for: LinkPurpose) -> None:
    link = (await room.links.make(chart(), purpose=made_for)).spelled
    accepted = [purpose for purpose in PURPOSES if not await is_refused(room, link, purpose)]
    assert accepted == [made_for]


async def test_a_link_is_no_token_and_a_token_no_link(room: Access) -> None:
    _, spelled = await room.keys.create(Reach(tenant="acme", user="ada"), "user")
    token = await room.tokens.mint(await room.keys.authenticate(spelled))
    for text in (token.spelled, token.spelled.removeprefix("hwt_")):
        assert await is_refused(room, text)
    link = (await room.links.make(chart())).spelled
    for text in (link, f"hwt_{link}"):
        with pytest.raises(NotAuthenticated):
            await room.tokens.authenticate(text)


async def test_a_link_ends_at_its_time(room: Access) -> None:
    link = await room.links.make(chart(), expires_in=60)
    assert link.expires_at == NOON + timedelta(seconds=60)
    room.clock.moment = link.expires_at - MILLISECOND
    assert not await is_refused(room, link.spelled)
    for room.clock.moment in (link.expires_at, link.expires_at + MILLISECOND):
        assert await is_refused(room, link.spelled)


async def test_no_link_is_longer_than_a_day_or_its_artifact(room: Access) -> None:
    day = await room.links.make(chart(), expires_in=7 * 86400)
    assert day.expires_at == NOON + timedelta(days=1)
    brief = await room.links.make(chart(expires_at=NOON + timedelta(seconds=10)))
    assert brief.expires_at == NOON + timedelta(seconds=10)
    between = await room.links.make(chart(expires_at=NOON + timedelta(seconds=1, microseconds=1700)))
    assert between.expires_at == NOON + timedelta(seconds=1, milliseconds=1)


async def test_an_artifact_that_is_held_does_not_end_its_links(room: Access) -> None:
    held = replace(chart(expires_at=NOON + timedelta(seconds=10)), held=True)
    assert (await room.links.make(held)).expires_at == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("lapse", [0, -1, float("nan")])
async def test_a_link_without_time_is_refused(room: Access, lapse: float) -> None:
    with pytest.raises(InvalidLimit):
        await room.links.make(chart(), expires_in=lapse)


async def test_a_link_ends_with_the_key_it_was_made_with(room: Access) -> None:
    record, _ = await room.keys.create(Reach(tenant="acme", user="ada"), "user")
    tied = await room.links.make(chart(), key_id=record.id)
    other, _ = await room.keys.create(Reach(tenant="acme", user="ada"), "user")
    free = await room.links.make(chart(), key_id=other.id)
    assert (await room.links.open(tied.spelled)).key_id == record.id
    await room.keys.revoke("acme", record.id)
    assert await is_refused(room, tied.spelled)
    assert not await is_refused(room, free.spelled)


async def test_a_rotation_keeps_links_alive_and_a_dropped_key_ends_them(room: Access, tmp_path: Path) -> None:
    elsewhere = access(tmp_path, records=room.records, clock=room.clock)
    link = (await room.links.make(chart())).spelled
    await elsewhere.signing.rotate()
    for each in (room, elsewhere):
        assert not await is_refused(each, link)
    await elsewhere.signing.rotate()
    room.clock.move(1)
    for each in (room, elsewhere):
        assert await is_refused(each, link)


@pytest.mark.parametrize(
    "change", [{"disposition": "evil"}, {"exp": None}, {"exp": 10**30}, {"session": None}, {"version": "1"}]
)
async def test_claims_of_another_shape_are_refused(room: Access, change: dict[str, object]) -> None:
    scope = {"tenant": "t", "user": "u", "session": "s"}
    claims = scope | {"artifact": "a", "version": 1, "disposition": "inline", "exp": 10**13, "key": None}
    assert not await is_refused(room, await room.signing.sign("link-content", json.dumps(claims).encode()))
    assert await is_refused(room, await room.signing.sign("link-content", json.dumps(claims | change).encode()))


async def test_what_is_printed_of_a_link_is_of_no_use(room: Access) -> None:
    link = await room.links.make(chart())
    assert link.spelled[-43:] not in repr(link)


async def test_a_link_of_the_server_without_keys_ends_with_the_first_key(room: Access) -> None:
    link = (await room.links.make(chart())).spelled
    assert not await is_refused(room, link)
    await room.keys.create(Reach(tenant="other"), "admin")
    assert await is_refused(room, link)
