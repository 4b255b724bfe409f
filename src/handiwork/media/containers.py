"""The directories inside ZIP and OLE files, which tell an Excel file from a plain archive. Nothing is unpacked.

Every read has a fixed bound, and a directory that cannot be read only makes the answer less exact.
"""

import re
import struct
from collections.abc import Iterator

from handiwork.media.content import Readable
from handiwork.model import KIB

_DIRECTORY_BYTES = 256 * KIB
_MOST_MEMBERS = 4096
_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22
_LONGEST_COMMENT = 65_535
_ENTRY = b"PK\x01\x02"
_ENTRY_BYTES = 46
_LOCAL = b"PK\x03\x04"
_LOCAL_BYTES = 30

_DECLARED_TYPE = re.compile(rb"[a-z0-9.+/-]{1,100}")
_DECLARED = {
    b"application/vnd.oasis.opendocument.text": "odt",
    b"application/vnd.oasis.opendocument.spreadsheet": "ods",
    b"application/vnd.oasis.opendocument.presentation": "odp",
    b"application/epub+zip": "epub",
}
_OFFICE_MARKS = frozenset({"[Content_Types].xml", "_rels/.rels"})
# Folder, plain format, part that shows another format, that format.
_OFFICE = (
    ("word/", "docx", "word/vbaProject.bin", "docm"),
    ("xl/", "xlsx", "xl/vbaProject.bin", "xlsm"),
    ("ppt/", "pptx", "ppt/vbaProject.bin", "pptm"),
)

_OLE_HEADER_BYTES = 512
_OLE_SECTOR_SHIFTS = frozenset({9, 12})
_OLE_ENTRY_BYTES = 128
_OLE_DIRECTORY_BYTES = 64 * KIB
_OLE_STREAMS = {
    "WordDocument": "doc",
    "Workbook": "xls",
    "Book": "xls",
    "PowerPoint Document": "ppt",
}


def zip_format(content: Readable, head: bytes, *, claimed: str | None) -> str:
    """Return the format of a file that begins like a ZIP; `claimed` is the format that its name speaks of."""
    if declared := _declared_type(head):
        return declared
    members = frozenset(_members(content))
    if members & _OFFICE_MARKS and (office := _office_format(members)):
        return office
    if any(name.endswith(".dist-info/WHEEL") for name in members):
        return "whl"
    if program := _program_format(members, claimed):
        return program
    is_arrays = bool(members) and all(name.endswith(".npy") for name in members)
    return "npz" if is_arrays and claimed != "zip" else "zip"


def ole_format(content: Readable, head: bytes, *, claimed: str | None) -> str | None:
    """Return `doc`, `xls` or `ppt` for an OLE compound file; None for any other, such as an installer.

    The name decides where the directory cannot be read, or where one document holds another.
    """
    found = [_OLE_STREAMS[name] for name in _stream_names(content, head) if name in _OLE_STREAMS]
    if claimed in (found or _OLE_STREAMS.values()):
        return claimed
    return found[0] if found else None


def _declared_type(head: bytes) -> str | None:
    """OpenDocument and EPUB begin with a stored member `mimetype`."""
    if len(head) < _LOCAL_BYTES:
        return None
    method, name_length, extra_length = *struct.unpack_from("<H", head, 8), *struct.unpack_from("<HH", head, 26)
    if method != 0 or head[_LOCAL_BYTES : _LOCAL_BYTES + name_length] != b"mimetype":
        return None
    found = _DECLARED_TYPE.match(head, _LOCAL_BYTES + name_length + extra_length)
    return _DECLARED.get(found[0]) if found else None


def _stream_names(content: Readable, head: bytes) -> Iterator[str]:
    if len(head) < _OLE_HEADER_BYTES:
        return
    shift, start = struct.unpack_from("<H", head, 30)[0], struct.unpack_from("<I", head, 48)[0]
    if shift not in _OLE_SECTOR_SHIFTS:
        return
    directory = content.read_at((start + 1) << shift, _OLE_DIRECTORY_BYTES)
    for offset in range(0, len(directory) - _OLE_ENTRY_BYTES + 1, _OLE_ENTRY_BYTES):
        length = struct.unpack_from("<H", directory, offset + 64)[0]
        yield directory[offset : offset + min(max(length - 2, 0), 64)].decode("utf-16-le", errors="replace")


def _office_format(members: frozenset[str]) -> str | None:
    if "xl/workbook.bin" in members:
        return "xlsb"
    for folder, plain, mark, marked in _OFFICE:
        if any(name.startswith(folder) for name in members):
            return marked if mark in members else plain
    return None


def _program_format(members: frozenset[str], claimed: str | None) -> str | None:
    if "AndroidManifest.xml" in members and (claimed == "apk" or "classes.dex" in members):
        return "apk"
    has_classes = any(name.endswith(".class") for name in members)
    if "META-INF/MANIFEST.MF" in members and (claimed == "jar" or has_classes):
        return "jar"
    return None


def _members(content: Readable) -> Iterator[str]:
    """Yield member names from the directory at the end, else from the headers at the front.

    A ZIP64 archive, which has more than 4 GiB or 65,535 members, is read from the front too.
    """
    directory = _directory(content)
    if directory is None:
        return _local_names(content.read_at(0, _DIRECTORY_BYTES))
    return _directory_names(directory)


def _directory(content: Readable) -> bytes | None:
    offset = max(content.size - _END_RECORD_BYTES - _LONGEST_COMMENT, 0)
    tail = content.read_at(offset, _END_RECORD_BYTES + _LONGEST_COMMENT)
    end = tail.rfind(_END_RECORD)
    if end < 0 or len(tail) - end < _END_RECORD_BYTES:
        return None
    size, declared_start = struct.unpack_from("<II", tail, end + 12)
    # Counted from its own end, a directory is found also where other bytes were put before the archive.
    for start in (offset + end - size, declared_start):
        if 0 <= start < content.size:
            directory = content.read_at(start, min(size, _DIRECTORY_BYTES))
            if directory.startswith(_ENTRY):
                return directory
    return None


def _directory_names(directory: bytes) -> Iterator[str]:
    offset = 0
    for _ in range(_MOST_MEMBERS):
        if len(directory) - offset < _ENTRY_BYTES or not directory.startswith(_ENTRY, offset):
            return
        name_length, extra_length, comment_length = struct.unpack_from("<HHH", directory, offset + 28)
        offset += _ENTRY_BYTES
        yield directory[offset : offset + name_length].decode("utf-8", errors="replace")
        offset += name_length + extra_length + comment_length


def _local_names(front: bytes) -> Iterator[str]:
    offset = 0
    for _ in range(_MOST_MEMBERS):
        offset = front.find(_LOCAL, offset)
        if offset < 0 or len(front) - offset < _LOCAL_BYTES:
            return
        name_length = struct.unpack_from("<H", front, offset + 26)[0]
        offset += _LOCAL_BYTES
        yield front[offset : offset + name_length].decode("utf-8", errors="replace")
