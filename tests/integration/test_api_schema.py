"""The OpenAPI document tells the truth: schemathesis calls every operation as it is written there, and beside it.

The server is a process of its own, so that what breaks it is seen as clients see it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from doors import listening_server

# Each holds for all that is sent. Left out is what would demand that the document tells more than it can: a name, an
# amount of time or a program may be refused for reasons that no schema has a word for.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
)
PHASES = ("examples", "coverage", "fuzzing", "stateful")
SETTINGS = """
max-stream-events = 1
[generation]
database = "none"
# What a route does not know in a query or a header, it leaves alone.
allow-extra-parameters = false
[phases.stateful]
max-steps = 8
"""


def fuzzed(folder: Path, *, examples: int, seed: int) -> str:
    """Let schemathesis loose on a server of its own; return what it says, after requiring that all is well."""
    data = folder / "data"
    data.mkdir()
    key = json.loads(_handiwork("keys", "create", "--kind", "admin", "--data", str(data), "--json"))["key"]
    (folder / "schemathesis.toml").write_text(SETTINGS, encoding="utf-8")
    document = folder / "openapi.json"
    with listening_server(data, HANDIWORK_ARTIFACTS__EXECUTION_TIMEOUT="1") as server:
        document.write_text(json.dumps(_without_user(httpx2.get(f"{server.url}/openapi.json").json())))
        told = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", server.url),
                *("--header", f"Authorization: Bearer {key}", "--header", "X-Handiwork-User: ada"),
                *("--checks", ",".join(CHECKS), "--phases", ",".join(PHASES)),
                *("--max-examples", str(examples), "--seed", str(seed)),
                *("--no-shrink", "--no-color", "--continue-on-failure"),
                *("--suppress-health-check", "all", "--request-timeout", "20", "--warnings", "off"),
            ],
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=300,
        )
        assert told.returncode == 0, told.stdout[-8000:] + told.stderr[-2000:]
        assert httpx2.get(f"{server.url}/readyz").json()["ok"]
    return told.stdout


def _without_user(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the header that is sent with all requests, since nothing else is to be tried for it."""
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        kept = [each for each in operation.get("parameters", ()) if each["name"] != "x-handiwork-user"]
        operation["parameters"] = kept
    return document


def _handiwork(*arguments: str) -> str:
    command = [sys.executable, "-m", "handiwork", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.linux
@pytest.mark.timeout(300)
def test_every_operation_answers_as_the_document_says(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    examples = 8 if pytestconfig.getoption("--run-all") else 1
    said = fuzzed(tmp_path, examples=examples, seed=20)
    assert all(f"✅ {phase.capitalize()}" in " ".join(said.split()) for phase in PHASES), said[-3000:]
