"""The marker by which an agent says that what it has written is an artifact, with a summary for those who need no more.

What becomes of it is decided elsewhere. A text that does not keep to the form is no artifact, and nothing of it is
ever dropped: what is not understood stays content.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

MARK = "ARTIFACT"
SUMMARY_MARK = "ARTIFACT_SUMMARY:"

HANDOFF_INSTRUCTIONS = f"""\
When you write something long that is to be kept or handed on (a draft, a document, code, data), answer in this form
and in no other:

{MARK}
{SUMMARY_MARK} one line that says what it is

~~~markdown
all of the content
~~~

The first line is {MARK} alone. After the tildes name the format: markdown, json, csv, html, svg or a programming
language. Write nothing before {MARK} and nothing after the last tildes. It is stored, and others get a short reference
such as <artifact id="draft_k3x9" summary="…" />. Where you see such a reference, repeat it as it is to hand the content
on or to show it; never write the content out again, and never invent an id.
"""

DEEPEST = 20
"""So many fences may lie in each other; what is deeper opens none."""

# Nothing is tried twice in it, so that no line takes long.
_FENCE = re.compile(r" {0,3}+(`{3,}+|~{3,}+)[ \t]*+([^`]*+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What an agent has marked: the content without its fence, and what the fence says of it."""

    content: str
    summary: str
    info: str = ""


def marked(text: str) -> Marked | None:
    """Return what is marked as an artifact, or None for a text that is none.

    The first line that is not blank is the mark alone, the next one the summary, and all that follows is content.
    Content that is one fenced block as a whole is what stands in it, also where the fence was never closed.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    at = _next(lines, 0)
    if at is None or lines[at].strip() != MARK:
        return None
    at = _next(lines, at + 1)
    if at is None or not lines[at].lstrip().startswith(SUMMARY_MARK):
        return None
    summary = lines[at].lstrip().removeprefix(SUMMARY_MARK).strip()
    start = _next(lines, at + 1)
    if start is None:
        return None
    content = lines[start:]
    while not content[-1].strip():
        content.pop()
    opening = _FENCE.fullmatch(content[0].rstrip())
    if opening is None:
        return Marked(content="\n".join(content), summary=summary)
    info = opening[2]
    inner = _inside(content, opening[1], may_nest=_may_nest(info))
    if inner is None:
        return Marked(content="\n".join(content), summary=summary)
    return Marked(content="\n".join(inner), summary=summary, info=info) if any(map(str.strip, inner)) else None


def parts(text: str) -> list[str]:
    """Return a text as its artifacts, each with what follows it; a text that does not begin with one as a whole.

    A mark counts outside of fences alone, and only with its summary.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    first = _next(lines, 0)
    if first is None or lines[first].strip() != MARK:
        return [text]
    starts, fences = [0], list[str]()
    for number, line in enumerate(lines[first + 1 :], start=first + 1):
        found = _FENCE.fullmatch(line.rstrip())
        if found is not None:
            _open_or_close(fences, found)
        elif not fences and line.strip() == MARK and _is_summary(lines, number + 1):
            starts.append(number)
    return ["\n".join(lines[start:end]) for start, end in pairwise([*starts, len(lines)])]


def _is_summary(lines: list[str], at: int) -> bool:
    following = _next(lines, at)
    return following is not None and lines[following].lstrip().startswith(SUMMARY_MARK)


def _open_or_close(fences: list[str], found: re.Match[str]) -> None:
    """Go on behind a line that begins or ends a fence; whoever closes an outer one has closed what is in it."""
    closed = [at for at, fence in enumerate(fences) if not found[2] and found[1].startswith(fence)]
    if closed:
        del fences[closed[-1] :]
    elif (found[2] or not fences) and len(fences) < DEEPEST:
        fences.append(found[1])


def _next(lines: list[str], at: int) -> int | None:
    """Return where the next line is that is not blank."""
    return next((number for number in range(at, len(lines)) if lines[number].strip()), None)


def _may_nest(info: str) -> bool:
    return info.split(" ")[0].lower() in {"", "markdown", "md", "text", "txt"}


def _inside(lines: list[str], fence: str, *, may_nest: bool) -> list[str] | None:
    """Return what stands in the fence that the first line opens; None when there is something behind it, too."""
    opened = [fence]
    for number, line in enumerate(lines[1:], start=1):
        found = _FENCE.fullmatch(line.rstrip())
        if found is None:
            continue
        is_end = not found[2] and found[1].startswith(opened[-1])
        if is_end:
            opened.pop()
        elif may_nest and found[2]:
            opened.append(found[1])
        if not opened:
            return lines[1:number] if number == len(lines) - 1 else _to_the_last(lines, fence, may_nest=may_nest)
    return _to_the_last(lines, fence, may_nest=True) or lines[1:]


def _to_the_last(lines: list[str], fence: str, *, may_nest: bool) -> list[str] | None:
    """Return what stands before the last line, if that can close the fence: in prose, others may stand in between."""
    found = _FENCE.fullmatch(lines[-1].rstrip())
    is_end = len(lines) > 1 and found is not None and not found[2] and found[1].startswith(fence)
    return lines[1:-1] if is_end and may_nest else None
