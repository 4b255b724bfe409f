"""Vaults and settings for a store that is encrypted, with keys that are made for it.

How a vault is opened from a database is tested in `unit/store/test_store_sql_vault.py`.
"""

from pathlib import Path

from handiwork.settings import Artifacts, Encryption, Settings, Storage
from handiwork.store.key_file import make_key
from handiwork.store.vault import Vault, new_generation


def new_vault() -> Vault:
    generation = new_generation()
    return Vault({generation.id: generation.root}, writing=generation.id)


def only_opening() -> Vault:
    """The vault of a store whose encryption was turned off."""
    generation = new_generation()
    return Vault({generation.id: generation.root}, writing=None)


def new_key(path: Path) -> Path:
    """Write a key into a new file, and return its path."""
    make_key(path)
    return path


def encrypted(key_file: Path | None, *previous: Path, is_enabled: bool = True) -> Settings:
    """Return settings with the key of a file; None is no encryption at all."""
    chosen = Encryption(enabled=is_enabled and key_file is not None, key_file=key_file, previous=previous)
    storage = Storage(encryption=chosen, cleanup_enabled=False, reserve=1 << 20)
    return Settings(artifacts=Artifacts(storage=storage, isolation="none"))
