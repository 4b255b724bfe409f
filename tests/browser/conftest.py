"""A real server, a real browser, and a page that must never break the rules it was sent with.

`GALLERY_URL` names a server that runs already; `GALLERY_PICTURES` a folder that keeps the pictures.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, async_playwright, expect
from view_stage import Show

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIEW_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    # A browser that keeps pages from this machine would make the walls of the page look better than they are.
    "--disable-features=LocalNetworkAccessChecks",
)
# Under this one a browser does not connect ahead of demand, and what would be heard is not.
NOT_VIEW_FLAGS = ("--disable-background-networking",)
START_SECONDS = 30.0

expect.set_options(timeout=5000)


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server answers that is open to this machine."""
    if given := os.environ.get("GALLERY_URL"):
        yield given.rstrip("/")
        return
    handiwork = [sys.executable, "-m", "handiwork"]
    if subprocess.run([*handiwork, "serve", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("there is no `handiwork serve`; GALLERY_URL can name another server")
    folder = tmp_path_factory.mktemp("gallery")
    port, content_port = _free_port(), _free_port()
    ports = ["--port", str(port), "--content-port", str(content_port)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*handiwork, "serve", *ports, "--data", str(folder / "data")], stdout=log, stderr=log)
    try:
        _wait_until_ready(server, f"http://127.0.0.1:{port}/readyz", log=folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=15)


@pytest.fixture
def session() -> str:
    """The name of a session that nobody has used."""
    return f"browser-{secrets.token_hex(4)}"


@pytest_asyncio.fixture(loop_scope="module")
async def client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{url}/api/v1", timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def make(client: httpx2.AsyncClient, session: str) -> Callable[[str], Awaitable[None]]:
    """Runs a program in the session, to its end."""

    async def make(code: str) -> None:
        answer = await client.post(f"/sessions/{session}/executions", json={"code": code})
        assert answer.is_success, answer.text
        assert answer.json()["status"] == "succeeded", answer.text

    return make


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page of a fresh profile. No test may end with an uncaught error or a breach of the content policy."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = await context.new_page()
    faults: list[str] = []

    def thrown(error: Error) -> None:
        faults.append(str(error))

    def said(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            faults.append(message.text)

    page.on("pageerror", thrown)
    page.on("console", said)
    yield page
    await context.close()
    assert faults == []


@pytest.fixture
def keep(tmp_path: Path, page: Page) -> Callable[[str], Awaitable[None]]:
    """Keeps a picture of the page under a name."""
    folder = Path(os.environ.get("GALLERY_PICTURES", tmp_path))

    async def keep(name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=folder / f"{name}.png")

    return keep


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def context(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """A browser as a person has it: with a profile, and connecting ahead of demand."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            args=VIEW_FLAGS,
            ignore_default_args=list(NOT_VIEW_FLAGS),
            viewport={"width": 1100, "height": 720},
        )
        yield context
        await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def tab(context: BrowserContext) -> AsyncIterator[Page]:
    page = await context.new_page()
    yield page
    for each in context.pages:
        if each is not context.pages[0]:
            await each.close()


@pytest.fixture
def show(client: httpx2.AsyncClient, session: str) -> Show:
    """Stores content as an artifact, and returns the address of its view page."""

    async def show(type: str, content: str, title: str) -> str:
        made = await client.post(
            f"/sessions/{session}/artifacts", json={"type": type, "title": title, "content": content}
        )
        assert made.status_code == 201, made.text
        answer = await client.get(f"/artifacts/{made.json()['id']}/view")
        assert answer.status_code == 307, answer.text
        return answer.headers["location"]

    return show


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_ready(server: subprocess.Popen[bytes], address: str, *, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx2.Client(timeout=2, trust_env=False) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                if client.get(address).is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.1)
    server.kill()
    pytest.fail(f"the server did not become ready:\n{log.read_text(errors='replace')}")
