import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handiwork.errors import EncryptionChanged, StorageFailed
from handiwork.store.key_file import KEY_BYTES
from handiwork.store.sealing import PLAIN, Place
from handiwork.store.vault import MasterKey, Unopened, Vault, new_generation
from sealed_store import new_vault, only_opening

HERE = Place(table="versions", tenant="default", id="art_1", number=1)
ELSEWHERE = [
    replace(HERE, table="artifacts"),
    replace(HERE, tenant="other"),
    replace(HERE, id="art_2"),
    replace(HERE, number=2),
    # What would be the same if the parts were only put one after the other.
    replace(HERE, id="art_", number=11),
    replace(HERE, tenant="defaultart_1", id=""),
]
FACTS = {"title": "Größe 図", "labels": ["a", "b"], "facts": {"nested": [1, None, {"x": 0.5}]}}
SECRET = bytes(KEY_BYTES)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def sealed_by(vault: Vault, facts: object = None) -> str:
    sealed = vault.seal(HERE, {"facts": facts} if facts is not None else FACTS)
    assert sealed is not None
    return sealed


@given(values)
def test_what_was_sealed_is_opened_as_it_was(facts: object) -> None:
    vault = new_vault()

    assert vault.open(HERE, sealed_by(vault, facts or 0)) == {"facts": facts or 0}


def test_the_same_facts_are_never_sealed_twice_alike() -> None:
    vault = new_vault()

    assert sealed_by(vault) != sealed_by(vault)


@pytest.mark.parametrize("place", ELSEWHERE)
def test_facts_open_at_their_own_place_only(place: Place) -> None:
    vault = new_vault()

    with pytest.raises(StorageFailed, match=f"`{place.id}` is damaged"):
        vault.open(place, sealed_by(vault))


def test_a_change_of_what_was_sealed_is_told() -> None:
    vault = new_vault()
    sealed = sealed_by(vault)

    for place, character in enumerate(sealed):
        changed = sealed[:place] + ("A" if character != "A" else "B") + sealed[place + 1 :]
        with pytest.raises((StorageFailed, EncryptionChanged)):
            vault.open(HERE, changed)
    for length in range(len(sealed)):
        with pytest.raises((StorageFailed, EncryptionChanged)):
            vault.open(HERE, sealed[:length])


def test_facts_of_a_generation_that_began_elsewhere_say_what_to_do() -> None:
    with pytest.raises(EncryptionChanged) as caught:
        new_vault().open(HERE, sealed_by(new_vault()))

    assert "Restart" in (caught.value.hint or "")
    with pytest.raises(EncryptionChanged):
        PLAIN.open(HERE, sealed_by(new_vault()))


def test_an_older_generation_is_opened_and_not_written_with() -> None:
    old, new = new_generation(), new_generation()
    sealed = sealed_by(Vault({old.id: old.root}, writing=old.id))
    both = Vault({old.id: old.root, new.id: new.root}, writing=new.id)

    assert both.open(HERE, sealed) == FACTS
    with pytest.raises(EncryptionChanged):
        Vault({old.id: old.root}, writing=old.id).open(HERE, sealed_by(both))


def test_a_vault_that_writes_with_no_generation_seals_nothing() -> None:
    assert only_opening().seal(HERE, FACTS) is None


def test_tenants_and_purposes_have_keys_of_their_own() -> None:
    vault = new_vault()
    keys = vault.new_blob_keys("default", b"about")

    assert vault.blob_key("default", keys.generation, keys.wrapped, b"about") == keys.key, "control"
    for tenant, about in (("other", b"about"), ("default", b"another"), ("default:records", b"about")):
        with pytest.raises(Unopened):
            vault.blob_key(tenant, keys.generation, keys.wrapped, about)


def test_a_root_key_is_unwrapped_by_its_own_master_key_and_under_its_own_name() -> None:
    generation, master, other = new_generation(), MasterKey(SECRET), MasterKey(b"x" * KEY_BYTES)
    wrapped = master.wrapped(generation)

    assert master.unwrapped(generation.id, wrapped) == generation
    assert master.fingerprint != other.fingerprint
    with pytest.raises(Unopened):
        other.unwrapped(generation.id, wrapped)
    with pytest.raises(Unopened):
        master.unwrapped(new_generation().id, wrapped)
    for damaged in ("", "!", wrapped[:-8], "A" + wrapped[1:] if wrapped[0] != "A" else "B" + wrapped[1:]):
        with pytest.raises(Unopened):
            master.unwrapped(generation.id, damaged)


def test_nothing_that_holds_a_key_shows_it() -> None:
    generation = new_generation()
    vault = Vault({generation.id: generation.root}, writing=generation.id)
    keys = vault.new_blob_keys("default", b"")

    for shown in (repr(generation), repr(vault), repr(keys), repr(MasterKey(generation.root))):
        for secret in (generation.root, keys.key):
            assert repr(secret)[2:-1] not in shown
            assert secret.hex() not in shown


def test_a_key_is_not_its_own_fingerprint() -> None:
    assert json.dumps(SECRET.hex())[1:17] != MasterKey(SECRET).fingerprint
    assert len(MasterKey(SECRET).fingerprint) == 16
