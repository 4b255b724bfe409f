"""A run is over when nothing of it can act any more, seen before its parent is told; no job can make it look so."""
# ruff: noqa: E501  # probes are programs, a line each

import pytest
from jails import Jail, no_process_is_left

from handiwork.sandbox.child import Child, Verdict

pytestmark = [pytest.mark.levels("full"), pytest.mark.linux]

# Each looks like a program that leaves, and goes on; what it writes at its end is in `late.txt`.
PRETENCES = {
    "outputs closed": "import os, time\nos.close(1); os.close(2); time.sleep(0.4)\nopen('late.txt', 'w').write('whole')",
    "outputs moved": "import os, time\nn = os.open('/dev/null', 1); os.dup2(n, 1); os.dup2(n, 2); time.sleep(0.4)\nopen('late.txt', 'w').write('whole')",
    "the first thread left": """
import ctypes, os, threading, time
def work():
    time.sleep(0.4); open('late.txt', 'w').write('whole'); os._exit(0)
threading.Thread(target=work).start()
os.close(1); os.close(2)
ctypes.CDLL(None).syscall(NUMBER, 0)""",
    "memory given back": """
import mmap, os, time
held = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for place in range(0, len(held), 4096): held[place] = 1
os.close(1); os.close(2)
held.close(); time.sleep(0.4)
open('late.txt', 'w').write('whole')""",
}
LEFT_BEHIND = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        os.close(1); os.close(2)
        n = 0
        while True:
            n += 1
            with open('swapped.txt', 'w') as file: file.write(str(n) * 1000)
            try: os.symlink('/etc/passwd', 'link'); os.replace('link', 'swapped.txt')
            except OSError: pass
time.sleep(0.2)
os.close(1); os.close(2)
os._exit(0)
"""


def noted(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """What was seen of runs before their verdicts."""
    seen: list[Verdict] = []
    look = Child.departure

    async def departure(self: Child, group: object) -> Verdict:
        found = await look(self, group)  # pyright: ignore[reportArgumentType]  # passed on as it came
        seen.append(found)
        return found

    monkeypatch.setattr(Child, "departure", departure)
    return seen


async def test_the_end_of_a_plain_program_is_seen_early(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = noted(monkeypatch)
    runs = [await jail.run("open('a.txt', 'w').write('whole'); print('said')") for _ in range(8)]

    assert seen, "control: it is seen at all"
    for run in runs:
        assert (run.status, run.outcome.exit_code, run.stdout) == ("succeeded", 0, "said\n")
        assert await jail.files(run) == {"a.txt": b"whole"}
        assert 0 < run.outcome.cpu_ms < 2000


@pytest.mark.parametrize("pretence", PRETENCES.values(), ids=PRETENCES)
async def test_a_program_that_pretends_to_leave_is_waited_for(jail: Jail, pretence: str) -> None:
    program = pretence.replace("NUMBER", "60 if os.uname().machine == 'x86_64' else 93")
    run = await jail.run(program)

    assert await jail.files(run) == {"late.txt": b"whole"}, run.outcome
    assert run.outcome.duration_ms > 350


async def test_nobody_changes_a_file_while_it_is_harvested(jail: Jail) -> None:
    for _ in range(6):
        run = await jail.run(LEFT_BEHIND)
        files = await jail.files(run)

        assert not any(b"root:" in content for content in files.values())
        assert {refused.name for refused in run.outcome.refused} | files.keys() <= {"swapped.txt", "link"}
        assert await no_process_is_left()


@pytest.mark.parametrize("code", [1, 65, 70, 137])
async def test_an_exit_code_that_is_not_zero_is_never_taken_for_success(jail: Jail, code: int) -> None:
    run = await jail.run(f"import os; os.close(1); os.close(2); os._exit({code})")

    assert (run.status, run.outcome.exit_code) == ("failed", code)


async def test_an_orphan_does_not_hide_its_processor_time(jail: Jail) -> None:
    burn = "while time.process_time() < 0.5: pass"
    orphan = f"""
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        {burn}
        open('burnt', 'w').close()
    os._exit(0)
while not os.path.exists('burnt'): time.sleep(0.01)
time.sleep(0.1)
"""
    assert (await jail.run(f"import time\n{burn}")).outcome.cpu_ms > 400, "control: its own is counted"

    run = await jail.run(orphan)

    assert run.status == "succeeded", run.outcome.stderr
    assert run.outcome.cpu_ms > 400
