import asyncio
import io
import struct
import warnings
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from PIL import ExifTags, Image, PngImagePlugin
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from handiwork import wiring
from handiwork.errors import ContentDamaged, IsolationUnavailable, ShuttingDown
from handiwork.executions.previews import EDGE, LARGEST_EDGE, MOST_ORIGINAL_BYTES, MOST_THUMBNAIL_BYTES, Previews
from handiwork.executions.previews import is_plain_png as is_plain
from handiwork.sandbox.sandbox import Sandbox
from handiwork.settings import Artifacts, Settings
from handiwork.versions.content import Bytes

# One sandbox for all, and so one loop: a warm interpreter takes its time.
pytestmark = [pytest.mark.linux, pytest.mark.asyncio(loop_scope="module")]

RED, GREEN, BLUE, CLEAR = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Sandbox]:
    settings = Settings(artifacts=Artifacts(isolation="full"), cache=tmp_path_factory.mktemp("cache"))
    async with wiring.sandbox(settings) as box:
        try:
            await box.probe()
        except IsolationUnavailable as missing:
            pytest.skip(str(missing))
        yield box


@pytest.fixture
def previews(sandbox: Sandbox) -> Previews:
    return Previews(sandbox)


async def thumbnail(previews: Previews, media_type: str, data: bytes, **options: int) -> Image.Image | None:
    """The picture that was made, opened again, with nothing in it but its pixels."""
    png = await previews.thumbnail("key", media_type, len(data), Bytes(data).chunks, **options)
    if png is None:
        return None
    assert len(png) <= MOST_THUMBNAIL_BYTES
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        image.load()
    assert max(image.size) <= options.get("edge", EDGE)
    assert image.info == {}
    return image


async def made(previews: Previews, media_type: str, data: bytes, **options: int) -> Image.Image:
    image = await thumbnail(previews, media_type, data, **options)
    assert image is not None
    return image


def saved(image: Image.Image, picture: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, picture, **options)
    return out.getvalue()


def halves(width: int = 800, height: int = 400, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def colour_at(image: Image.Image, x: float, y: float) -> tuple[int, ...]:
    """The nearest of the plain colours at a place that is given from 0 to 1."""
    red, green, blue, alpha = image.convert("RGBA").getpixel((int(x * image.width), int(y * image.height)))  # pyright: ignore[reportGeneralTypeIssues]  # four channels
    seen = (red, green, blue, alpha)
    known = [(*colour, 255) for colour in (RED, GREEN, BLUE, (255, 255, 255), (0, 0, 0))] + [CLEAR]
    return min(known, key=lambda one: sum(abs(a - b) for a, b in zip(one, seen, strict=True)))


def opaque(colour: tuple[int, int, int]) -> tuple[int, ...]:
    return (*colour, 255)


def two_pages(size: tuple[float, float] = A4) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=size)
    for colour, words in ((GREEN, "First"), (RED, "Second")):
        canvas.setFillColorRGB(*(part / 255 for part in colour))
        canvas.rect(0, 0, size[0], size[1] / 2, stroke=0, fill=1)
        canvas.drawString(72, size[1] - 72, words)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def claiming(width: int, height: int, *, of: bytes) -> bytes:
    """A PNG whose header says another size, with the checksum that belongs to it."""
    header = b"IHDR" + struct.pack(">II", width, height) + of[24:29]
    return of[:12] + header + struct.pack(">I", zlib.crc32(header)) + of[33:]


