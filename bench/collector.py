"""How fast fences are found, by both rules: ordinary text as a whole and in pieces, and text made to be slow.

Megabytes a second, the median of rounds in one run. Machines differ and are shared. Nothing here is asserted.
"""

import platform
import statistics
import time
from collections.abc import Callable

from handiwork.collect.block import Rule
from handiwork.collect.fences import CommonMarkFences
from handiwork.collect.legacy import LegacyFences

ROUNDS = 5
SIZE = 20_000_000
PARAGRAPH = "The quick brown fox jumps over the lazy dog, and then it goes home; see `den` there.\n" * 4 + "\n"
ITEMS = "- a first point about something\n- a second one, which is longer\n\n1. a step\n2. the next one\n\n"
CODE = "```python\n" + "def double(x):\n    return x * 2  # twice as much\n" * 15 + "```\n\n"
ORDINARY = "# A heading\n\n" + PARAGRAPH * 3 + ITEMS + CODE + PARAGRAPH * 2
HOSTILE = {
    "lines of backticks": "```\n",
    "backticks in lines": "x```\n",
    "quotes": "> a\n",
    "list items": "- a\n",
    "quotes in quotes": "> " * 20 + "a\n",
    "tags": "<a\n",
    "markers in a line": "- ",
    "backticks": "`",
}


def of_size(text: str, size: int) -> str:
    return text * (size // len(text))


def rate(rule: Callable[[], Rule], text: str, piece: int) -> float:
    seconds: list[float] = []
    for _round in range(ROUNDS):
        fences, start = rule(), time.perf_counter()
        for at in range(0, len(text), piece):
            fences.feed(text[at : at + piece])
        fences.close()
        seconds.append(time.perf_counter() - start)
    return len(text) / statistics.median(seconds) / 1e6


def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}; MB/s\n")
    print(f"{'':36}{'commonmark':>12}{'legacy':>12}")
    ordinary = of_size(ORDINARY, SIZE)
    cases = [("ordinary text", ordinary, SIZE), ("ordinary text in pieces of 4096", ordinary, 4096)]
    cases += [("ordinary text in pieces of 4", of_size(ORDINARY, SIZE // 20), 4)]
    cases += [
        (f"{name}, {size:,}", of_size(text, size), size) for name, text in HOSTILE.items() for size in (10**5, 10**6)
    ]
    for name, text, piece in cases:
        print(f"{name:36}{rate(CommonMarkFences, text, piece):12.1f}{rate(LegacyFences, text, piece):12.1f}")


if __name__ == "__main__":
    main()
