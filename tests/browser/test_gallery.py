"""What a person sees and does in the gallery, against a real server in a real browser."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Locator, Page, Request, Route, WebSocketRoute, expect

pytestmark = pytest.mark.asyncio(loop_scope="module")

Make = Callable[[str], Awaitable[None]]
Keep = Callable[[str], Awaitable[None]]

LISTS = "**/api/v1/sessions/*/artifacts?*"
SEA = "from PIL import Image; Image.new('RGB', (640, 400), 'teal').save('sea.png')"


def text_file(name: str, text: str = "hello") -> str:
    return f"open({name!r}, 'w').write({text!r})"


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("button", name=title, exact=True))


async def look(page: Page, url: str, session: str) -> None:
    await page.goto(f"{url}/#session={session}")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()


async def test_what_a_session_made_is_shown_newest_first(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("first.txt"))
    await make(text_file("second.md", "# Second\n"))
    await look(page, url, session)
    await expect(page.locator("#shelf .open")).to_have_text(["second.md", "first.txt"])
    await expect(card(page, "first.txt")).to_contain_text("5 bytes")
    await expect(page).to_have_title(f"{session} · Handiwork")


async def test_a_picture_is_on_its_card(url: str, session: str, page: Page, make: Make, keep: Keep) -> None:
    await make(SEA)
    await look(page, url, session)
    await expect(card(page, "sea.png").locator(".thumbnail")).to_be_visible()
    await keep("thumbnail")


async def test_at_most_four_thumbnails_are_fetched_at_once(url: str, session: str, page: Page, make: Make) -> None:
    await make("for i in range(9): open(f'{i}.txt', 'w').write(str(i))")
    asked: list[Route] = []

    async def with_pictures(route: Route) -> None:
        response = await route.fetch()
        body = await response.json()
        for i, item in enumerate(body["items"]):
            item["links"]["thumbnail"] = f"/pictures/{i}"
        await route.fulfill(response=response, json=body)

    await page.route(LISTS, with_pictures)
    await page.route("**/pictures/*", lambda route: asked.append(route))
    await look(page, url, session)
    await expect(page.locator("#shelf .card")).to_have_count(9)
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert len(asked) == 4
    async with page.expect_request("**/pictures/4"):
        await asked[0].fulfill(status=404)
    for route in asked[1:]:
        await route.abort()


async def test_enter_opens_a_preview_and_escape_leads_back(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("notes.md", "# Notes\n\n- one\n"))
    await look(page, url, session)
    await page.get_by_role("button", name="notes.md", exact=True).focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="notes.md")
    await expect(dialog.get_by_text("- one")).to_be_visible()
    await expect(dialog.get_by_text("text/markdown", exact=True)).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_role("button", name="notes.md", exact=True)).to_be_focused()


async def test_arrow_keys_lead_to_the_artifact_beside(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("older.txt"))
    await make(text_file("newer.txt"))
    await look(page, url, session)
    await page.get_by_role("button", name="newer.txt", exact=True).click()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog", name="older.txt")).to_be_visible()
    await expect(page.get_by_role("button", name="Older artifact")).to_be_disabled()
    await page.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("button", name="older.txt", exact=True)).to_be_focused()


async def test_a_table_shows_its_first_200_rows(url: str, session: str, page: Page, make: Make, keep: Keep) -> None:
    rows = ['place,"wind, gusts"', *(f'"Field ""{i}""",{i}.5' for i in range(300))]
    await make(text_file("wind.csv", "\n".join(rows)))
    await look(page, url, session)
    await page.get_by_role("button", name="wind.csv", exact=True).click()
    table = page.get_by_role("table")
    await expect(table.get_by_role("columnheader")).to_have_text(["place", "wind, gusts"])
    await expect(table.locator("tbody tr")).to_have_count(200)
    await expect(table.locator("tbody tr").first).to_have_text('Field "0"0.5')
    await expect(page.get_by_text("The first 200 rows.")).to_be_visible()
    await keep("table")