def bomb() -> bytes:
    """A PNG whose 60 million pixels are all there, in a few kilobytes."""
    width, height = 10_000, 6_000
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(bytes(1 + width // 8)) for _ in range(height)) + packer.flush()
    parts = [b"\x89PNG\r\n\x1a\n"]
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    for name, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")):
        parts += [struct.pack(">I", len(body)), name, body, struct.pack(">I", zlib.crc32(name + body))]
    return b"".join(parts)


# What can be seen


@pytest.mark.parametrize("picture", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
async def test_an_image_of_each_format_is_made_small(previews: Previews, picture: str) -> None:
    image = await made(previews, f"image/{picture.lower()}", saved(halves(), picture))
    assert image.size == (480, 240)
    assert (colour_at(image, 0.1, 0.5), colour_at(image, 0.9, 0.5)) == (opaque(RED), opaque(BLUE))


async def test_the_first_page_of_a_pdf_is_drawn(previews: Previews) -> None:
    image = await made(previews, "application/pdf", two_pages())
    assert image.size == (340, 480)
    assert (colour_at(image, 0.5, 0.3), colour_at(image, 0.5, 0.7)) == ((255, 255, 255, 255), opaque(GREEN))


@pytest.mark.parametrize("size", [(30, 20), (2000, 1), (14_000, 14_000)])
async def test_a_page_of_any_size_is_drawn_to_the_edge(previews: Previews, size: tuple[int, int]) -> None:
    assert max((await made(previews, "application/pdf", two_pages(size))).size) == EDGE


@pytest.mark.parametrize("picture", ["PNG", "WEBP", "TIFF", "AVIF"])
async def test_what_is_transparent_stays_transparent(previews: Previews, picture: str) -> None:
    original = halves(mode="RGBA")
    original.paste(CLEAR, (0, 0, 400, 400))
    image = await made(previews, f"image/{picture.lower()}", saved(original, picture))
    assert (colour_at(image, 0.1, 0.5)[3], colour_at(image, 0.9, 0.5)) == (0, opaque(BLUE))


@pytest.mark.parametrize("picture", ["PNG", "GIF"])
async def test_a_transparent_colour_of_a_palette_stays_transparent(previews: Previews, picture: str) -> None:
    original = halves().quantize(4)
    index = original.getpixel((0, 0))
    image = await made(previews, f"image/{picture.lower()}", saved(original, picture, transparency=index))
    assert (colour_at(image, 0.1, 0.5)[3], colour_at(image, 0.9, 0.5)) == (0, opaque(BLUE))


@pytest.mark.parametrize("picture", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "size", "red"),
    [
        (1, (480, 240), (0.1, 0.5)),
        (2, (480, 240), (0.9, 0.5)),
        (3, (480, 240), (0.9, 0.5)),
        (6, (240, 480), (0.5, 0.1)),
        (8, (240, 480), (0.5, 0.9)),
    ],
)
async def test_a_photograph_is_upright(
    previews: Previews, picture: str, orientation: int, size: tuple[int, int], red: tuple[float, float]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = await made(previews, f"image/{picture.lower()}", saved(halves(), picture, exif=exif))
    assert image.size == size
    assert colour_at(image, *red) == opaque(RED)
    assert colour_at(image, 1 - red[0], 1 - red[1]) == opaque(BLUE)


async def test_a_small_image_is_not_made_larger(previews: Previews) -> None:
    assert (await made(previews, "image/png", saved(halves(30, 20), "PNG"))).size == (30, 20)


@pytest.mark.parametrize("picture", ["GIF", "PNG", "WEBP"])
async def test_of_an_animation_the_first_frame_is_taken(previews: Previews, picture: str) -> None:
    frames = [Image.new("RGB", (600, 600), colour) for colour in (GREEN, RED, BLUE)]
    data = saved(frames[0], picture, save_all=True, append_images=frames[1:], duration=50)
    assert colour_at(await made(previews, f"image/{picture.lower()}", data), 0.5, 0.5) == opaque(GREEN)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "CMYK", "F"])
async def test_black_to_white_is_black_to_white_in_every_depth(previews: Previews, mode: str) -> None:
    ramp = Image.linear_gradient("L").rotate(90).resize((600, 600))
    deep = Image.new("I;16", ramp.size)
    deep.putdata([int(value) * 257 for value in ramp.get_flattened_data()])  # pyright: ignore[reportArgumentType]  # one channel
    original = deep if mode == "I;16" else ramp.convert(mode)
    picture = "TIFF" if mode in ("CMYK", "F") else "PNG"
    image = await made(previews, f"image/{picture.lower()}", saved(original, picture))
    left, right = (image.convert("L").getpixel((x, 240)) for x in (2, 477))
    assert isinstance(left, int)
    assert isinstance(right, int)
    assert left < 16
    assert right > 239


async def test_metadata_stays_behind(previews: Previews) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "SECRET")
    data = saved(halves(), "PNG", pnginfo=notes, dpi=(72, 72), icc_profile=b"SECRET" * 10)
    png = await previews.thumbnail("key", "image/png", len(data), Bytes(data).chunks)
    assert png is not None
    assert b"SECRET" not in png
    assert b"SECRET" in data


