"""What a program says of its own end describes that end and decides nothing."""

import signal

import pytest
from jails import Jail, interpreters

# Whoever looks into the frames above the program finds where its failure would be put into words.
REPORT = """
import mmap, os, sys
frame, report = sys._getframe(), None
while not isinstance(report, mmap.mmap): frame = frame.f_back; report = frame.f_locals.get('report')
def leave(words, code, length=None):
    report[4:4 + len(words)] = words
    report[:4] = (len(words) if length is None else length).to_bytes(4, 'big')
    os._exit(code)
"""
FORGED = {
    "random bytes": ("os.urandom(len(report) - 4), 3", 3),
    "brackets": ("b'[' * (len(report) - 4), 3", 3),
    "digits": ("b'{\"signal\":' + b'9' * 200_000 + b'}', 3", 3),
    "a length that is a lie": ("b'{}', 3, 2**32 - 1", 3),
    "violations": ('b\'{"violations": [{"line": 1, "rule": "r", "message": "m"}]}\', 65', 65),
    "that it never began": ("b'{}', 70", 70),
    "success": ("b'{\"signal\": -137}', 137", 137),
    "another code": ("b'{\"signal\": -63}', 65", 65),
    "no such signal": ("b'{\"signal\": 126}', 254", 254),
    "the signal of another code": ("b'{\"signal\": 9}', 3", 3),
}


@pytest.mark.parametrize(("words", "code"), FORGED.values(), ids=FORGED)
async def test_a_forged_report_changes_nothing_that_was_measured(jail: Jail, words: str, code: int) -> None:
    before = interpreters()
    run = await jail.run(f"{REPORT}\nopen('made.txt', 'w').write('x')\nprint('said', flush=True)\nleave({words})")

    assert (run.status, run.outcome.exit_code, run.outcome.signal) == ("failed", code, None)
    assert (run.stdout, run.outcome.violations) == ("said\n", ())
    assert interpreters() == before


async def test_words_that_are_forged_are_read_at_all(jail: Jail) -> None:
    told = await jail.run(f'{REPORT}\nleave(b\'{{"error": {{"type": "T", "message": "m"}}}}\', 1)')
    signalled = await jail.run(f"{REPORT}\nleave(b'{{\"signal\": 15}}', 128 + 15)")

    assert told.outcome.error is not None
    assert (told.outcome.error.type, told.outcome.error.message) == ("T", "m")
    assert (signalled.status, signalled.outcome.signal) == ("killed", signal.SIGTERM.name)