async def test_a_long_text_is_shown_by_its_first_64_kb(url: str, session: str, page: Page, make: Make) -> None:
    await make("open('long.txt', 'w').write('0123456789abcdef\\n' * 10_000)")
    await look(page, url, session)
    async with page.expect_response("**/content*") as answered:
        await page.get_by_role("button", name="long.txt", exact=True).click()
    assert (await answered.value).status == 206
    await expect(page.get_by_text("The first 64 KB of 166 KB.")).to_be_visible()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_has_a_type_is_shown_by_its_view_page(
    url: str, session: str, page: Page, client: httpx2.AsyncClient, keep: Keep, host: str
) -> None:
    texts = {
        "markdown": ("# Plan\n\nOne **bold** step.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n", "Plan"),
        "html-sandboxed": ("<h1>Board</h1><script>document.body.append('It runs.')</script>", "It runs."),
    }
    for type_, (content, _shown) in texts.items():
        body = {"type": type_, "title": f"A {type_}", "content": content}
        assert (await client.post(f"/sessions/{session}/artifacts", json=body)).status_code == 201
    await look(page, url.replace("127.0.0.1", host), session)
    for type_, (_content, shown) in texts.items():
        await page.get_by_role("button", name=f"A {type_}", exact=True).click()
        outer = page.frame_locator("#stage iframe")
        await expect(outer.frame_locator("iframe").get_by_text(shown)).to_be_visible()
        # Its title and its buttons are in the dialog.
        await expect(outer.get_by_role("link", name="Download")).to_be_hidden()
        await expect(page.get_by_role("button", name="Open in a new tab")).to_be_visible()
        await keep(f"view-of-{type_}")
        await page.get_by_role("button", name="Close").click()


async def test_html_is_shown_as_its_source_and_does_not_run(url: str, session: str, page: Page, make: Make) -> None:
    source = "<!doctype html><title>x</title><script>parent.document.title = 'owned'</script><h1>Board</h1>"
    await make(text_file("board.html", source))
    await look(page, url, session)
    await page.get_by_role("button", name="board.html", exact=True).click()
    await expect(page.locator("#stage pre")).to_have_text(source)
    await expect(page.locator("#stage h1")).to_have_count(0)
    await expect(page).to_have_title(f"{session} · Handiwork")


async def test_an_svg_is_drawn_as_an_image_and_does_not_run(url: str, session: str, page: Page, make: Make) -> None:
    script = "<script>parent.document.title = 'owned'</script>"
    svg = f"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='60'>{script}<rect width='90' height='60'/></svg>"
    await make(text_file("plan.svg", svg))
    await look(page, url, session)
    await page.get_by_role("button", name="plan.svg", exact=True).click()
    image = page.get_by_role("dialog").get_by_role("img", name="plan.svg")
    await expect(image).to_be_visible()
    assert await image.evaluate("(image) => image.naturalWidth") == 90
    await expect(page.locator("#stage svg")).to_have_count(0)
    await expect(page).to_have_title(f"{session} · Handiwork")


async def test_hostile_titles_and_names_are_text(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("harmless.txt"))
    hostile = "<img src=x onerror=\"document.title='owned'\">"

    async def with_hostile_words(route: Route) -> None:
        response = await route.fetch()
        body = await response.json()
        body["items"][0] |= {"title": hostile, "handle": hostile}
        body["items"][0]["version"] |= {"name": f"{hostile}.txt", "summary": hostile}
        await route.fulfill(response=response, json=body)

    await page.route(LISTS, with_hostile_words)
    await look(page, url, session)
    await page.get_by_role("button", name=hostile, exact=True).click()
    await expect(page.get_by_role("dialog", name=hostile)).to_be_visible()
    assert await page.locator("img[src=x]").count() == 0
    await expect(page).to_have_title(f"{session} · Handiwork")


async def test_a_download_is_the_very_bytes(url: str, session: str, page: Page, make: Make, tmp_path: Path) -> None:
    await make(text_file("letter.txt", "Dear Bo,\n"))
    await look(page, url, session)
    await card(page, "letter.txt").hover()
    async with page.expect_download() as started:
        await page.get_by_role("button", name="Download letter.txt").click()
    download = await started.value
    await download.save_as(tmp_path / "saved")
    assert download.suggested_filename == "letter.txt"
    assert (tmp_path / "saved").read_bytes() == b"Dear Bo,\n"


