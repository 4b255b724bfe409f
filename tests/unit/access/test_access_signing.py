import base64
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handiwork.access.signing import MAX_TEXT_BYTES, Signing
from handiwork.access.signing_keys import FILE_NAME, SigningKeyFile
from handiwork.errors import ContentTooLarge
from handiwork.ids import nanoid
from memory_keys import HandClock

same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
BASE64URL = string.ascii_letters + string.digits + "-_"


def flips(text: str) -> list[str]:
    """The text with each of its bits flipped, one at a time."""
    return [
        text[:place] + chr(ord(text[place]) ^ (1 << bit)) + text[place + 1 :]
        for place in range(len(text))
        for bit in range(8)
    ]


def make(folder: Path, clock: HandClock | None = None) -> Signing:
    return Signing(SigningKeyFile(folder), monotonic=(clock or HandClock()).monotonic)


@same_folder
@given(payload=st.binary(max_size=2000), purpose=st.sampled_from(["token", "link-content"]))
async def test_what_was_signed_comes_back_the_same(tmp_path: Path, payload: bytes, purpose: str) -> None:
    signing = make(tmp_path)
    text = await signing.sign(purpose, payload)
    assert await signing.verify(purpose, text) == payload
    assert await make(tmp_path).verify(purpose, text) == payload


async def test_every_bit_counts(tmp_path: Path) -> None:
    signing = make(tmp_path)
    for payload in (b"", b"p", b"pa", b"pay", b"payload"):
        text = await signing.sign("token", payload)
        assert [flipped for flipped in flips(text) if await signing.verify("token", flipped) is not None] == []
        assert await signing.verify("token", text) == payload


async def test_the_same_bytes_in_another_spelling_are_refused(tmp_path: Path) -> None:
    signing = make(tmp_path)
    text = await signing.sign("token", b"p")
    mac = text.rpartition(".")[2]
    bytes_of_mac = base64.urlsafe_b64decode(mac + "=")
    same = [c for c in BASE64URL if base64.urlsafe_b64decode(mac[:-1] + c + "=") == bytes_of_mac]
    assert len(same) == 4
    assert [c for c in same if await signing.verify("token", text[:-1] + c) is not None] == [mac[-1]]
    for other in (f"{text}=", f" {text}", f"{text}\n", text.upper(), text.replace(".", "..", 1), f"{text}.{mac}"):
        assert await signing.verify("token", other) is None


@same_folder
@given(text=st.one_of(st.text(), st.from_regex(r"v1\.\w{1,16}\.[\w-]{0,40}\.[\w-]{43}")))
async def test_what_was_never_signed_is_refused(tmp_path: Path, text: str) -> None:
    assert await make(tmp_path).verify("token", text) is None


async def test_a_purpose_cannot_be_swapped(tmp_path: Path) -> None:
    signing = make(tmp_path)
    for signed_for, used_for in (("token", "link-content"), ("link-content", "token"), ("link-content", "link-view")):
        text = await signing.sign(signed_for, b"payload")
        assert await signing.verify(used_for, text) is None
        assert await signing.verify(signed_for, text) == b"payload"


@pytest.mark.parametrize("purpose", ["", "a.b", "Token", "é"])
async def test_a_purpose_that_could_be_mistaken_is_a_mistake(tmp_path: Path, purpose: str) -> None:
    with pytest.raises(ValueError, match="purpose"):
        await make(tmp_path).sign(purpose, b"payload")


async def test_nothing_is_signed_that_would_be_too_long_to_verify(tmp_path: Path) -> None:
    signing = make(tmp_path)
    with pytest.raises(ContentTooLarge, match="4,096"):
        await signing.sign("token", b"x" * MAX_TEXT_BYTES)
    assert await signing.verify("token", "v1.a." + "A" * 10_000 + "." + "A" * 43) is None


async def test_a_rotation_keeps_the_last_key_alive_and_drops_the_one_before(tmp_path: Path) -> None:
    signing = make(tmp_path)
    first = await signing.sign("token", b"first")
    await signing.rotate()
    second = await signing.sign("token", b"second")
    assert first.split(".")[1] != second.split(".")[1]
    assert (await signing.verify("token", first), await signing.verify("token", second)) == (b"first", b"second")
    await signing.rotate()
    assert (await signing.verify("token", first), await signing.verify("token", second)) == (None, b"second")


async def test_a_rotation_elsewhere_is_seen_within_a_second(tmp_path: Path) -> None:
    clock = HandClock()
    here, elsewhere = make(tmp_path, clock), make(tmp_path, clock)
    old = await here.sign("token", b"old")
    await elsewhere.rotate()
    await elsewhere.rotate()
    clock.move(1)
    assert await here.verify("token", old) is None
    assert (await here.sign("token", b"new")).split(".")[1] != old.split(".")[1]


async def test_what_a_new_key_signed_elsewhere_is_accepted_sooner(tmp_path: Path) -> None:
    clock = HandClock()
    here, elsewhere = make(tmp_path, clock), make(tmp_path, clock)
    await here.sign("token", b"old")
    await elsewhere.rotate()
    clock.move(0.06)
    assert await here.verify("token", await elsewhere.sign("token", b"new")) == b"new"


async def test_a_key_that_was_taken_out_of_the_file_is_dead(tmp_path: Path) -> None:
    clock = HandClock()
    signing = make(tmp_path, clock)
    text = await signing.sign("token", b"old")
    (tmp_path / FILE_NAME).unlink()
    clock.move(1)
    assert await signing.verify("token", text) is None


async def test_the_file_is_looked_at_once_a_second_and_for_unknown_keys_twenty_times(tmp_path: Path) -> None:
    class Counted(SigningKeyFile):
        looks = 0

        def read(self, known: object = None):
            self.looks += 1
            return super().read(None)

    clock, file = HandClock(), Counted(tmp_path)
    signing = Signing(file, monotonic=clock.monotonic)
    for _ in range(64):
        await signing.sign("token", b"payload")
        clock.move(1 / 32)
    assert file.looks == 2
    forged = f"v1.{nanoid(8)}.AAAA.{'A' * 43}"
    file.looks = 0
    for _ in range(128):
        assert await signing.verify("token", forged) is None
        clock.move(1 / 128)
    assert file.looks <= 20
