"""What drawings, prose and tables may try, each thing by itself: none of it is heard of, and every control is.

Pages with script of their own are in `test_views`.
"""

from collections.abc import Callable, Mapping

import pytest
from markdown_it import MarkdownIt
from playwright.async_api import Page, expect
from view_stage import PATIENCE_SECONDS, QUIET_SECONDS, Show, collecting, opened, staged

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_HTML = 'xmlns="http://www.w3.org/1999/xhtml"'
DRAWINGS: Mapping[str, str] = {
    "script": "<script>fetch('AT')</script>",
    "script elsewhere": '<script href="AT/a.js"/>',
    "script elsewhere by the old name": '<script xlink:href="AT/a.js"/>',
    "event": "<svg onload=\"fetch('AT')\"/>",
    "event of an animation": '<rect><animate onbegin="fetch(\'AT\')" attributeName="x" dur="1s"/></rect>',
    "image": '<image href="AT/a.png" width="9" height="9"/>',
    "image by the old name": '<image xlink:href="AT/a.png" width="9" height="9"/>',
    "image that is set": '<image width="9" height="9"><set attributeName="href" to="AT/a.png"/></image>',
    "image of a filter": (
        '<filter id="f"><feImage href="AT/a.png"/></filter><rect width="9" height="9" filter="url(#f)"/>'
    ),
    "style import": '<style>@import url("AT/a.css");</style>',
    "style": "<style>rect { mask-image: url('AT/a.png') }</style><rect width='9' height='9'/>",
    "font": (
        "<style>@font-face { font-family: f; src: url('AT/a.woff2') } text { font-family: f }</style>"
        "<text y='9'>x</text>"
    ),
    "HTML image": f'<foreignObject width="50" height="50"><img {IN_HTML} src="AT/a.png"/></foreignObject>',
    "HTML script": f"<foreignObject width='50' height='50'><script {IN_HTML}>fetch('AT')</script></foreignObject>",
    "HTML frame": f'<foreignObject width="50" height="50"><iframe {IN_HTML} src="AT"/></foreignObject>',
    "HTML refresh": f'<foreignObject><meta {IN_HTML} http-equiv="refresh" content="0; url=AT"/></foreignObject>',
    "HTML preconnect": f'<foreignObject><link {IN_HTML} rel="preconnect" href="AT"/></foreignObject>',
    "HTML style sheet": f'<foreignObject><link {IN_HTML} rel="stylesheet" href="AT/a.css"/></foreignObject>',
    "link": '<a href="AT"><rect id="go" width="90" height="90"/></a>',
    "link that is set": '<a><set attributeName="href" to="AT"/><rect id="go" width="90" height="90"/></a>',
}
PROSE: Mapping[str, str] = {
    "picture": "![a picture](AT/a.png)",
    "picture by reference": "![a picture][r]\n\n[r]: AT/a.png",
    "link": "[Go](AT)",
    "link of its own": "<AT>",
    "link that is script": "[Go](javascript:fetch('AT'))",
    "link that hides script": "[Go](JaVaScRiPt&colon;fetch('AT'))",
    "script": "<script>fetch('AT')</script>",
    "picture in HTML": '<img src="AT/a.png">',
    "picture with an event": "<img src=x onerror=\"fetch('AT')\">",
    "drawing": "<svg onload=\"fetch('AT')\"></svg>",
    "frame": "<iframe srcdoc=\"<img src='AT/a.png'>\"></iframe>",
    "refresh": '<meta http-equiv="refresh" content="0; url=AT">',
    "preconnect": '<link rel="preconnect" href="AT">',
    "style": '<style>@import url("AT/a.css");</style>',
    "style of an element": "<p style=\"background: url('AT/a.png')\">x</p>",
    "base": '<base href="AT/">\n<img src="a.png">',
    "form": '<form action="AT"><button id="go">Go</button></form>',
    "details": "<details open ontoggle=\"fetch('AT')\">x</details>",
}
TABLES: Mapping[str, str] = {
    "out of its cell": "a\n</td></table><img src=AT/a.png>\n",
    "script": "a\n<script>fetch('AT')</script>\n",
    "out of its head": "</th><img src=AT/a.png>\n1\n",
}
FORMULAS = ["=1+1", "=HYPERLINK(AT)", "=WEBSERVICE(AT)", "=IMPORTXML(AT;1)", "+1|2", "-2+3", "@SUM(1)", "\t=1", "|cmd"]


