from pathlib import Path

import pytest
from blobs_suite import BlobsSuite

from handiwork.store.blobs import Blobs
from handiwork.store.encrypted_blobs import EncryptedBlobs
from handiwork.store.local_blobs import LocalBlobs
from sealed_store import new_vault, only_opening


@pytest.fixture(params=["local", "local, encrypted", "local, encrypted no more"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    local = LocalBlobs(tmp_path / "blobs")
    match request.param:
        case "local, encrypted":
            return EncryptedBlobs(local, new_vault())
        case "local, encrypted no more":
            return EncryptedBlobs(local, only_opening())
        case _:
            return local


class TestBlobs(BlobsSuite):
    pass
