"""Artifacts in the shapes that deepagents asks for: lines of a text, facts of a file, and why an edit does not fit.

Where they come from is known to `deepagents`.
"""

import posixpath

from deepagents.backends.protocol import FileData, FileInfo, ReadResult

from handiwork.model import Artifact


def window(text: str, artifact: Artifact, offset: int, limit: int) -> ReadResult:
    if not text.strip():
        return ReadResult(file_data=data(text, "utf-8", artifact))
    if limit == 0:
        return ReadResult(file_data=data("", "utf-8", artifact), no_lines_requested=True)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    ends_with_line = not lines[-1]
    total = len(lines) - ends_with_line
    if offset >= total:
        return ReadResult(error=f"Line offset {offset} exceeds file length ({total} lines)")
    end = min(offset + limit, total)
    shown = "\n".join(lines[offset:end]) + ("\n" if ends_with_line and end == total else "")
    return ReadResult(
        file_data=data(shown, "utf-8", artifact),
        total_lines=total,
        start_line=offset + 1,
        end_line=end,
        next_offset=end if end < total else None,
    )


def misfit(text: str | None, old: str, *, everywhere: bool) -> str | None:
    """Return why these characters cannot be replaced, or None."""
    if text is None:
        return "the file is no text and cannot be edited"
    count = text.count(old) if old else 0
    if not old:
        return "old_string is empty: give the characters that are to be replaced"
    if count == 0:
        return f"String not found in file: '{old[:200]}'"
    if count > 1 and not everywhere:
        return f"String appears multiple times ({count}): give more of the lines about it, or replace_all"
    return None


def data(content: str, encoding: str, artifact: Artifact) -> FileData:
    return FileData(
        content=content,
        encoding=encoding,
        created_at=artifact.created_at.isoformat(),
        modified_at=artifact.updated_at.isoformat(),
    )


def info(path: str, artifact: Artifact) -> FileInfo:
    return FileInfo(path=path, is_dir=False, size=artifact.size, modified_at=artifact.updated_at.isoformat())


def folder(path: str) -> str:
    return posixpath.normpath(path).rstrip("/") + "/"


def is_path(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
