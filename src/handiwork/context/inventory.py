"""The inventory: what artifacts there are, as a block of text that a model reads at the beginning of its turn.

Which of them are live is known to the store. The same artifacts make the same bytes, so that what a provider has read
once it need not read again; nothing in a value can end its tag or pass for another.
"""

from collections.abc import Iterable, Sequence

from handiwork.model import Artifact
from handiwork.references import LONGEST_ID, LONGEST_SUMMARY, escaped
from handiwork.versions.selection import estimate_tokens

LONGEST_TITLE = 120
LONGEST_STATE = 64

_BEGIN = "<system_context>\nArtifacts of this conversation, the newest last. Refer to one by its id.\n"
_LEFT_OUT = "<older_artifacts_left_out />\n"
_END = "</system_context>"


def inventory(newest_first: Sequence[Artifact], *, budget: int, is_all: bool = True) -> str:
    """Return the block with as many of the newest artifacts as `budget` tokens hold; empty when there are none.

    `is_all` is whether these are all artifacts that there are. What is left out is said to be left out.
    """
    if not newest_first:
        return ""
    lines = [_line(artifact) for artifact in newest_first]
    whole = _block(lines, is_all=is_all)
    if estimate_tokens(whole) <= budget:
        return whole
    room = budget * 4 - len(_block([], is_all=False))
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode())
        if room < 0:
            break
        kept.append(line)
    return _block(kept, is_all=False)


def attributes(pairs: Iterable[tuple[str, str | int | None, int]]) -> str:
    """Return attributes of a tag: name, value and the most characters that it may have; None is left out."""
    said = [(name, escaped(str(value), longest=longest)) for name, value, longest in pairs if value is not None]
    return " ".join(f'{name}="{value}"' for name, value in said if value)


def _block(newest_first: Sequence[str], *, is_all: bool) -> str:
    return f"{_BEGIN}{'' if is_all else _LEFT_OUT}{''.join(reversed(newest_first))}{_END}"


def _line(artifact: Artifact) -> str:
    version = artifact.version
    said = attributes(
        (
            ("id", artifact.handle, LONGEST_ID),
            ("type", artifact.type, LONGEST_STATE),
            ("title", artifact.title, LONGEST_TITLE),
            ("state", artifact.state, LONGEST_STATE),
            ("version", version.number, LONGEST_STATE),
            ("summary", version.summary, LONGEST_SUMMARY),
        )
    )
    return f"<artifact {said} />\n"
