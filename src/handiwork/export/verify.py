"""The check of an export with no store: that every file is there, as its manifest has it, and nothing else is.

It finds what was changed, not who wrote it: whoever writes a manifest anew can name other files. Everything is read in
pieces, and no more of it than the manifest allows.
"""

import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from handiwork.errors import ExportInvalid, InputNotFound
from handiwork.export.manifest import LARGEST_BYTES, MANIFEST, PAGE, File, Manifest, alike, is_safe_path, read_manifest
from handiwork.model import KIB

MOST_FAULTS = 100
PIECE_BYTES = 256 * KIB
_STORED, _DEFLATED = 0, 8
_IS_ENCRYPTED = 0x1 | 0x40 | 0x2000
_HAS_DESCRIPTOR = 0x8
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MARK = b"PK\x03\x04"
# What may stand behind the bytes of an entry: with its mark or without, with sizes of 4 bytes or of 8.
_DESCRIPTOR_BYTES = frozenset({12, 16, 20, 24})
_IS_UTF8 = 0x800
_LAST_MARK = b"PK\x05\x06"
_LAST_RECORD_BYTES = 22
# All that reading the directory of a ZIP is known to raise for one that is none.
_NO_ZIP = (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OverflowError, EOFError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, and the file that it is wrong with."""

    file: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What an export was found to be; `size` is that of the ZIP, in bytes. Without faults it is as it was written."""

    session: str
    artifacts: int
    versions: int
    size: int
    faults: tuple[Fault, ...]

    @property
    def is_whole(self) -> bool:
        return not self.faults

    def demand_whole(self) -> None:
        """Raise `ExportInvalid` when there are faults."""
        if self.faults:
            first, *others = self.faults
            raise ExportInvalid(first.file, first.problem, more=len(others))


def verify(path: Path) -> Verified:
    """Look at every byte of an export and return what is wrong with it. It is read once, and nothing is written.

    Raises:
        InputNotFound: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _Check(file, path.name).result()
    except OSError as refused:
        raise InputNotFound(str(path), refused.strerror or "it cannot be read") from refused
    except ValueError as impossible:
        raise InputNotFound(repr(str(path)), "no file can have this name") from impossible


class _Check:
    """One export that is being looked at."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._size = file.seek(0, 2)
        self._faults: list[Fault] = []

    def result(self) -> Verified:
        manifest: Manifest | None = None
        try:
            entries = self._entries()
            manifest = read_manifest(self._manifest(entries))
            self._compare(entries, manifest)
        except ExportInvalid as wrong:
            self._note(wrong.file, wrong.problem)
        return Verified(
            session="" if manifest is None else manifest.session,
            artifacts=0 if manifest is None else manifest.artifacts,
            versions=0 if manifest is None else manifest.versions,
            size=self._size,
            faults=tuple(self._faults),
        )

    def _entries(self) -> "dict[str, _Entry]":
        """Return the entries by name, noting those that no export has."""
        self._file.seek(max(0, self._size - _LAST_RECORD_BYTES))
        last = self._file.read()
        if len(last) < _LAST_RECORD_BYTES or not last.startswith(_LAST_MARK) or last[-2:] != b"\0\0":
            raise ExportInvalid(self._name, "is no whole ZIP: it does not end like one")
        try:
            with zipfile.ZipFile(self._file) as archive:
                infos, end = archive.infolist(), archive.start_dir
        except _NO_ZIP as wrong:
            raise ExportInvalid(self._name, "is no whole ZIP: its directory cannot be read") from wrong
        entries: dict[str, _Entry] = {}
        seen: set[str] = set()
        for info in infos:
            name = info.orig_filename
            if alike(name) in seen:
                self._note(name, "is there twice")
            elif problem := _oddity(info):
                self._note(name, problem)
            else:
                entries[name] = self._entry(info)
            seen.add(alike(name))
        self._demand_one_behind_the_other(list(entries.values()), end)
        return entries

    def _entry(self, info: zipfile.ZipInfo) -> "_Entry":
        name = info.orig_filename
        self._file.seek(min(max(0, info.header_offset), self._size))
        head = self._file.read(_LOCAL_HEADER.size)
        if len(head) < _LOCAL_HEADER.size or not head.startswith(_LOCAL_MARK):
            raise ExportInvalid(name, "is not where the directory of the ZIP has it")
        _mark, _version, flags, method, *_others, name_length, extra_length = _LOCAL_HEADER.unpack(head)
        expected = name.encode("utf-8" if info.flag_bits & _IS_UTF8 else "cp437", "replace")
        if (self._file.read(name_length), flags, method) != (expected, info.flag_bits, info.compress_type):
            raise ExportInvalid(name, "has another head than the directory of the ZIP says")
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        return _Entry(info=info, start=start, end=start + info.compress_size)

    def _demand_one_behind_the_other(self, entries: "list[_Entry]", end: int) -> None:
        """Refuse bytes that are of two files, since little could unpack to much; note those that are of none."""
        entries.sort(key=lambda entry: entry.info.header_offset)
        if (entries[0].info.header_offset if entries else end) and not self._faults:
            self._note(self._name, "begins with bytes that belong to no file")
        following = [entry.info.header_offset for entry in entries[1:]]
        for entry, place in zip(entries, [*following, end], strict=False):
            gap = place - entry.end
            if gap < 0:
                raise ExportInvalid(entry.name, "shares its bytes with what follows")
            is_described = bool(entry.info.flag_bits & _HAS_DESCRIPTOR) and gap in _DESCRIPTOR_BYTES
            # Behind what was noted already there is something, of course.
            if gap and not is_described and not self._faults:
                self._note(entry.name, "is followed by bytes that belong to no file")

    def _manifest(self, entries: "dict[str, _Entry]") -> bytes:
        entry = entries.get(MANIFEST)
        if entry is None:
            raise ExportInvalid(MANIFEST, "is missing")
        if entry.info.file_size > LARGEST_BYTES:
            raise ExportInvalid(MANIFEST, f"has more than {LARGEST_BYTES:,} bytes, the limit")
        return b"".join(self._content(entry, LARGEST_BYTES))

    def _compare(self, entries: "dict[str, _Entry]", manifest: Manifest) -> None:
        for name in entries.keys() - manifest.files.keys() - {MANIFEST}:
            self._note(name, "is not named by the manifest")
        for path, file in manifest.files.items():
            if len(self._faults) >= MOST_FAULTS:
                return
            entry = entries.get(path)
            if entry is None:
                self._note(path, "is missing")
                continue
            try:
                self._demand_same(entry, file)
            except ExportInvalid as wrong:
                self._note(wrong.file, wrong.problem)

    def _demand_same(self, entry: "_Entry", file: File) -> None:
        if entry.info.file_size != file.size:
            told = f"has {entry.info.file_size:,} bytes, and by the manifest {file.size:,}"
            raise ExportInvalid(entry.name, told)
        digest = hashlib.sha256()
        for piece in self._content(entry, file.size):
            digest.update(piece)
        if digest.hexdigest() != file.sha256:
            raise ExportInvalid(entry.name, "differs from what its SHA-256 in the manifest is of")

    def _content(self, entry: "_Entry", most: int) -> Iterator[bytes]:
        """Yield the content, `most` bytes of it and no more."""
        size, crc = 0, 0
        for piece in self._unpacked(entry):
            size += len(piece)
            if size > most:
                raise ExportInvalid(entry.name, f"unpacks to more than the {most:,} bytes that it may have")
            crc = zlib.crc32(piece, crc)
            yield piece
        if (size, crc) != (entry.info.file_size, entry.info.CRC):
            raise ExportInvalid(entry.name, "does not unpack to what the directory of the ZIP says")

    def _unpacked(self, entry: "_Entry") -> Iterator[bytes]:
        if entry.info.compress_type == _STORED:
            yield from self._raw(entry)
            return
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for raw in self._raw(entry):
                waiting = raw
                while waiting and not inflating.eof:
                    yield inflating.decompress(waiting, PIECE_BYTES)
                    waiting = inflating.unconsumed_tail
                if inflating.eof and (waiting or inflating.unused_data):
                    raise ExportInvalid(entry.name, "is followed by bytes that belong to no file")
            yield inflating.flush()
        except zlib.error as wrong:
            raise ExportInvalid(entry.name, "cannot be unpacked") from wrong
        if not inflating.eof:
            raise ExportInvalid(entry.name, "cannot be unpacked to its end")

    def _raw(self, entry: "_Entry") -> Iterator[bytes]:
        place = entry.start
        while place < entry.end:
            self._file.seek(place)
            raw = self._file.read(min(PIECE_BYTES, entry.end - place))
            if not raw:
                raise ExportInvalid(entry.name, "ends before its end")
            place += len(raw)
            yield raw

    def _note(self, file: str, problem: str) -> None:
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(file=file, problem=problem))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One file in the ZIP, whose packed bytes lie from `start` to before `end`."""

    info: zipfile.ZipInfo
    start: int
    end: int

    @property
    def name(self) -> str:
        return self.info.orig_filename


def _oddity(info: zipfile.ZipInfo) -> str | None:
    """Return what an entry has that no entry of an export has."""
    name, mode = info.orig_filename, info.external_attr >> 16
    if name not in {MANIFEST, PAGE} and not is_safe_path(name):
        return "is no path that a file of an export has"
    if info.flag_bits & _IS_ENCRYPTED:
        return "is encrypted"
    if info.compress_type not in {_STORED, _DEFLATED}:
        return "is packed in a way that no export is"
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        return "is no regular file"
    return None
