"""The program that makes a thumbnail, as text: it runs in the sandbox and nowhere else.

When it is run, and whether its result is believed, is decided in `previews`. It is text because the libraries for
agent code are not to be imported in this process, not even by mistake.
"""

from typing import Literal

Picture = Literal["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "PDF"]

INPUT_NAME = "original"
OUTPUT_NAME = "thumbnail.png"


def program(picture: Picture, *, edge: int, most_pixels: int, most_bytes: int) -> str:
    """Return the program for an original of this format. It fails where it cannot make a thumbnail."""
    facts = f"FORMAT, EDGE, MOST_PIXELS, MOST_BYTES = {picture!r}, {edge:d}, {most_pixels:d}, {most_bytes:d}"
    return f"{facts}\nORIGINAL, THUMBNAIL = {INPUT_NAME!r}, {OUTPUT_NAME!r}\n{_PROGRAM}"


_PROGRAM = '''
import importlib
import io
import warnings

from PIL import Image

PLUGINS = {
    "PNG": "PngImagePlugin",
    "JPEG": "JpegImagePlugin",
    "GIF": "GifImagePlugin",
    "WEBP": "WebPImagePlugin",
    "BMP": "BmpImagePlugin",
    "TIFF": "TiffImagePlugin",
    "AVIF": "AvifImagePlugin",
}
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def first_page():
    import pypdfium2

    page = pypdfium2.PdfDocument(ORIGINAL)[0]
    # Vectors may be drawn at any size. The rounding up of the renderer is what the half is for.
    scale = (EDGE - 0.5) / max(page.get_size())
    return page.render(scale=scale).to_pil(), 1


def first_frame():
    image = Image.open(ORIGINAL, formats=[FORMAT])
    if image.width * image.height > MOST_PIXELS:
        raise SystemExit("too many pixels")
    # A JPEG can be decoded at a fraction of its size; other formats do not listen.
    image.draft(None, (2 * EDGE, 2 * EDGE))
    image.load()
    # TIFF is turned by now and says so; AVIF says only now how to turn.
    return image, image.getexif().get(ORIENTATION, 1)


def resizable(image):
    """The image in a mode that can be made smaller without loss: grey, colour, colour with alpha, or deep grey."""
    if image.mode.startswith(("I", "F")):
        return image.convert("F")
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image if image.mode == "RGB" else image.convert("RGB")


def shallow(image, extremes):
    """Deep grey from black to white; without known extremes its own are taken."""
    low, high = extremes or image.getextrema()
    scale = 255 / ((high - low) or 1)
    return image.point(lambda value: value * scale - low * scale).convert("L")


def encoded(image):
    # What is not in `info` cannot get into the file: no profile, no EXIF, no text.
    image.info = {}
    while True:
        out = io.BytesIO()
        image.save(out, "PNG", compress_level=6)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
        # Noise does not compress.
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)), Image.Resampling.LANCZOS)


Image.MAX_IMAGE_PIXELS = MOST_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)
if FORMAT == "PDF":
    image, orientation = first_page()
else:
    importlib.import_module(f"PIL.{PLUGINS[FORMAT]}")
    image, orientation = first_frame()
extremes = (0, 65535) if image.mode.startswith("I;16") else None
image = resizable(image)
image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS, reducing_gap=2.0)
if image.mode == "F":
    image = shallow(image, extremes)
if orientation in TURNS:
    image = image.transpose(TURNS[orientation])
with open(THUMBNAIL, "wb") as file:
    file.write(encoded(image))
'''