async def test_a_new_artifact_appears_by_itself(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("before.txt"))
    await look(page, url, session)
    await make(text_file("after.txt"))
    await expect(page.locator("#shelf .open")).to_have_text(["after.txt", "before.txt"])


async def test_a_running_program_is_shown_until_it_ends(
    url: str, session: str, page: Page, make: Make, client: httpx2.AsyncClient, keep: Keep
) -> None:
    await make(text_file("before.txt"))
    await look(page, url, session)
    slow = f"import time; time.sleep(2); {text_file('late.txt')}"
    await client.post(f"/sessions/{session}/executions", json={"code": slow, "wait": False})
    await expect(page.get_by_text("A program is running")).to_be_visible()
    await keep("running")
    await page.reload()
    await expect(page.get_by_text("A program is running")).to_be_visible()
    await expect(card(page, "late.txt")).to_be_visible(timeout=15_000)
    await expect(page.get_by_text("A program is running")).to_be_hidden()


async def test_a_failed_run_is_said(url: str, session: str, page: Page, make: Make, client: httpx2.AsyncClient) -> None:
    await make(text_file("before.txt"))
    await look(page, url, session)
    await client.post(f"/sessions/{session}/executions", json={"code": "1 / 0"})
    await expect(page.locator("#toast")).to_have_text("A run ended: failed")


async def test_what_is_deleted_leaves(
    url: str, session: str, page: Page, make: Make, client: httpx2.AsyncClient
) -> None:
    await make(text_file("kept.txt"))
    await make(text_file("gone.txt"))
    await look(page, url, session)
    await page.get_by_role("button", name="gone.txt", exact=True).click()
    listed = (await client.get(f"/sessions/{session}/artifacts")).json()["items"]
    doomed = next(item["id"] for item in listed if item["version"]["name"] == "gone.txt")
    await client.delete(f"/artifacts/{doomed}")
    await expect(page.locator("#shelf .open")).to_have_text(["kept.txt"])
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_a_search_narrows_the_list_and_can_be_cleared(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("apples.txt"))
    await make(text_file("pears.txt"))
    await look(page, url, session)
    await page.get_by_label("Search artifacts").fill("apple")
    await expect(page.locator("#shelf .open")).to_have_text(["apples.txt"])
    await page.get_by_label("Search artifacts").fill("plums")
    await expect(page.get_by_role("heading", name="No match")).to_be_visible()
    await page.get_by_role("button", name="Show everything").click()
    await expect(page.locator("#shelf .open")).to_have_text(["pears.txt", "apples.txt"])


async def test_a_category_shows_only_its_own(url: str, session: str, page: Page, make: Make) -> None:
    await make(f"{text_file('words.txt')}; {text_file('rows.csv', 'a,b')}; {text_file('more.csv', 'c,d')}")
    await look(page, url, session)
    chip = page.get_by_role("button", name="Spreadsheets 2")
    await chip.click()
    await expect(chip).to_have_attribute("aria-pressed", "true")
    await expect(card(page, "rows.csv")).to_be_visible()
    await expect(card(page, "words.txt")).to_be_hidden()
    await page.get_by_role("button", name="All 3").click()
    await expect(card(page, "words.txt")).to_be_visible()


async def test_the_rest_is_loaded_at_the_end_of_the_page(url: str, session: str, page: Page, make: Make) -> None:
    await make("for i in range(60): open(f'{i}.txt', 'w').write(str(i))")
    await look(page, url, session)
    await expect(page.locator("#shelf .card")).to_have_count(50)
    await page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    await expect(page.locator("#shelf .card")).to_have_count(60)
    await expect(page.get_by_role("button", name="Show more")).to_be_hidden()


