"""Whether bytes are a whole picture, told from the frame of its format: headers, sizes, ends and check sums.

The pixels are not decoded here, and which format it is has been found out before.
"""

import struct
import zlib
from collections.abc import Callable

_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_OLD_BITMAP = 12
_MOST_SEGMENTS = 100_000
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_CUT = "one that breaks off"
_EMPTY = "one with no width or no height"


def fault_of(format_name: str, data: bytes) -> str | None:
    """Return what is wrong with a picture of this format, or None when its frame is whole."""
    try:
        return _FAULTS[format_name](data)
    except (struct.error, IndexError):
        return _CUT


def _png(data: bytes) -> str | None:
    offset, has_pixels = 8, False
    while True:
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + 8 + length
        (check_sum,) = struct.unpack_from(">I", data, end)
        if zlib.crc32(memoryview(data)[offset + 4 : end]) != check_sum:
            return "one with a wrong check sum"
        if offset == 8 and (kind != b"IHDR" or not all(struct.unpack_from(">II", data, 16))):
            return _EMPTY
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"IEND":
            return None if has_pixels else "one without pixels"
        offset = end + 4


def _jpeg(data: bytes) -> str | None:
    offset, has_frame = 2, False
    for _ in range(_MOST_SEGMENTS):
        if data[offset] != 0xFF:
            return "one with a broken segment"
        kind = data[offset + 1]
        if kind == 0xFF or kind in _ALONE:
            offset += 1 if kind == 0xFF else 2
            continue
        if kind in _STARTS_OF_FRAME:
            # The height may come after the pixels.
            (width,) = struct.unpack_from(">H", data, offset + 7)
            if not width:
                return _EMPTY
            has_frame = True
        if kind == _START_OF_SCAN:
            is_whole = has_frame and data.find(b"\xff\xd9", offset) >= 0
            return None if is_whole else _CUT
        (length,) = struct.unpack_from(">H", data, offset + 2)
        if length < 2:
            return "one with a broken segment"
        offset += 2 + length
    return "one with too many segments"


def _gif(data: bytes) -> str | None:
    if not all(struct.unpack_from("<HH", data, 6)):
        return _EMPTY
    return None if b"," in data[13:] and data.rstrip(b"\0").endswith(b";") else _CUT


def _webp(data: bytes) -> str | None:
    (size,) = struct.unpack_from("<I", data, 4)
    is_whole = data[12:16] in {b"VP8 ", b"VP8L", b"VP8X"} and 12 < size + 8 <= len(data)
    return None if is_whole else _CUT


def _bmp(data: bytes) -> str | None:
    pixels, header = struct.unpack_from("<II", data, 10)
    width, height = struct.unpack_from("<HH" if header == _OLD_BITMAP else "<ii", data, 18)
    if not (width and height):
        return _EMPTY
    (bits,) = struct.unpack_from("<H", data, 24 if header == _OLD_BITMAP else 28)
    packing = 0 if header == _OLD_BITMAP else struct.unpack_from("<I", data, 30)[0]
    # Only rows that are not packed have a length that the header tells; each is filled up to four bytes.
    size = 1 if packing else (abs(width) * bits + 31) // 32 * 4 * abs(height)
    return None if 14 + header <= pixels <= len(data) - size else _CUT


def _ico(data: bytes) -> str | None:
    (count,) = struct.unpack_from("<H", data, 4)
    for entry in range(count):
        size, offset = struct.unpack_from("<II", data, 6 + 16 * entry + 8)
        if not size or offset + size > len(data):
            return _CUT
    return None


def _tiff(data: bytes) -> str | None:
    order = "<" if data.startswith(b"II") else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (directory,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, 8 if is_big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, min(directory, len(data)))
    size = entries * (20 if is_big else 12)
    return None if entries and directory + size <= len(data) else _CUT


def _boxes(data: bytes) -> str | None:
    """AVIF and HEIC: boxes one after the other, among them the one that says what the picture is."""
    offset, kinds = 0, set[bytes]()
    while offset < len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, offset + 8)
        size = size or len(data) - offset
        if size < 8:
            return "one with a broken box"
        kinds.add(kind)
        offset += size
    return None if offset == len(data) and kinds & {b"meta", b"moov"} else _CUT


_FAULTS: dict[str, Callable[[bytes], str | None]] = {
    "png": _png,
    "jpeg": _jpeg,
    "gif": _gif,
    "webp": _webp,
    "bmp": _bmp,
    "ico": _ico,
    "tiff": _tiff,
    "avif": _boxes,
    "heic": _boxes,
}
