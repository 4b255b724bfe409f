"""The marks that binary formats carry in their first bytes. Text formats have none and are told in `syntax`.

The marks are sought only in content that does not read as text, so that a note which begins with "BM" or a
table which begins with "GIF89a," is never taken for an image.
"""

import struct

from handiwork.media.containers import ole_format, zip_format
from handiwork.media.content import Readable

_MARKS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"\x93NUMPY", "npy"),
    (b"ARROW1\x00\x00", "arrow"),
    (b"FEA1", "arrow"),
    (b"PAR1", "parquet"),
    (b"SQLite format 3\x00", "sqlite"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x28\xb5\x2f\xfd", "zst"),
    (b"Rar!\x1a\x07", "rar"),
    (b"OTTO\x00", "otf"),
    (b"\x00\x01\x00\x00\x00", "ttf"),
    (b"true\x00", "ttf"),
    (b"wOFF", "woff"),
    (b"wOF2", "woff2"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpeg"),
    (b"ID3\x02", "mp3"),
    (b"ID3\x03", "mp3"),
    (b"ID3\x04", "mp3"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"MThd\x00\x00\x00\x06", "midi"),
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"\xca\xfe\xba\xbf", "macho"),
    (b"!<arch>\n", "library"),
    (b"dex\n03", "dex"),
    (b"\x00asm", "wasm"),
    (b"BC\xc0\xde", "bitcode"),
)

_CHUNKED = {
    (b"RIFF", b"WEBP"): "webp",
    (b"RIFF", b"WAVE"): "wav",
    (b"RIFF", b"AVI "): "avi",
    (b"FORM", b"AIFF"): "aiff",
    (b"FORM", b"AIFC"): "aiff",
}
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_ANY_IMAGE_BRANDS = frozenset({b"mif1", b"msf1"})
_AUDIO_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P "})
_QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide"})
_BITMAP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_LONGEST_BRAND_BOX = 256
_SMALLEST_AAC_FRAME = 7
_SMALLEST_ICON = 22
_TRANSPORT_PACKET_BYTES = 188
_FIRST_CLASS_VERSION = 45
_BYTECODE_NUMBERS = range(3000, 4000)


def signed_format(content: Readable, head: bytes, *, claimed: str | None) -> str | None:
    """Return the name of the format whose mark the content carries; `claimed` is what the file's name speaks of."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return zip_format(content, head, claimed=claimed)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return ole_format(content, head, claimed=claimed)
    if head.startswith(b"\x1f\x8b"):
        return "tar.gz" if claimed == "tar.gz" else "gz"
    return _image_or_document(head) or _media(head) or _program(head) or _data(content, head)


def _image_or_document(head: bytes) -> str | None:
    if head.lstrip(b"\xef\xbb\xbf\x00 \t\r\n\f").startswith(b"%PDF-"):
        return "pdf"
    # An icon file has a count of images, of which the first has a byte that is always zero.
    if head.startswith(b"\x00\x00\x01\x00") and len(head) >= _SMALLEST_ICON:
        return "ico" if head[4] > 0 and head[5] == head[9] == 0 else None
    if head.startswith(b"BM") and len(head) >= 18:
        return "bmp" if struct.unpack_from("<I", head, 14)[0] in _BITMAP_HEADERS else None
    return None


def _media(head: bytes) -> str | None:
    if chunked := _CHUNKED.get((head[:4], head[8:12])):
        return chunked
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head[4:8] in _QUICKTIME_ATOMS:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[: 2 * _TRANSPORT_PACKET_BYTES + 1 : _TRANSPORT_PACKET_BYTES] == b"GGG":
        return "mpegts"
    return _audio_frame(head)


def _brand(head: bytes) -> str:
    major = head[8:12]
    end = min(struct.unpack_from(">I", head)[0], _LONGEST_BRAND_BOX)
    others = {head[at : at + 4] for at in range(16, end, 4)}
    if major in _AVIF_BRANDS or (major in _ANY_IMAGE_BRANDS and others & _AVIF_BRANDS):
        return "avif"
    if major in _HEIC_BRANDS:
        return "heic"
    if major in _AUDIO_BRANDS:
        return "m4a"
    return "mov" if major == b"qt  " else "mp4"


def _audio_frame(head: bytes) -> str | None:
    if len(head) < 4 or head[0] != 0xFF:
        return None
    rate, frequency = head[2] >> 4, head[2] >> 2 & 3
    if head[1] in {0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2} and 0 < rate < 15 and frequency != 3:
        return "mp3"
    return "aac" if head[1] in {0xF0, 0xF1, 0xF8, 0xF9} and _another_frame_follows(head) else None


def _another_frame_follows(head: bytes) -> bool:
    length = int.from_bytes(head[3:6]) >> 5 & 0x1FFF
    return length >= _SMALLEST_AAC_FRAME and head[length : length + 2] == head[:2]


def _program(head: bytes) -> str | None:
    if head.startswith(b"MZ") and b"\x00" in head:
        return "exe"
    if len(head) < 8:
        return None
    if head.startswith(b"\xca\xfe\xba\xbe"):
        # A fat Mach-O file has its few architectures where a class file has its version.
        return "class" if struct.unpack_from(">I", head, 4)[0] & 0xFFFF >= _FIRST_CLASS_VERSION else "macho"
    number, newline, flags = struct.unpack_from("<H2sI", head)
    return "pyc" if number in _BYTECODE_NUMBERS and newline == b"\r\n" and flags <= 3 else None


def _data(content: Readable, head: bytes) -> str | None:
    if len(head) >= 3 and head[0] == 0x80 and 2 <= head[1] <= 5 and _ends_with(content, b"."):
        return "pickle"
    return "tar" if _is_tar_header(head[:512]) else None


def _is_tar_header(block: bytes) -> bool:
    """A tar header holds its own checksum, counted with blanks in the checksum's place."""
    if len(block) < 512:
        return False
    written = block[148:156].strip(b" \x00")
    if not written or not all(0x30 <= digit < 0x38 for digit in written):
        return False
    return int(written, 8) == sum(block[:148]) + 8 * 0x20 + sum(block[156:])


def _ends_with(content: Readable, mark: bytes) -> bool:
    return content.read_at(max(content.size - len(mark), 0), len(mark)) == mark
