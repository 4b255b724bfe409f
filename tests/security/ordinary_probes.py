"""Runs the core probes in an engine of an ordinary user and prints what came of each, one JSON object a line."""
# ruff: noqa: E501  # probes are programs, a line each

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import handiwork
from handiwork.model import MIB, Limits
from handiwork.settings import Artifacts, Settings

SMALL = Limits(wall_seconds=4, memory_bytes=128 * MIB, processes=16)
PROBES = {
    "chart": (
        "import matplotlib.pyplot as p, os; p.plot([1, 2]); p.savefig('c.png'); print(os.getuid(), os.getpid())",
        Limits(),
    ),
    "files": (
        "for path in PATHS:\n    try: print('READ', open(path, 'rb').read(60))\n    except OSError: print('refused')",
        SMALL,
    ),
    "write": (
        "for path in PATHS:\n    try: open(path, 'a').write('x'); print('WROTE')\n    except OSError: print('refused')",
        SMALL,
    ),
    "network": ("import socket\ntry: socket.socket()\nexcept OSError: print('refused')", SMALL),
    "program": ("import os\ntry: os.execv('/bin/sh', ['sh', '-c', 'true'])\nexcept OSError: print('refused')", SMALL),
    "namespace": ("import ctypes; print('refused' if ctypes.CDLL(None).unshare(0x10000000) else 'DONE')", SMALL),
    "memory": ("x = []\nwhile True: x.append(bytes(2**20))", SMALL),
    "memory of children": (
        "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        x = bytearray(60 * 2**20)\n"
        "        for i in range(0, len(x), 4096): x[i] = 1\n        time.sleep(3)\n        os._exit(0)\nwhile True: os.wait()",
        SMALL,
    ),
    "shared memory": (
        "import mmap, time\nm = mmap.mmap(-1, 2**29)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(2)",
        SMALL,
    ),
    "fork bomb": (
        "import os, time\nend = time.time() + 1\nwhile time.time() < end:\n    try:\n        if os.fork() == 0: time.sleep(9)\n"
        "        os.write(1, b'.')\n    except OSError: pass",
        SMALL,
    ),
    "thread bomb": (
        "import os, threading, time\nthreading.stack_size(65536)\nend = time.time() + 1\nwhile time.time() < end:\n    try:\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); os.write(1, b'.')\n"
        "    except (RuntimeError, MemoryError): pass",
        SMALL,
    ),
    "disk": ("with open('x', 'wb') as f:\n    while True: f.write(bytes(2**20))", SMALL),
    "asleep": ("import time; time.sleep(60)", Limits(wall_seconds=0.5)),
    "folder closed": ("import os; open('x.txt', 'w').write('x'); os.chmod('.', 0)", SMALL),
    "folder unsearchable": ("import os; os.mkdir('d'); open('d/x.txt', 'w').write('x'); os.chmod('d', 0o400)", SMALL),
    "hidden pages": (
        "import mmap, time\nm = mmap.mmap(-1, 2**29)\nfor i in range(0, len(m), 4096):\n    m[i] = 1\n"
        "    if i and i % 2**24 == 0: m.madvise(4, i - 2**24, 2**24)\ntime.sleep(1)",
        SMALL,
    ),
    "after": ("print('served')", SMALL),
}  # fmt: skip


async def main(level: str, data: Path, paths: list[str]) -> None:
    settings = Settings(artifacts=Artifacts.model_validate({"isolation": level}), cache=data / "cache")
    async with handiwork.open(data, settings=settings) as engine:
        session = engine.session("probes")
        for name, (program, limits) in PROBES.items():
            free = shutil.disk_usage(data).free
            told: dict[str, object] = {"probe": name}
            try:
                execution = await session.run(f"PATHS = {paths!r}\n{program}", check=False, limits=limits)
            except Exception as broken:  # noqa: BLE001  # the test judges it
                told["broken"] = repr(broken)
            else:
                outcome = execution.outcome
                assert outcome.isolation is not None
                told |= {
                    "status": execution.status,
                    "stdout": outcome.stdout,
                    "stderr": outcome.stderr[-500:],
                    "memory_by": outcome.isolation.memory_by,
                    "walls": [wall for wall, stands in outcome.isolation.walls.items() if stands],
                    "files": [artifact.name for artifact in execution.artifacts],
                }
            told["disk_used"] = free - shutil.disk_usage(data).free
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    os.umask(0o022)
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
