"""The command `serve`: what it says, and when it refuses to start."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from doors import bearer, listening_server

from handiwork.cli.app import start

SERVE = (sys.executable, "-m", "handiwork", "serve")


def refused(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int) -> Any:
    """The error of a server that does not start."""
    assert start(["serve", "--port", "0", "--content-port", "0", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)["error"]


def key(data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert start(["keys", "create", "--kind", "user", "--data", str(data), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["key"]


def test_it_prints_its_addresses_the_access_and_the_isolation(tmp_path: Path) -> None:
    words = [*SERVE, "--data", str(tmp_path / "store"), "--port", "0", "--content-port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            assert process.stdout is not None
            said = ""
            while "isolation" not in said:
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                said += line
            found = re.search(r"gallery +(http://127\.0\.0\.1:\d+)/\n", said)
            assert found, said
            assert httpx2.get(found[1]).status_code == 200
            assert re.search(r"API +http://127\.0\.0\.1:\d+/api/v1\n", said)
            assert re.search(r"content +http://127\.0\.0\.1:\d+\n", said)
            assert "open to everybody on this machine" in said
            assert re.search(r"isolation (full|unprivileged), memory bounded by", said)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_with_json_it_prints_one_line(tmp_path: Path) -> None:
    with listening_server(tmp_path) as server:
        assert httpx2.get(f"{server.url}/healthz").json() == {"ok": True}


def test_once_there_is_a_key_it_asks_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = key(tmp_path, capsys)
    with listening_server(tmp_path) as server:
        sessions = f"{server.url}/api/v1/sessions"
        assert httpx2.get(sessions).status_code == 401
        assert httpx2.get(sessions, headers=bearer(made)).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_where_others_can_reach_it_it_needs_a_key(
    tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    error = refused(["--data", str(tmp_path), "--host", host], capsys, code=2)
    assert error["code"] == "keys_needed"
    assert "handiwork keys create" in error["hint"]


@pytest.mark.parametrize(
    "server",
    [
        "{public_url: 'https://app.example.com'}",
        "{content_url: 'https://c.example'}",
        "{allowed_hosts: [app.example]}",
        "{cors: ['https://pages.example']}",
    ],
)
def test_behind_a_proxy_on_this_machine_it_needs_a_key_too(
    tmp_path: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(f"server: {server}")
    words = ["--data", str(tmp_path), "--config", str(tmp_path / "c.yaml")]
    assert refused(words, capsys, code=2)["code"] == "keys_needed"


def test_where_others_can_reach_it_isolation_cannot_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key(tmp_path, capsys)
    (tmp_path / "c.yaml").write_text("artifacts: {isolation: none}")
    words = ["--data", str(tmp_path), "--config", str(tmp_path / "c.yaml"), "--host", "0.0.0.0"]
    error = refused(words, capsys, code=2)
    assert (error["code"], "artifacts.isolation" in error["message"]) == ("invalid_setting", True)


@pytest.mark.linux
def test_with_a_key_and_a_written_level_it_starts_where_others_can_reach_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = key(tmp_path, capsys)
    (tmp_path / "c.yaml").write_text("artifacts: {isolation: unprivileged}\nserver: {allowed_hosts: [app.example]}")
    with listening_server(tmp_path, "--host", "0.0.0.0", "--config", "c.yaml") as server:
        sessions = f"{server.url}/api/v1/sessions"
        assert httpx2.get(sessions).status_code == 401
        for host, status in (("app.example", 200), ("other.example", 421)):
            assert httpx2.get(sessions, headers=bearer(made) | {"host": host}).status_code == status


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert start(["serve", "--data", str(tmp_path), "--port", port, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "address_unusable"
    assert error["message"] == f"Port {port} of `127.0.0.1` cannot be used: another program has it."
    assert not list(tmp_path.iterdir())


def test_a_wrong_configuration_is_said_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("server:\n  cors: ['*']\n")
    error = refused(["--data", str(tmp_path), "--config", str(tmp_path / "c.yaml")], capsys, code=2)
    assert error["code"] == "invalid_setting"
    assert "server.cors" in error["message"]
    missing = refused(["--config", str(tmp_path / "none.yaml")], capsys, code=2)
    assert "none.yaml" in missing["message"]


def test_two_servers_share_a_folder(tmp_path: Path) -> None:
    with listening_server(tmp_path) as one, listening_server(tmp_path) as other:
        body = {"code": "open('a.txt', 'w').write('a')"}
        made = httpx2.post(f"{one.url}/api/v1/sessions/s/executions", json=body, timeout=30).json()
        assert httpx2.get(f"{other.url}{made['links']['self']}").json()["status"] == "succeeded"
