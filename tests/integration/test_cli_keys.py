"""The commands on keys, against a real store."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from doors import API, bearer, open_server

from handiwork.cli.app import start


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(words: list[str], capsys: pytest.CaptureFixture[str], *, code: int = 0) -> Any:
    assert start(["keys", *words, "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def test_a_key_is_printed_alone_and_what_is_to_be_known_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert start(["keys", "create", "--kind", "user", "--name", "laptop", "--expires-in", "30d"]) == 0
    captured = capsys.readouterr()
    key = captured.out.strip()
    assert key.startswith("hw_")
    assert captured.out == f"{key}\n"
    assert "shown this once" in captured.err
    assert "user local" in captured.err
    assert key not in captured.err
    secret = key.split("_")[2]
    assert start(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert "laptop" in listed
    assert "valid until" in listed
    assert secret not in listed
    assert secret not in json.dumps(printed(["list"], capsys))


def test_a_key_opens_a_server_until_it_is_revoked(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    made = printed(["create", "--kind", "agent", "--user", "ada", "--session", "s"], capsys)
    assert (made["kind"], made["user"], made["session"], made["valid"]) == ("agent", "ada", "s", True)
    assert "admin" not in made["permissions"]

    async def status() -> int:
        async with open_server(folder / ".handiwork") as door:
            return (await door.client.get(f"{API}/sessions", headers=bearer(made["key"]))).status_code

    assert asyncio.run(status()) == 200
    assert printed(["revoke", made["id"]], capsys)["revoked"]["valid"] is False
    assert asyncio.run(status()) == 401


def test_an_admin_is_for_a_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    made = printed(["create", "--kind", "admin", "--tenant", "acme"], capsys)
    assert (made["tenant"], made["user"], made["session"]) == ("acme", None, None)
    assert "admin" in made["permissions"]
    assert printed(["list"], capsys)["items"] == []
    (listed,) = printed(["list", "--tenant", "acme"], capsys)["items"]
    assert listed["id"] == made["id"]
    assert printed(["revoke", made["id"]], capsys, code=4)["error"]["code"] == "key_not_found"
    assert printed(["revoke", made["id"], "--tenant", "acme"], capsys)["revoked"]["id"] == made["id"]


def test_permissions_are_those_that_were_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["create", "--kind", "user", "--permission", "artifact:read", "--permission", "link:create"]
    assert printed(words, capsys)["permissions"] == ["artifact:read", "link:create"]
    error = printed(["create", "--kind", "user", "--permission", "admin"], capsys, code=1)["error"]
    assert error["code"] == "invalid_name"
    assert "artifact:read" in error["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["--kind", "agent"],
        ["--kind", "admin", "--user", "ada"],
        ["--kind", "robot"],
        [],
        ["--kind", "user", "--expires-in", "soon"],
        ["--kind", "user", "--expires-in", "0"],
    ],
)
def test_a_key_that_cannot_be_is_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(["create", *words], capsys, code=2)["error"]["message"]
    assert printed(["list"], capsys)["items"] == []


@pytest.mark.parametrize("words", [["--user", ""], ["--name", "a\nb"], ["--tenant", "\x1b"], ["--permission", "all"]])
def test_a_name_that_cannot_be_makes_no_key(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    error = printed(["create", "--kind", "user", *words], capsys, code=1)["error"]
    assert error["code"] == "invalid_name"
    assert printed(["list"], capsys)["items"] == []


def test_the_newest_key_is_listed_first_and_all_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (printed(["create", "--kind", "user", "--name", n], capsys) for n in ("first", "second"))
    printed(["revoke", second["id"]], capsys)
    listed = printed(["list"], capsys)["items"]
    assert [each["name"] for each in listed] == ["second", "first"]
    assert [each["revokedAt"] is None for each in listed] == [False, True]
    assert start(["keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert first["id"] in {each["id"] for each in listed}


def test_a_whole_key_can_be_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    made = printed(["create", "--kind", "user"], capsys)
    assert printed(["revoke", made["key"]], capsys)["revoked"]["id"] == made["id"]


def test_where_there_is_no_store_no_key_is_found_and_none_is_made(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert printed(["list"], capsys)["items"] == []
    assert printed(["revoke", "0000000000"], capsys, code=4)["error"]["code"] == "store_not_found"
    assert not list(folder.iterdir())
    assert start(["keys", "list"]) == 0
    assert "There is no store" in capsys.readouterr().err