async def test_noise_is_made_smaller_until_it_fits(previews: Previews) -> None:
    noise = Image.merge("RGBA", [Image.effect_noise((700, 700), 200) for _ in range(4)])
    image = await made(previews, "image/png", saved(noise, "PNG"))
    assert 200 < image.width < EDGE


async def test_the_edge_is_the_callers_within_bounds(previews: Previews) -> None:
    data = saved(halves(), "PNG")
    assert (await made(previews, "image/png", data, edge=64)).size == (64, 32)
    for edge in (0, -1, LARGEST_EDGE + 1):
        with pytest.raises(ValueError, match="edge"):
            await thumbnail(previews, "image/png", data, edge=edge)


async def test_a_large_image_within_the_bounds_is_made_small(previews: Previews) -> None:
    image = await made(previews, "image/png", saved(halves(10_000, 4_900, "RGBA"), "PNG", compress_level=1))
    assert image.size == (480, 235)


# What cannot


async def test_a_truncated_image_has_none_and_the_whole_one_has(previews: Previews) -> None:
    whole = saved(Image.effect_noise((300, 300), 80), "PNG")
    assert await thumbnail(previews, "image/png", whole[: len(whole) // 2]) is None
    assert await thumbnail(previews, "image/png", whole) is not None


async def test_text_that_is_called_a_pdf_has_none_and_a_pdf_has(previews: Previews) -> None:
    assert await thumbnail(previews, "application/pdf", b"%PDF-1.7\nminutes of the meeting\n" * 20) is None
    assert await thumbnail(previews, "application/pdf", two_pages()) is not None


async def test_a_header_that_claims_too_many_pixels_has_none_and_the_true_one_has(previews: Previews) -> None:
    true = saved(halves(), "PNG")
    assert await thumbnail(previews, "image/png", claiming(50_000, 50_000, of=true)) is None
    assert await thumbnail(previews, "image/png", claiming(800, 400, of=true)) is not None


async def test_a_bomb_whose_pixels_are_all_there_has_none(previews: Previews) -> None:
    data = bomb()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert Image.open(io.BytesIO(data)).getextrema() == (0, 0)
    assert len(data) < 100_000
    assert await thumbnail(previews, "image/png", data) is None


@pytest.mark.parametrize("media_type", ["image/png", "image/jpeg", "image/tiff", "application/pdf"])
async def test_a_page_that_is_called_an_image_has_none(previews: Previews, media_type: str) -> None:
    assert await thumbnail(previews, media_type, b"<!doctype html><script>alert(1)</script>") is None


async def test_a_format_is_what_it_is_said_to_be(previews: Previews) -> None:
    assert await thumbnail(previews, "image/jpeg", saved(halves(), "PNG")) is None
    # Pillow reads this and many more, which nobody has asked for.
    assert await thumbnail(previews, "image/png", saved(halves(), "TGA")) is None


def unread() -> AsyncIterator[bytes]:
    raise AssertionError("nobody was to read this")


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "image/x-unheard-of", "video/mp4", ""])
async def test_a_format_without_pictures_is_not_even_read(previews: Previews, media_type: str) -> None:
    assert await previews.thumbnail("key", media_type, 100, unread) is None


@pytest.mark.parametrize("size", [0, MOST_ORIGINAL_BYTES + 1])
async def test_a_file_that_is_empty_or_too_large_is_not_even_read(previews: Previews, size: int) -> None:
    assert await previews.thumbnail("key", "image/png", size, unread) is None


# What is believed of a result

GOOD = saved(halves(100, 50), "PNG")


def with_chunk(name: bytes, body: bytes) -> bytes:
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return GOOD[:33] + chunk + GOOD[33:]


async def test_a_plain_png_is_believed() -> None:
    assert is_plain(GOOD, edge=100)
    assert is_plain(saved(halves(mode="RGBA"), "PNG"), edge=800)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="no PNG"),
        pytest.param(GOOD[:8], id="signature alone"),
        pytest.param(GOOD[:33], id="header alone"),
        pytest.param(GOOD[:33] + GOOD[-12:], id="no pixels"),
        pytest.param(GOOD[:-1], id="cut"),
        pytest.param(GOOD + b"<script>", id="something behind it"),
        pytest.param(GOOD[:60] + b"\xff" + GOOD[61:], id="damaged"),
        pytest.param(with_chunk(b"tEXt", b"Comment\0x"), id="text"),
        pytest.param(with_chunk(b"iCCP", b"x"), id="profile"),
        pytest.param(claiming(101, 50, of=GOOD), id="too wide"),
        pytest.param(claiming(100, 101, of=GOOD), id="too high"),
        pytest.param(claiming(0, 50, of=GOOD), id="no width"),
        pytest.param(GOOD[:33] + with_chunk(b"IDAT", b"")[33:45] * 100 + GOOD[33:], id="too many chunks"),
        pytest.param(saved(halves(100, 50, "P"), "PNG"), id="palette"),
    ],
)
async def test_anything_else_is_not_believed(data: bytes) -> None:
    assert not is_plain(data, edge=100)


