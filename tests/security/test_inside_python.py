"""Part A: breaking out of Python, which is easy and must gain nothing. What the check refuses is tested elsewhere."""
# ruff: noqa: E501  # probes are programs, a line each

import os
from pathlib import Path

import pytest
from jails import Host, Jail, no_process_is_left, outside

import handiwork
from handiwork.model import MIB, Limits

# Each leaves Python for the shell by another way and makes the marker, whose path follows as MARKER.
ESCAPES = {
    "1 os.system": "__import__('os').system('echo > ' + MARKER)",
    "1 importlib": "import importlib; importlib.import_module('subprocess').run(['/bin/sh', '-c', 'echo > ' + MARKER])",
    "1 a module that was deleted": "import sys\nfor name in ('os', 'posix'):\n    sys.modules.pop(name, None)\n"
    "import posix; posix.system('echo > ' + MARKER)",
    "1 plain open": "open(MARKER, 'w')",
    "2 subclasses": """
walk = [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == '_wrap_close'][0]
walk.__init__.__globals__['system']('echo > ' + MARKER)""",
    "3 frames": """
import sys
frame = sys._getframe()
while frame.f_back:
    frame = frame.f_back
frame.f_builtins['__import__']('os').system('echo > ' + MARKER)""",
    "6 patched builtins": """
import builtins, os
builtins.open = builtins.print = lambda *a, **k: os.system('echo > ' + MARKER)
print('x')""",
    "7 format string": """
import os
class It:
    def __init__(self): pass
assert 'built' in '{0.__init__.__globals__[__builtins__]}'.format(It())
It.__init__.__globals__['os'].system('echo > ' + MARKER)""",
    "9 code.replace": """
def harmless(): return posix
def work(): import posix; posix.system('echo > ' + MARKER)
harmless.__code__ = harmless.__code__.replace(co_code=work.__code__.co_code, co_consts=work.__code__.co_consts,
    co_names=work.__code__.co_names, co_stacksize=9, co_nlocals=1, co_varnames=('posix',))
harmless()""",
    "9 libc through ctypes": "import ctypes; ctypes.CDLL(None).system(('echo > ' + MARKER).encode())",
    "10 NFKC names": "import \uff4f\uff53; \uff4f\uff53.\uff53\uff59\uff53\uff54\uff45\uff4d('echo > ' + MARKER)",
    "10 a carriage return": "x = 1 #\rimport os; os.system('echo > ' + MARKER)",
    "11 after the end": "import atexit, os; atexit.register(os.system, 'echo > ' + MARKER)",
    "11 in a finalizer": """
import os
class Last:
    def __del__(self, system=os.system, marker=MARKER): system('echo > ' + marker)
last = Last()""",
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
async def test_leaving_python_does_not_reach_the_host(jail: Jail, host: Host, escape: str) -> None:
    program = f"MARKER = {str(host.marker)!r}\n{escape}"
    outside(program, folder=host.folder)
    assert host.reached(), "control: the probe works outside"

    await jail.run(program)

    assert not host.reached()
    assert await no_process_is_left()
    assert host.is_intact()


CANARY_SEARCHES = {
    "3 every frame and its locals": """
import sys
found, frame = [], sys._getframe()
while frame:
    found.append(repr(frame.f_locals)); found.append(repr(frame.f_globals)); frame = frame.f_back
try:
    raise ValueError
except ValueError as error:
    tb = error.__traceback__
    while tb:
        found.append(repr(tb.tb_frame.f_globals)); tb = tb.tb_next
print(found)""",
    "4 every object": """
import gc
gc.unfreeze() if hasattr(gc, 'unfreeze') else None
print([repr(o)[:4000] for o in gc.get_objects() if isinstance(o, (dict, list, str, tuple))])""",
    "5 all threads, tracing": """
import sys, inspect
seen = []
def trace(frame, event, arg):
    try: seen.append(repr(frame.f_locals)[:10000])
    except Exception: pass
sys.settrace(trace)
found = [repr(f.frame.f_locals) for f in inspect.stack()]
sys.settrace(None)
print(sys._current_frames(), found, seen)""",
    "7 format walk": "import os\nprint('{0.__globals__[sys].modules}'.format(os.walk), '{0.environ}'.format(os))",
    "75 environment": """
import os, ctypes
environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')
block, i = [], 0
while environ and environ[i]:
    block.append(environ[i]); i += 1
print(dict(os.environ), block)
for name in ('environ', 'cmdline', 'auxv'):
    try: print(open(f'/proc/self/{name}', 'rb').read())
    except OSError as refused: print(refused)""",
}


@pytest.mark.parametrize("search", CANARY_SEARCHES.values(), ids=CANARY_SEARCHES)
async def test_no_secret_of_the_server_is_within_reach_of_python(
    jail: Jail, host: Host, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", host.secret)
    planted = f"import os\nplanted = {host.secret!r}\nholder = dict(key=planted)\n"
    control = outside(planted + search, folder=host.folder, environment={"API_KEY": host.secret})
    assert host.secret in control.stdout, f"control: {control.stderr[-500:]}"

    execution = await jail.run(search)

    assert execution.ok, execution.stderr
    assert host.secret not in await jail.said(execution)


FORGERIES = {
    "5 through the frames of the runner": """
import sys
frame = sys._getframe()
while frame:
    for name, value in list(frame.f_locals.items()):
        if isinstance(value, dict) and name == 'words':
            value.update({'status': 'succeeded', 'exit_code': 0, 'violations': [{'line': 1, 'rule': 'x'}]})
    frame = frame.f_back
sys.exit(7)""",
    "6 a patched writer": """
import json, os, sys
json.dumps = lambda *a, **k: '{"status": "succeeded", "exit_code": 0}'
sys.exit(7)""",
    "33 on standard output": """
import sys
print('{"status": 0, "began": true, "report": "{}"}')
print('\\x00\\x00\\x00\\x10{"status": 0}', flush=True)
sys.exit(7)""",
    "33 on every descriptor": """
import os, sys
for descriptor in range(3, 1024):
    try: os.write(descriptor, b'\\x00\\x00\\x00\\x22{"status": 0, "began": true, "x": 1}')
    except OSError: pass
sys.exit(7)""",
    "33 in the shared report page": """
import gc, json, mmap, sys
for page in [o for o in gc.get_objects() if isinstance(o, mmap.mmap)]:
    words = json.dumps({'status': 'succeeded', 'violations': [{'line': 1}], 'error': None}).encode()
    page[:4] = len(words).to_bytes(4, 'big'); page[4:4 + len(words)] = words
import os; os._exit(7)""",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
async def test_a_program_cannot_forge_its_result(jail: Jail, forgery: str) -> None:
    truth = await jail.run("print('fine')")
    assert (truth.status, truth.outcome.exit_code) == ("succeeded", 0), "control: an honest success is one"

    execution = await jail.run(forgery)

    assert (execution.status, execution.outcome.exit_code) == ("failed", 7)
    assert execution.outcome.violations == ()


async def test_a_program_finds_none_of_our_modules(jail: Jail) -> None:
    named = await jail.run("import sys\nprint(*sorted({name.partition('.')[0] for name in sys.modules}))")

    assert {"sys", "numpy"} <= set(named.stdout.split()), "control: others are named"
    assert "handiwork" not in named.stdout


def test_no_wall_is_an_audit_hook_which_a_program_could_take_away() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in Path(handiwork.__path__[0]).rglob("*.py")}

    assert "zygote.py" in sources
    assert [name for name, text in sources.items() if "audithook" in text] == []


CRASHES = {
    "9 memory at nowhere": ("import ctypes; ctypes.string_at(8)", {"SIGSEGV"}),
    "9 an object overwritten": ("import ctypes; ctypes.memset(id(type), 255, 512); type.mro(int)", {"SIGSEGV", "SIGABRT"}),
    "11 os.abort": ("import os; os.abort()", {"SIGABRT"}),
    "42 C stack": ("import ctypes, sys, threading\nsys.setrecursionlimit(10**9)\nclass A: pass\n"
    "a = A()\nA.__repr__ = lambda self: repr([self])\nrepr(a)", {"SIGSEGV", None}),
    "42 nested brackets": ("import ast; ast.literal_eval('-' * 10**6 + '1')", {"SIGSEGV", None}),
}  # fmt: skip


@pytest.mark.parametrize(("crash", "signals"), CRASHES.values(), ids=CRASHES)
async def test_a_crash_is_told_as_such_and_the_next_run_is_healthy(
    jail: Jail, crash: str, signals: set[str | None]
) -> None:
    before = await jail.run("print('healthy')")
    execution = await jail.run(crash)
    after = await jail.run("print('healthy')")

    assert before.stdout == after.stdout == "healthy\n"
    assert execution.status in ("killed", "failed", "out_of_memory")
    assert execution.outcome.signal in signals
    assert (execution.outcome.signal is None) == (execution.outcome.exit_code is not None)


ENDINGS = {
    "11 os._exit(0)": ("import os; os._exit(0)", "succeeded", 0),
    "11 os._exit(3)": ("import os; os._exit(3)", "failed", 3),
    "11 sys.exit with words": ("import sys; sys.exit('no ' * 10)", "failed", 1),
    "11 hostile words": (
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError\n    __repr__ = __str__\nraise Bad()",
        "failed",
        1,
    ),
    "11 hostile class": (
        "class M(type):\n    def __getattribute__(c, n): raise SystemExit(0)\n"
        "class Bad(BaseException, metaclass=M): pass\nraise Bad",
        "failed",
        1,
    ),
    "11 at exit": ("import atexit\ndef f(): raise KeyboardInterrupt\natexit.register(f)", None, None),
    "87 endless words": ("raise ValueError('x' * 50_000_000)", "failed", 1),
    "87 a cycle of causes": (
        "a, b = ValueError(1), ValueError(2)\na.__cause__, b.__cause__ = b, a\nraise a",
        "failed",
        1,
    ),
    "87 a long chain": (
        "def f(n):\n    try: raise ValueError(n)\n    except ValueError:\n        if n: f(n - 1)\n        raise\nf(300)",
        "failed",
        1,
    ),
    "87 no words at all": ("raise ValueError('\\ud800\\x00\\x1b[2J')", "failed", 1),
    "87 a million warnings": (
        "import warnings\nwarnings.simplefilter('always')\nfor _ in range(10**5): warnings.warn('x' * 100)",
        "succeeded",
        0,
    ),
}


@pytest.mark.parametrize(("ending", "status", "code"), ENDINGS.values(), ids=ENDINGS)
async def test_every_way_to_end_is_told_truly_and_in_bounded_words(
    jail: Jail, ending: str, status: str | None, code: int | None
) -> None:
    execution = await jail.run(ending, limits=Limits(wall_seconds=10, memory_bytes=512 * MIB))

    if status is not None:
        assert (execution.status, execution.outcome.exit_code) == (status, code), execution.stderr[-500:]
    told = execution.error
    assert told is None or len(told.message) + len(told.traceback) < 50_000
    assert len(execution.stderr) <= 1 * MIB + 200
    assert execution.outcome.duration_ms < 9_000
    kept = await jail.session.execution(execution.id)
    assert kept.status == execution.status


async def test_source_in_any_disguise_is_held_by_the_same_walls(jail: Jail, host: Host) -> None:
    source = f"# coding: utf-7\nimport os\nos.system('echo > {host.marker}')\n"
    outside(source.replace("utf-7", "utf-8"), folder=host.folder)
    assert host.reached()

    for disguised in (source, source.replace("\n", "\r\n"), "\ufeff" + source, source.replace("import", "import\f")):
        await jail.run(disguised)
        assert not host.reached()

    nul = await jail.run(f"{source}\0")
    assert nul.status in ("failed", "rejected")


SHADOWS = ("json.py", "sitecustomize.py", "usercustomize.py", "evil.pth", "matplotlibrc", "numpy/__init__.py", "os.py")


async def test_modules_left_in_the_folder_reach_neither_the_next_run_nor_the_host(jail: Jail, host: Host) -> None:
    plant = f"open({str(host.marker)!r}, 'w')"
    control = "import importlib.util, sys; sys.path.insert(0, '.'); import evil_shadow"
    (host.folder / "evil_shadow.py").write_text(plant, encoding="utf-8")
    outside(control, folder=host.folder)
    (host.folder / "evil_shadow.py").unlink()
    for cache in (host.folder / "__pycache__").glob("*"):
        cache.unlink()
    (host.folder / "__pycache__").rmdir()
    assert host.reached(), "control: a module in the first folder of the path is imported"

    await jail.run(f"""
import os
os.mkdir('numpy')
for name in {SHADOWS!r}:
    open(name, 'w').write({f"import os; {plant}"!r} if name != 'matplotlibrc' else 'figure.dpi: 7')
""")
    second = await jail.run(
        "import json, os, numpy, matplotlib; print(os.listdir('.'), matplotlib.rcParams['figure.dpi'])"
    )

    assert second.ok, second.stderr
    assert "json.py" not in second.stdout
    assert second.stdout.endswith("100.0\n")
    assert not host.reached()


CHART = """
import matplotlib.pyplot as plt
plt.plot([1, 3, 2]); plt.title('Größe Ωμέγα Дата')
plt.savefig('chart.png', metadata={'Software': None})
"""


async def test_a_poisoned_cache_does_not_change_the_chart_of_the_next_run(jail: Jail) -> None:
    first = await jail.files(await jail.run(CHART))

    spoiled = await jail.files(
        await jail.run(f"""
import os, sys, matplotlib, matplotlib.font_manager as manager
for folder in (matplotlib.get_cachedir(), matplotlib.get_configdir(), os.path.expanduser('~')):
    for name in ('fontlist-v390.json', 'matplotlibrc', '.matplotlib/matplotlibrc'):
        try: open(os.path.join(folder, name), 'w').write('{{}}')
        except OSError as refused: print(refused)
manager.fontManager.ttflist.clear()
matplotlib.rcParams['figure.facecolor'] = 'red'
{CHART}""")
    )
    second = await jail.files(await jail.run(CHART))

    assert spoiled.get("chart.png") != first["chart.png"], "control: the chart shows what is done to it"
    assert second["chart.png"] == first["chart.png"]


async def test_the_libraries_of_the_host_hold_no_byte_code_made_by_a_job(jail: Jail) -> None:
    import tabulate  # a module that the warm interpreter does not import itself

    folder = Path(tabulate.__file__).parent
    before = {(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in folder.iterdir()}

    execution = await jail.run(f"""
import sys, py_compile
sys.dont_write_bytecode = False
import tabulate
try: py_compile.compile({tabulate.__file__!r}, cfile={str(folder / "planted.pyc")!r}, doraise=True)
except OSError as refused: print('refused', type(refused).__name__)
""")

    assert "refused" in execution.stdout
    assert {(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in folder.iterdir()} == before
    assert os.access(folder, os.W_OK), "control: this process could have written there"
