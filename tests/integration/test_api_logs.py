"""What a server writes into its log: nothing that users store, name, send or prove themselves with, whatever happens.

The server is a real one in a process of its own with everything logged that can be.
"""

import base64
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from doors import API
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

# What `handiwork serve` does, with every logger at DEBUG; below that uvicorn prints requests as they are.
PROGRAM = """
import logging
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s:%(name)s:%(message)s")
for name in ("handiwork", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "websockets"):
    logging.getLogger(name).setLevel(logging.DEBUG)
from handiwork.__main__ import main
main()
"""
WORD = re.compile(r"CANARY[A-Za-z0-9]*")
LINE = re.compile(r"([\d-]+ [\d:,]+ \w+ [\w.]+|[\w ]+:[\w.]+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loud:
    url: str
    content_url: str
    key: str
    log: Path

    @property
    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines()


@contextlib.contextmanager
def loud_server(folder: Path) -> Generator[Loud]:
    data = folder / "data"
    made = [sys.executable, "-m", "handiwork", "keys", "create", "--kind", "user", "--data", str(data), "--json"]
    key = json.loads(subprocess.run(made, capture_output=True, text=True, timeout=60, check=True).stdout)["key"]
    log = folder / "server.log"
    serve = ["serve", "--data", str(data), "--port", "0", "--content-port", "0", "--json"]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *serve],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert told, log.read_text(encoding="utf-8")
            addresses = json.loads(told)
            yield Loud(url=addresses["url"], content_url=addresses["contentUrl"], key=key, log=log)
        finally:
            process.kill()
            process.communicate(timeout=10)


def words() -> Iterator[str]:
    """Canaries, each another one."""
    count = 0
    while True:
        count += 1
        yield f"CANARY{count:04}x"


@pytest.mark.linux
def test_nothing_that_users_send_is_in_the_log(tmp_path: Path) -> None:
    with loud_server(tmp_path) as server:
        secrets = exercise(server)
        text = server.log.read_text(encoding="utf-8")
    # The control: this server does write, requests and answers among them.
    assert len(text.splitlines()) > 10, text
    assert WORD.findall(text) == []
    assert [secret for secret in secrets if secret in text] == []
    assert [
        line for line in text.splitlines() if not LINE.match(line) and not line.startswith(("  ", "Traceback"))
    ] == []


@pytest.mark.linux
def test_a_path_writes_no_line_and_no_colour_into_the_log(tmp_path: Path) -> None:
    with loud_server(tmp_path) as server:
        for path in ("/%0d%0aINFO:forged:line", "/%1b%5b31mred", "/api/v1/sessions/%0aforged/artifacts", "/%e2%80%a8x"):
            _raw(server.url, f"GET {path} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\nConnection: close\r\n\r\n")
        for path in ("/d/%0d%0aINFO:forged:line", "/d/%1b%5b31mred"):
            _raw(
                server.content_url,
                f"GET {path} HTTP/1.1\r\nHost: {urlsplit(server.content_url).netloc}\r\nConnection: close\r\n\r\n",
            )
        raw = server.log.read_bytes()
    assert b"\x1b" not in raw
    assert b"\r" not in raw
    assert not any(line.startswith((b"INFO:forged", b"forged")) for line in raw.splitlines())


def exercise(server: Loud) -> list[str]:
    """Send a few hundred requests full of canaries, good ones and bad ones; return the secrets among what was sent."""
    word = words()
    secrets = [server.key.split("_")[2]]
    with httpx2.Client(base_url=server.url, headers={"authorization": f"Bearer {server.key}"}, timeout=30) as client:
        for _ in range(8):
            made = _stored(client, word)
            token = client.post(f"{API}/tokens", json={"session": next(word)}).json()["token"]
            link = client.post(f"{API}/artifacts/{made['id']}/links", json={}).json()["url"]
            secrets += [token.rpartition(".")[2], link.rpartition(".")[2]]
            _read(client, word, made)
            _shown(server, link, token, word)
            _refused(client, server, word, made)
        _ran(client, word)
        _followed(server, word)
    return secrets


def _stored(client: httpx2.Client, word: Iterator[str]) -> dict[str, Any]:
    session, form = next(word), {"file": (f"{next(word)}.txt", f"in it {next(word)}")}
    assert client.post(f"{API}/sessions/{session}/artifacts", files=form, data={"title": next(word)}).status_code == 201
    body = {"type": "file", "name": f"{next(word)}.csv", "title": next(word), "content": f"a\n{next(word)}\n"}
    made = client.post(f"{API}/sessions/{session}/artifacts", json=body)
    assert made.status_code == 201, made.text
    return made.json()