def careless(text: str) -> str:
    """Markdown as somebody renders it who trusts it."""
    reader = MarkdownIt("commonmark", {"html": True})
    reader.validateLink = lambda url: True
    return reader.render(text)


def careless_table(text: str) -> str:
    head, cell, _ = text.split("\n")
    return f"<table><tr><th>{head}</th></tr><tr><td>{cell}</td></tr></table>"


def as_it_is(content: str) -> str:
    return content


async def assert_inert(
    tab: Page,
    show: Show,
    type: str,
    content: str,
    *,
    control: Callable[[str], str] = as_it_is,
    media_type: str = "text/html",
) -> None:
    """What is shown is not heard of, also when it is clicked on; its control, as a plain page, is."""
    async with collecting() as collector, staged(control(collector.aimed(content)), media_type) as plain:
        await opened(tab, plain, None)
        # Unheard yet: the user is lured to something.
        if not await collector.hear(QUIET_SECONDS) and await (lure := tab.locator("#go, a").first).count():
            await lure.click(no_wait_after=True)
        assert await collector.hear(PATIENCE_SECONDS), "the control is not heard, so silence would prove nothing"
    tab = await tab.context.new_page()
    async with collecting() as collector:
        address = await show(type, collector.aimed(content), "Innocent")
        await tab.goto(address)
        frame = tab.frame_locator("iframe")
        for each in await frame.locator("a, #go, img").all():
            await each.click()
        assert await collector.hear(QUIET_SECONDS) == []
        assert await frame.locator("body").count() == 1
    assert (tab.url, len(tab.context.pages)) == (address, 3)


@pytest.mark.parametrize("name", DRAWINGS)
async def test_a_drawing_reaches_nothing(name: str, tab: Page, show: Show) -> None:
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    drawing = f'<svg {names} width="90" height="90">{DRAWINGS[name]}</svg>'
    await assert_inert(tab, show, "svg", drawing, media_type="image/svg+xml")


async def test_a_style_sheet_of_a_drawing_reaches_nothing(tab: Page, show: Show) -> None:
    drawing = '<?xml-stylesheet href="AT/a.css"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    await assert_inert(tab, show, "svg", drawing, media_type="image/svg+xml")


@pytest.mark.parametrize("name", PROSE)
async def test_prose_reaches_nothing(name: str, tab: Page, show: Show) -> None:
    text = f"# Innocent\n\n{PROSE[name]}\n"
    await assert_inert(tab, show, "markdown", text, control=careless)


@pytest.mark.parametrize("name", TABLES)
async def test_a_table_reaches_nothing(name: str, tab: Page, show: Show) -> None:
    await assert_inert(tab, show, "csv", TABLES[name], control=careless_table)


async def test_formulas_of_a_table_are_shown_as_what_they_are(tab: Page, show: Show) -> None:
    table = "id,formula\n" + "".join(f"{n},{formula}\n" for n, formula in enumerate(FORMULAS))
    await tab.goto(await show("csv", table, "Formulas"))
    frame = tab.frame_locator("iframe")
    for formula in FORMULAS:
        cell = frame.get_by_role("cell", name=formula.strip(), exact=True).first
        await expect(cell).to_have_text(formula.strip())
        assert await cell.locator("*").count() == 0
    assert await frame.locator("a").count() == 0


async def test_a_page_gets_no_service_worker(tab: Page, show: Show) -> None:
    page = """<script>
    (async () => navigator.serviceWorker.register("/w.js"))().catch((e) => console.log(`refused ${e.name}`))
    </script>"""
    async with collecting() as collector, staged(page, script=collector.aimed("fetch('AT')")) as plain:
        await opened(tab, plain, None)
        assert await collector.hear(PATIENCE_SECONDS), "the control is not heard, so silence would prove nothing"
    tab = await tab.context.new_page()
    address = await show("html-sandboxed", page, "Innocent")
    async with tab.expect_console_message(lambda message: message.text == "refused SecurityError"):
        await tab.goto(address)