async def test_the_picker_leads_to_another_session(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("here.txt"))
    await page.goto(f"{url}/#session=elsewhere")
    await page.get_by_role("button", name="Session: elsewhere").click()
    await page.get_by_role("link", name=session).click()
    await expect(card(page, "here.txt")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()


async def test_an_empty_session_says_how_to_begin_and_then_begins(
    url: str, session: str, page: Page, make: Make, keep: Keep
) -> None:
    await page.goto(f"{url}/#session={session}")
    await expect(page.get_by_text(f"handiwork run - --session {session}")).to_be_visible()
    await expect(page.get_by_text(f"curl {url}/api/v1/sessions/{session}/executions")).to_be_visible()
    await keep("empty")
    await make(text_file("first.txt"))
    await expect(card(page, "first.txt")).to_be_visible()


async def test_a_session_with_a_shell_in_its_name_is_not_put_into_a_command(url: str, page: Page) -> None:
    await page.goto(f"{url}/#session=x%3Brm%20-rf%20.")
    await expect(page.get_by_text("handiwork run - --session first")).to_be_visible()
    assert "rm -rf" not in await page.locator("#empty").inner_text()


async def test_while_the_list_is_on_its_way_there_are_skeletons(url: str, session: str, page: Page) -> None:
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()
    await page.route(LISTS, lambda route: held.set_result(route))
    await page.goto(f"{url}/#session={session}")
    await expect(page.get_by_role("status", name="Loading")).to_be_visible()
    await (await held).continue_()
    await expect(page.get_by_role("status", name="Loading")).to_be_hidden()


async def test_a_problem_is_shown_in_its_own_words_and_can_be_tried_again(
    url: str, session: str, page: Page, make: Make, keep: Keep
) -> None:
    await make(text_file("there.txt"))
    problem = {"title": "The store rests", "status": 503, "detail": "It is `tired`.", "hint": "Wait a little."}

    async def refuse(route: Route) -> None:
        await route.fulfill(status=503, content_type="application/problem+json", body=json.dumps(problem))

    await page.route(LISTS, refuse)
    await page.goto(f"{url}/#session={session}")
    await expect(page.get_by_role("heading", name="The store rests")).to_be_visible()
    await expect(page.get_by_text("It is tired.")).to_be_visible()
    await expect(page.get_by_text("Wait a little.")).to_be_visible()
    await keep("problem")
    await page.unroute(LISTS)
    await page.get_by_role("button", name="Try again").click()
    await expect(card(page, "there.txt")).to_be_visible()


async def test_a_token_is_sent_and_leaves_the_address(url: str, session: str, page: Page) -> None:
    sent: list[str | None] = []

    async def refuse(route: Route) -> None:
        sent.append(await route.request.header_value("authorization"))
        await route.fulfill(status=401, content_type="application/problem+json", body='{"title": "No"}')

    await page.route("**/api/v1/**", refuse)
    await page.goto(f"{url}/#session={session}&token=hwt_once")
    await expect(page.get_by_role("heading", name="This gallery needs a token")).to_be_visible()
    assert page.url == f"{url}/#session={session}"
    await page.get_by_label("Token or key").fill("hwt_again")
    async with page.expect_response("**/api/v1/**"):
        await page.get_by_role("button", name="Open", exact=True).click()
    async with page.expect_response("**/api/v1/**"):
        await page.reload()
    assert sent[0] == "Bearer hwt_once"
    assert set(sent[1:]) == {"Bearer hwt_again"}


async def test_a_lost_connection_is_said_and_taken_up_where_it_broke_off(
    url: str, session: str, page: Page, make: Make
) -> None:
    lines: list[WebSocketRoute] = []
    is_down = asyncio.Event()

    async def pass_on(line: WebSocketRoute) -> None:
        if is_down.is_set():
            await line.close(code=1001)
        else:
            lines.append(line)
            line.connect_to_server()

    await page.route_web_socket("**/ws?*", pass_on)
    await make(text_file("first.txt"))
    await look(page, url, session)
    await make(text_file("before.txt"))
    await expect(card(page, "before.txt")).to_be_visible()
    is_down.set()
    await lines[0].close(code=1001)
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    await make(text_file("meanwhile.txt"))
    is_down.clear()
    await expect(card(page, "meanwhile.txt")).to_be_visible(timeout=20_000)
    await expect(page.get_by_text("Connection lost")).to_be_hidden()
    assert int(lines[1].url.partition("after=")[2]) > int(lines[0].url.partition("after=")[2])


async def test_a_cursor_that_is_too_old_reloads_the_list(url: str, session: str, page: Page, make: Make) -> None:
    await make(text_file("before.txt"))
    lines: list[WebSocketRoute] = []

    def pass_on(line: WebSocketRoute) -> None:
        lines.append(line)
        line.connect_to_server()

    await page.route_web_socket("**/ws?*", pass_on)
    await look(page, url, session)
    async with page.expect_request(LISTS):
        await lines[0].close(code=4410)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(card(page, "before.txt")).to_be_visible()


async def test_the_chosen_theme_is_kept(url: str, session: str, page: Page, keep: Keep) -> None:
    await page.goto(f"{url}/#session={session}")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("button", name="Use the dark theme").click()
    await expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    dark = await page.evaluate(ground)
    await page.reload()
    assert light != dark
    assert await page.evaluate(ground) == dark
    await expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    await keep("dark")


@pytest.mark.parametrize("width", [360, 390, 1280])
async def test_nothing_is_wider_than_the_screen(
    url: str, session: str, page: Page, make: Make, keep: Keep, width: int
) -> None:
    await make(f"{SEA}; {text_file('a-long-name-' * 12 + '.txt')}; {text_file('rows.csv', ','.join('abcdefgh' * 9))}")
    await page.set_viewport_size({"width": width, "height": 780})
    await page.goto(f"{url}/#session={session}")
    await expect(card(page, "sea.png")).to_be_visible()
    await keep(f"cards-{width}")
    assert await page.evaluate("document.documentElement.scrollWidth") == width
    await page.get_by_role("button", name="rows.csv", exact=True).click()
    await expect(page.get_by_role("table")).to_be_visible()
    await keep(f"preview-{width}")
    assert await page.evaluate("document.documentElement.scrollWidth") == width


async def test_all_that_can_be_pressed_has_a_name(url: str, session: str, page: Page, make: Make) -> None:
    await make(SEA)
    await look(page, url, session)
    await page.get_by_role("button", name="sea.png", exact=True).click()
    named = await page.locator("button, a[href], input").evaluate_all(
        "(all) => all.map((it) => it.ariaLabel || it.labels?.[0]?.textContent || it.textContent.trim())"
    )
    assert all(named)


async def test_the_page_asks_nobody_but_its_own_server(url: str, session: str, page: Page, make: Make) -> None:
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    page.on("request", note)
    await make(SEA)
    await look(page, url, session)
    await page.get_by_role("button", name="sea.png", exact=True).click()
    await expect(page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    assert [address for address in asked if not address.startswith((f"{url}/", f"blob:{url}/"))] == []


@pytest.mark.parametrize("code", [4401, 4403, 4404, 4422])
async def test_a_line_that_is_closed_for_good_is_not_tried_again(
    url: str, session: str, page: Page, make: Make, code: int
) -> None:
    lines: list[WebSocketRoute] = []

    async def close(line: WebSocketRoute) -> None:
        lines.append(line)
        await line.close(code=code)

    await page.clock.install()
    await page.route_web_socket("**/ws?*", close)
    await make(text_file("there.txt"))
    await page.goto(f"{url}/#session={session}")
    await expect(page.get_by_role("heading", name="This session cannot be followed")).to_be_visible()
    await page.clock.run_for(60_000)
    assert len(lines) == 1


async def test_a_line_that_falls_at_once_is_tried_ever_more_seldom(
    url: str, session: str, page: Page, make: Make
) -> None:
    lines: list[WebSocketRoute] = []

    async def close(line: WebSocketRoute) -> None:
        lines.append(line)
        await line.close(code=1013)

    await page.clock.install()
    await page.route_web_socket("**/ws?*", close)
    await make(text_file("there.txt"))
    await page.goto(f"{url}/#session={session}")
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    for _ in range(60):
        await page.clock.run_for(500)
    assert 2 <= len(lines) <= 10