def _read(client: httpx2.Client, word: Iterator[str], made: dict[str, Any]) -> None:
    session, path = made["session"], f"{API}/artifacts/{made['id']}"
    listing = f"{API}/sessions/{session}/artifacts"
    for query in ({"q": made["title"]}, {"type": next(word)}, {"cursor": next(word)}, {"limit": next(word)}):
        client.get(listing, params=query)
    for rest in ("", "/content", "/versions", "/thumbnail", f"?session={next(word)}", f"?version={next(word)}"):
        client.get(path + rest)
    client.get(f"{API}/artifacts/{made['handle']}", params={"session": session})
    client.put(f"{path}/hold", json={"held": True})
    assert client.delete(path).status_code == 409
    for damaged in (f"{next(word)}=0-1", "bytes=5-99999999999"):
        client.get(f"{path}/content", headers={"range": damaged, "if-match": f'"{next(word)}"'})
    client.get(f"{API}/sessions")
    client.get(f"{API}/artifacts/{next(word)}", headers={"x-request-id": next(word), "x-handiwork-user": next(word)})
    client.get(f"/{next(word)}", headers={"user-agent": next(word), "referer": next(word), "cookie": next(word)})


def _shown(server: Loud, link: str, token: str, word: Iterator[str]) -> None:
    for address in (link, f"{link}{next(word)}", f"{link}?q={next(word)}", f"{server.content_url}/{next(word)}"):
        httpx2.get(address, headers={"user-agent": next(word)})
    for shown in (token, f"{token}{next(word)}", f"hw_{next(word)}", f"Basic {next(word)}"):
        httpx2.get(f"{server.url}{API}/sessions", headers={"authorization": f"Bearer {shown}"})
    httpx2.get(f"{server.url}{API}/sessions", params={"token": next(word), "key": next(word)})


def _refused(client: httpx2.Client, server: Loud, word: Iterator[str], made: dict[str, Any]) -> None:
    sessions = f"{API}/sessions/{next(word)}"
    bodies = (f'{{"type": "{next(word)}"', f'{{"{next(word)}": 1}}', f'["{next(word)}"]', '{"type": "\\ud800"}', "\xff")
    for body in bodies:
        for rest in ("/artifacts", "/executions"):
            client.post(sessions + rest, content=body.encode("latin-1"), headers={"content-type": "application/json"})
        client.post(f"{API}/tokens", content=body.encode("latin-1"), headers={"content-type": "text/plain"})
    client.post(f"{sessions}/artifacts", json={"type": next(word), "content": next(word)})
    client.post(f"{sessions}/artifacts", json={"type": "file", "content": next(word), "encoding": "base64"})
    client.post(
        f"{sessions}/artifacts", content=next(word), headers={"content-type": "multipart/form-data; boundary=x"}
    )
    gzip = {"content-type": "application/json", "content-encoding": "gzip"}
    client.post(f"{sessions}/executions", content=next(word), headers=gzip)
    client.post(f"{sessions}/executions", json={"code": "1", "inputs": [made["id"], next(word)]})
    client.get(f"{API}/sessions", headers={"host": f"{next(word)}.example", "origin": f"https://{next(word)}.example"})
    client.delete(f"{API}/users/{next(word)}")
    client.request(f"X{next(word)}", f"{API}/sessions")
    _raw(server.url, f"GET /{next(word)} HTTP/9.9\r\n{next(word)}\r\n\r\n")
    _raw(server.url, f"POST /{next(word)} HTTP/1.1\r\nHost: x\r\nContent-Length: {next(word)}\r\n\r\n")


def _ran(client: httpx2.Client, word: Iterator[str]) -> None:
    programs = (
        f"print('{next(word)}'); open('{next(word)}.txt', 'w').write('{next(word)}')",
        f"raise ValueError('{next(word)}')",
        f"import {next(word)}",
        f"'{next(word)}",
        f"import os; os.symlink('/etc/passwd', '{next(word)}.png')",
    )
    for code in programs:
        order = {"code": code, "name": f"{next(word)}.py"}
        answer = client.post(f"{API}/sessions/{next(word)}/executions", json=order, params={"files": "base64"})
        assert answer.status_code == 200, answer.text


def _followed(server: Loud, word: Iterator[str]) -> None:
    url = f"{server.url.replace('http', 'ws', 1)}{API}/sessions/{next(word)}/ws"
    told = base64.b64encode(next(word).encode()).decode().rstrip("=")
    for shown in (server.key, next(word), told):
        offered = [Subprotocol(f"bearer.{shown}"), Subprotocol("handiwork")]
        with contextlib.suppress(WebSocketException), connect(f"{url}?after={next(word)}", subprotocols=offered) as end:
            end.send(next(word))
            end.recv(timeout=5)


def _raw(url: str, said: str) -> bytes:
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port or http.client.HTTP_PORT), timeout=5) as end:
        end.sendall(said.encode("latin-1"))
        end.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := end.recv(65536):
            answer += piece
        return answer
