from pathlib import Path

import pytest
from blobs_suite import BlobsSuite

from handiwork.store.blobs import Blobs
from handiwork.store.local_blobs import LocalBlobs


@pytest.fixture(params=["local"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    assert request.param == "local"
    return LocalBlobs(tmp_path / "blobs")


class TestBlobs(BlobsSuite):
    pass
