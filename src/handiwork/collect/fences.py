"""Fenced blocks by the rules of CommonMark, in text that comes in pieces: backticks and tildes, in lists and quotes.

What lies between blocks is skipped by searching, since reading every line by itself would cost too much. What is
around a block is known to `structure`.
"""

import re

from handiwork.collect.block import Block
from handiwork.collect.structure import Structure

# A line at which a block, a quote, a list item or HTML may begin.
_NOTABLE = re.compile(r"\n(?= {0,3}(?:```|~~~|>|<|[*+-][ \t\n]|[0-9]{1,9}[.)][ \t\n]))")
_CLOSING = re.compile(r"\n {0,3}(`{3,}|~{3,})[ \t]*(?=\n)")
_LINE_ENDS = re.compile("\r\n?")


class CommonMarkFences:
    """The strict rule. A block that does not close ends with the text, or with the list or quote that it is in."""

    def __init__(self) -> None:
        self._structure = Structure()
        self._waiting: list[str] = []
        """The last line, as far as it came."""
        self._is_half_ended = False
        """Whether the last character was a carriage return, which a line feed may follow."""
        self._info = ""
        self._body: list[str] = []
        self._outside: list[str] = []

    def feed(self, text: str) -> list[Block]:
        if self._is_half_ended:
            text = "\r" + text
        self._is_half_ended = text.endswith("\r")
        if self._is_half_ended:
            text = text[:-1]
        if "\r" in text:
            text = _LINE_ENDS.sub("\n", text)
        blocks: list[Block] = []
        if "\n" not in text:
            self._waiting.append(text)
            return blocks
        # With a line end before it every line is found in the same way.
        text = "".join(["\n", *self._waiting, text])
        end = text.rfind("\n") + 1
        self._waiting = [text[end:]]
        at = 1
        while at < end:
            at = self._read(text, at, end, blocks)
        return blocks

    def close(self) -> list[Block]:
        blocks = self.feed("\n") if self._is_half_ended or any(self._waiting) else []
        if self._structure.fence is not None:
            blocks.append(self._block(is_closed=False))
        self._structure = Structure()
        return blocks

    def outside(self) -> str:
        return "".join(self._outside)

    def _read(self, text: str, at: int, end: int, blocks: list[Block]) -> int:
        """Read a line, or all lines up to the next that matters, and return where the next one begins."""
        if not self._structure.containers:
            fence = self._structure.fence
            if fence is None and self._structure.leaf != "html":
                at = self._skip(text, at, end)
            elif fence is not None and fence.indent == 0:
                at = self._skip_body(text, at, end)
        return at if at == end else self._read_line(text, at, blocks)

    def _skip(self, text: str, at: int, end: int) -> int:
        """Pass over the lines at which nothing begins."""
        found = _NOTABLE.search(text, at - 1, end)
        stop = found.end() if found is not None else end
        if stop > at:
            self._outside.append(text[at:stop])
            # What was before the last empty line does not matter any more.
            last = text.rfind("\n\n", at - 1, stop)
            for line in text[max(at, last + 1) : stop - 1].split("\n"):
                self._structure.read_flat(line)
        return stop

    def _skip_body(self, text: str, at: int, end: int) -> int:
        """Take the lines of a block up to the one that closes it."""
        fence, start = self._structure.fence, at - 1
        assert fence is not None
        while (found := _CLOSING.search(text, start, end)) is not None:
            if found[1].startswith(fence.mark):
                break
            start = found.end()
        stop = found.start() + 1 if found is not None else end
        self._body.append(text[at:stop])
        return stop

    def _read_line(self, text: str, at: int, blocks: list[Block]) -> int:
        stop = text.index("\n", at)
        before = self._structure.fence
        what = self._structure.read(text[at:stop])
        if before is not None and what != "body":
            blocks.append(self._block(is_closed=what == "closing"))
        match what:
            case "opening":
                assert self._structure.fence is not None
                self._info = self._structure.fence.info
            case "body":
                self._body.append(f"{self._structure.body_line}\n")
            case "outside":
                self._outside.append(text[at : stop + 1])
            case "closing":
                pass
        return stop + 1

    def _block(self, *, is_closed: bool) -> Block:
        body, self._body = "".join(self._body), []
        return Block(info=self._info, body=body.removesuffix("\n"), is_closed=is_closed)