# Many at once


class Counting:
    """Content that counts how often it is read and can be held back."""

    def __init__(self, data: bytes) -> None:
        self.data, self.reads = data, 0
        self.go, self.begun = asyncio.Event(), asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        self.reads += 1
        self.begun.set()
        await self.go.wait()
        yield self.data

    async def ask(self, previews: Previews, key: str = "key", edge: int = EDGE) -> bytes | None:
        return await previews.thumbnail(key, "image/png", len(self.data), self.chunks, edge=edge)


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_those_who_ask_for_the_same_together_share_one_run(previews: Previews) -> None:
    content = Counting(GOOD)
    asking = [asyncio.create_task(content.ask(previews)) for _ in range(100)]
    await asyncio.wait_for(content.begun.wait(), 20)
    content.go.set()
    answers = await asyncio.gather(*asking)
    assert (content.reads, len(set(answers))) == (1, 1)
    assert answers[0] is not None
    await content.ask(previews)
    assert content.reads == 2


async def test_another_size_or_another_file_is_another_run(previews: Previews) -> None:
    content = Counting(GOOD)
    content.go.set()
    answers = await asyncio.gather(
        content.ask(previews), content.ask(previews, edge=10), content.ask(previews, "other")
    )
    assert content.reads == 3
    assert None not in answers


async def test_when_the_first_goes_away_another_takes_over(previews: Previews) -> None:
    content = Counting(GOOD)
    first, second, third = [asyncio.create_task(content.ask(previews)) for _ in range(3)]
    await asyncio.wait_for(content.begun.wait(), 20)
    first.cancel()
    content.go.set()
    answers = await asyncio.gather(second, third)
    assert first.cancelled()
    assert answers[0] == answers[1] is not None
    assert content.reads == 2


async def test_one_that_goes_away_while_it_shares_disturbs_nobody(previews: Previews) -> None:
    content = Counting(GOOD)
    first, second = [asyncio.create_task(content.ask(previews)) for _ in range(2)]
    await asyncio.wait_for(content.begun.wait(), 20)
    second.cancel()
    await settled()
    content.go.set()
    assert await first is not None
    assert second.cancelled()


async def test_one_at_a_time_and_no_more_than_64_wait(previews: Previews) -> None:
    content = Counting(GOOD)
    first = asyncio.create_task(content.ask(previews))
    await asyncio.wait_for(content.begun.wait(), 20)
    waiting = [asyncio.create_task(content.ask(previews, f"other-{n}")) for n in range(64)]
    await settled()
    assert content.reads == 1
    assert await content.ask(previews, "one too many") is None
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    content.go.set()
    assert await first is not None


async def test_patience_has_an_end(sandbox: Sandbox) -> None:
    content = Counting(GOOD)
    previews = Previews(sandbox, patience_seconds=0.2)
    assert await asyncio.wait_for(content.ask(previews), 10) is None
    content.go.set()
    assert await content.ask(Previews(sandbox)) is not None


async def test_an_original_that_cannot_be_read_is_an_error_for_all_who_wait(previews: Previews) -> None:
    begun = asyncio.Event()

    async def damaged() -> AsyncIterator[bytes]:
        yield GOOD[:10]
        await begun.wait()
        raise ContentDamaged("a/b")

    asking = [asyncio.create_task(previews.thumbnail("key", "image/png", 100, damaged)) for _ in range(3)]
    await settled()
    begun.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ContentDamaged] * 3
    assert await previews.thumbnail("key", "image/png", len(GOOD), Bytes(GOOD).chunks) is not None


async def test_after_closing_none_is_begun(previews: Previews) -> None:
    previews.close()
    with pytest.raises(ShuttingDown):
        await previews.thumbnail("key", "image/png", len(GOOD), Bytes(GOOD).chunks)
