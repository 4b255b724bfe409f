"""One chart, isolated and stored, against a bare fork and a cold interpreter: medians of rounds in one run.

Machines differ and are shared, so read the ratios. Nothing here is asserted.
"""

import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import handiwork

ROUNDS = 15
CHART = "import matplotlib.pyplot as plt\nplt.bar(['A', 'B', 'C'], [10, 20, 15])\nplt.savefig('chart.png')\n"
FORKER = """
import json, os, sys, time
import numpy, pandas, openpyxl, xlsxwriter, reportlab.platypus, PIL.ImageFont
import matplotlib; matplotlib.use("Agg")
import matplotlib.pyplot as plt, gc, io
plt.bar(["A"], [1]); plt.savefig(io.BytesIO()); plt.close("all"); gc.freeze()
print("ready", flush=True)
for line in sys.stdin:
    begin = time.perf_counter()
    if (pid := os.fork()) == 0:
        exec(json.loads(line), {"__name__": "__main__"}); os._exit(0)
    os.waitpid(pid, 0)
    print(time.perf_counter() - begin, flush=True)
"""


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "chart.py")
        script.write_text(CHART, encoding="utf-8")
        environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}
        forker = subprocess.Popen(
            [sys.executable, "-c", FORKER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment,
        )  # fmt: skip
        assert forker.stdin is not None
        assert forker.stdout is not None
        forker.stdout.readline()
        requests, answers = forker.stdin, forker.stdout

        async def plain() -> None:
            subprocess.run([sys.executable, str(script)], check=True, cwd=folder, env=environment)

        async def bare_fork() -> None:
            requests.write(json.dumps(CHART) + "\n")
            requests.flush()
            answers.readline()

        async with handiwork.open(Path(folder, "store")) as engine:
            session = engine.session("bench")

            async def isolated() -> None:
                assert (await session.run(CHART)).ok

            async def nothing() -> None:
                assert (await session.run("print(1 + 1)")).ok

            level = (await engine.isolation()).level
            ways = {"plain python": plain, "bare warm fork": bare_fork, "handiwork": isolated, "print(1+1)": nothing}
            medians = await _medians(ways)
        forker.stdin.close()
        forker.wait()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, isolation {level}")
    for name, milliseconds in medians.items():
        ratio = milliseconds / medians["bare warm fork"]
        print(f"{name:16} {milliseconds:8.1f} ms   {ratio:5.2f}x the bare warm fork")


async def _medians(ways: Mapping[str, Callable[[], Awaitable[None]]]) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _round in range(ROUNDS + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            await way()
            times[name].append((time.perf_counter() - begin) * 1000)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


if __name__ == "__main__":
    asyncio.run(main())
