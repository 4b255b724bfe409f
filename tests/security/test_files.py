"""Part B: files. A job reaches the read set and its own folders, and nothing else of the host."""
# ruff: noqa: E501  # probes are programs, a line each

import hashlib
import os
import socket
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from jails import Host, Jail, held, open_descriptors, outside

from handiwork.errors import HandiworkError

SCRATCH = {"/", "/job", "/tmp", "/dev/shm"}
DEVICES = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom")}


# Every way to the file that does not need a program; TARGET is its path on the host.
READS = {
    "14 open": "print(open(TARGET).read())",
    "14 a descriptor": "import os; print(os.read(os.open(TARGET, os.O_RDONLY), 100))",
    "14 mmap": "import mmap, os; print(mmap.mmap(os.open(TARGET, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:])",
    "14 a library in C": "import numpy; print(bytes(numpy.fromfile(TARGET, dtype='uint8')))",
    "14 libc": """
import ctypes
libc = ctypes.CDLL(None)
buffer = ctypes.create_string_buffer(100)
print(libc.read(libc.open(TARGET.encode(), 0), buffer, 99), buffer.raw)""",
    "14 openat2": """
import ctypes, os, struct
how = ctypes.create_string_buffer(struct.pack('<QQQ', 0, 0, 0))
print(os.read(ctypes.CDLL(None).syscall(437, -100, TARGET.encode(), how, 24), 100))""",
    "16 /proc/self/root": "print(open('/proc/self/root' + TARGET).read())",
    "16 the parent's root": "import os; print(open(f'/proc/{os.getppid()}/root' + TARGET).read())",
    "16 any process's root": """
import glob
for root in glob.glob('/proc/[0-9]*/root'):
    try: print(open(root + TARGET).read())
    except OSError: pass""",
    "16 up from /proc/self/cwd": "print(open('/proc/self/cwd' + '/..' * 20 + TARGET).read())",
    "16 up from here": "print(open('../' * 40 + TARGET).read())",
    "17 a symlink": "import os; os.symlink(TARGET, 'link'); print(open('link').read())",
    "17 a symlinked folder": "import os; os.symlink('/', 'up'); print(open('up' + TARGET).read())",
    "17 a hard link": "import os; os.link(TARGET, 'hard'); print(open('hard').read())",
    "17 a rename": "import os; os.rename(TARGET, 'moved'); print(open('moved').read()); os.rename('moved', TARGET)",
    "18 an inherited folder": """
import os
above = [os.open('.', os.O_RDONLY | os.O_DIRECTORY), *range(3, 64)]
for descriptor in above:
    try: found = os.open('../' * 40 + TARGET.lstrip('/'), os.O_RDONLY, dir_fd=descriptor)
    except OSError: continue
    print(os.read(found, 100))""",
    "18 a path descriptor": """
import os
root = os.open('/', os.O_PATH | os.O_DIRECTORY)
print(os.read(os.open(TARGET.lstrip('/'), os.O_RDONLY, dir_fd=root), 100))""",
    "16 another process's descriptors": """
import glob, os
kept = open(TARGET)
for link in glob.glob('/proc/*/fd/*') + [f'/proc/self/fd/{kept.fileno()}']:
    try:
        if os.path.isfile(link) and os.path.getsize(link) < 1000: print(open(link).read())
    except (OSError, ValueError): pass""",
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_no_way_leads_to_a_file_of_the_host(jail: Jail, host: Host, read: str) -> None:
    program = f"TARGET = {str(host.canary)!r}\n{read}"
    control = outside(program, folder=host.folder)
    assert host.secret in control.stdout, control.stderr[-300:]
    for left in ("link", "up", "hard"):
        (host.folder / left).unlink(missing_ok=True)

    execution = await jail.run(program)

    assert host.secret not in await jail.said(execution)
    assert host.is_intact()


async def test_no_file_of_the_machine_or_of_the_server_can_be_read(jail: Jail) -> None:
    await jail.session.create("file", content="private", name="private.txt")
    blob = next(path for path in jail.data.rglob("private.txt"))
    own_source = Path(__file__)
    wanted = [Path(p) for p in ("/etc/passwd", "/etc/shadow", "/etc/hostname", "/root/.bashrc", "/proc/self/environ")]
    wanted += [Path("/proc/1/environ"), jail.data / "handiwork.db", blob, own_source, Path("/sys/class/net/lo/address")]
    there = [str(path) for path in wanted if os.access(path, os.R_OK)]
    assert len(there) > 5, "control: this process can read them"

    execution = await jail.run(f"""
for path in {there!r}:
    try: print('READ', path, open(path, 'rb').read(100))
    except OSError as refused: print('refused', path, type(refused).__name__)
""")

    assert execution.ok, execution.stderr
    assert "READ" not in execution.stdout
    assert execution.stdout.count("refused") == len(there)


@pytest.mark.levels("full")  # at `unprivileged` names and sizes of the host can be seen (documented), contents cannot
async def test_the_names_of_the_host_are_hidden(jail: Jail, host: Host) -> None:
    probe = f"import os; print([os.path.lexists(p) for p in ({str(host.canary)!r}, '/etc/passwd', '/proc', '/sys')])"
    assert outside(probe, folder=host.folder).stdout == "[True, True, True, True]\n"

    execution = await jail.run(probe)

    assert execution.stdout == "[False, False, False, False]\n"


@pytest.mark.levels("unprivileged")  # where /proc is there, every file in it must still be closed
async def test_no_file_below_proc_or_sys_can_be_opened(jail: Jail, host: Host) -> None:
    probe = """
import os
names = ['environ', 'maps', 'mem', 'status', 'cmdline', 'mounts', 'stat', 'fd', 'task', 'ns']
opened = []
for pid in ('self', str(os.getpid()), str(os.getppid()), '1'):
    for name in names:
        try: os.close(os.open(f'/proc/{pid}/{name}', os.O_RDONLY)); opened.append(name)
        except OSError: pass
for path in ('/proc', '/sys', '/proc/kallsyms', '/proc/cpuinfo', '/proc/sys/kernel/core_pattern', '/dev/kmsg'):
    try: os.close(os.open(path, os.O_RDONLY)); opened.append(path)
    except OSError: pass
print(len(opened), opened)
"""
    assert int(outside(probe, folder=host.folder).stdout.split()[0]) > 20

    assert (await jail.run(probe)).stdout == "0 []\n"


@pytest.mark.levels("full")  # at `unprivileged` the mounts are the host's, and Landlock closes them
async def test_the_kernel_lists_no_mount_but_the_read_set_and_scratch_space(jail: Jail) -> None:
    async with held(jail, "pass") as job:
        lines = [line.split() for line in Path(f"/proc/{job}/mountinfo").read_text(encoding="utf-8").splitlines()]

    writable = {parts[4] for parts in lines if "rw" in parts[5].split(",")} - DEVICES
    places = {parts[4] for parts in lines}
    read_only = places - SCRATCH - DEVICES - {"/job/inputs"}
    assert writable == SCRATCH - {"/"}
    assert places >= SCRATCH | DEVICES | {"/job/inputs"}, "control: the list is complete"
    assert any(np.__path__[0].startswith(f"{place}/") for place in read_only), "control: the libraries are there"
    declared = (sys.base_prefix, sys.prefix, "/usr/lib", "/lib", "/usr/share/fonts", "/etc/ld.so.cache")
    assert [place for place in read_only if not place.startswith(declared)] == []
    scratch_options = [set(parts[5].split(",")) for parts in lines if parts[4] in SCRATCH]
    assert all({"nosuid", "nodev", "noexec"} <= options for options in scratch_options)
    assert all({"nosuid", "nodev"} <= set(parts[5].split(",")) for parts in lines if parts[4] in read_only)


async def test_a_job_starts_with_three_descriptors_as_the_kernel_sees_it(jail: Jail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with held(jail, "pass") as job:
            has = open_descriptors(job)
        assert open_descriptors()[str(listener.fileno())].startswith("socket:"), "control: one that must not leak"

    assert set(has) == {"0", "1", "2"}
    assert has["0"] == "/dev/null"
    assert has["1"].startswith("pipe:")
    assert has["2"].startswith("pipe:")


# Every way to change a file that the job can see or name; TARGET is its path.
WRITES = """
import ctypes, os
TARGET = {target!r}
def truncate(): os.truncate(TARGET, 0)
def append():
    with open(TARGET, 'a') as file: file.write('changed')
def overwrite():
    descriptor = os.open(TARGET, os.O_RDWR); os.write(descriptor, b'changed')
def replace(): open('other', 'w').close(); os.replace('other', TARGET)
def unlink(): os.unlink(TARGET)
def rename(): os.rename(TARGET, TARGET + '.moved')
def beside(): open(TARGET + '.new', 'w').close()
def beside_folder(): os.mkdir(TARGET + '.folder')
def beside_link(): os.symlink('/', TARGET + '.link')
def write_only(): os.write(os.open(TARGET, os.O_WRONLY | os.O_TRUNC), b'changed')
def mode(): os.chmod(TARGET, 0o777)
def times(): os.utime(TARGET, (1, 1))
def attribute(): os.setxattr(TARGET, 'user.changed', b'1')
def owner(): os.chown(TARGET, 1, 1)
def shared_mapping():
    import mmap
    page = mmap.mmap(os.open(TARGET, os.O_RDWR), 0); page[:3] = b'new'; page.flush()
for way in {ways}:
    try: globals()[way]()
    except (OSError, ValueError) as refused: print('refused', way, refused)
"""
WAYS = (
    *("append", "overwrite", "shared_mapping", "mode", "times", "attribute", "owner", "beside", "beside_folder"),
    *("beside_link", "write_only", "truncate", "rename", "replace", "unlink"),
)


def look_of(file: Path) -> tuple[object, ...]:
    facts = file.stat()
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    return content, facts.st_mode, facts.st_mtime_ns, facts.st_uid, os.listxattr(file), sorted(file.parent.iterdir())


def targets() -> dict[str, Path]:
    return {
        "interpreter": Path(os.__file__),
        "library": Path(np.__file__),
        "loader cache": Path("/etc/ld.so.cache"),
        "source": Path(__file__),
    }


@pytest.mark.parametrize("target", targets().values(), ids=targets())
async def test_nothing_outside_the_work_folder_can_be_changed(jail: Jail, target: Path) -> None:
    before = look_of(target)

    execution = await jail.run(WRITES.format(target=str(target), ways=WAYS))

    assert execution.ok, execution.stderr
    assert look_of(target) == before


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_that_everybody_may_write_cannot_be_changed_either(jail: Jail, host: Host, way: str) -> None:
    program = WRITES.format(target=str(host.canary), ways=(way,))
    untouched = look_of(host.canary)
    await jail.run(program)
    assert look_of(host.canary) == untouched

    outside(program, folder=host.folder)

    assert not host.canary.exists() or look_of(host.canary) != untouched, "control: the same way changes it outside"


async def test_inputs_cannot_be_changed(jail: Jail, host: Host) -> None:
    given = await jail.session.create("file", content="as given", name="given.txt")
    again = "print(open('given.txt').read(), open('inputs/given.txt').read())"

    execution = await jail.run(WRITES.format(target="inputs/given.txt", ways=WAYS) + again, inputs=[given])

    assert execution.stdout.endswith("as given as given\n")
    assert await jail.session.read(given.id) == b"as given"
    with pytest.raises(HandiworkError):
        await jail.run("", inputs=[host.folder / ".." / ".."])


@pytest.mark.parametrize("name", ["inputs", ".tmp", "main.py", "-rf", "..x", "a b.csv", "é.csv", "con.txt"])
async def test_an_input_of_any_name_is_found_by_that_name(jail: Jail, name: str) -> None:
    given = await jail.session.create("file", content="as given", name=name)

    execution = await jail.run(f"import os; print(open(os.path.join('inputs', {name!r})).read())", inputs=[given])

    assert execution.stdout == "as given\n", execution.stderr


@pytest.mark.parametrize("name", ["../up.txt", "/etc/up.txt", "..", ".", "new\nline", "nul\0", "\x1b[2J", "x" * 256])
async def test_an_input_cannot_have_a_name_that_leads_elsewhere(jail: Jail, name: str) -> None:

    async def give() -> None:
        made = await jail.session.create("file", content="x", name=name)
        await jail.run("", inputs=[made])

    with pytest.raises(HandiworkError):
        await give()


DEVICE_PROBE = """
import os, stat
made = []
for name, kind, number in (('mem', stat.S_IFCHR, (1, 1)), ('disk', stat.S_IFBLK, (254, 0)), ('whiteout', stat.S_IFCHR, (0, 0))):
    try: os.mknod(name, kind | 0o666, os.makedev(*number)); made.append(name)
    except OSError: pass
print('made', made)
for path in ('/dev/mem', '/dev/kmsg', '/dev/kvm', '/dev/fuse', '/dev/vda', '/dev/sda', '/dev/tty', '/dev/ptmx', '/dev/loop-control'):
    try: os.open(path, os.O_RDWR); made.append(path); print('opened', path)
    except OSError: pass
"""


async def test_no_device_can_be_made_or_opened(jail: Jail, host: Host) -> None:
    control = outside(DEVICE_PROBE, folder=host.folder)
    assert os.geteuid() != 0 or "made ['mem', 'disk', 'whiteout']" in control.stdout

    execution = await jail.run(DEVICE_PROBE)

    assert execution.stdout == "made []\n"
    assert execution.artifacts == ()


async def test_an_exchange_with_a_whiteout_leaves_no_device(jail: Jail) -> None:
    execution = await jail.run("""
import ctypes
open('a.txt', 'w').write('kept')
print(ctypes.CDLL(None, use_errno=True).syscall(316, -100, b'a.txt', -100, b'b.txt', 4))
""")

    assert {a.name for a in execution.artifacts} in ({"a.txt"}, {"b.txt"})
    assert {r.reason for r in execution.outcome.refused} <= {"device"}


async def test_a_setuid_file_is_stored_without_the_bit(jail: Jail) -> None:
    made = await jail.run("""
import os
open('tool.txt', 'w').write('setuid')
os.chmod('tool.txt', 0o6777)
""")

    (tool,) = made.artifacts
    blob = next(path for path in jail.data.rglob("tool.txt") if path.is_file())
    assert await jail.session.read(tool.id) == b"setuid", "control: the file itself is kept"
    assert not blob.stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR | stat.S_IXOTH)


async def test_attributes_leases_and_watches_are_refused(jail: Jail, host: Host) -> None:
    program = f"""
import ctypes, fcntl, os
libc = ctypes.CDLL(None, use_errno=True)
open('mine', 'w').close()
def lease(): fcntl.fcntl(os.open('mine', os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)
def owner(): fcntl.fcntl(os.open('mine', os.O_RDONLY), 8, os.getppid())
def notify(): fcntl.fcntl(os.open('.', os.O_RDONLY), fcntl.F_NOTIFY, fcntl.DN_CREATE)
def attribute(): os.setxattr('mine', 'user.x', b'1')
def inotify():
    if libc.inotify_init1(0) < 0: raise OSError
def watch():
    if libc.inotify_add_watch(libc.inotify_init1(0), {str(host.folder)!r}.encode(), 0xfff) < 0: raise OSError
for way in (lease, owner, notify, attribute, inotify, watch):
    try: way(); print('did', way.__name__)
    except OSError: pass
print('end')
"""
    assert outside(program, folder=host.folder).stdout.count("did") >= 5

    assert (await jail.run(program)).stdout == "end\n"
