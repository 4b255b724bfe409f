"""Part E: no network and no way to another process. What a listener of the host saw is what counts."""
# ruff: noqa: E501  # probes are programs, a line each

import ctypes
import os
import secrets
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jails import Host, Jail, bystander, held, namespace, outside


@contextmanager
def listener(family: int, address: str | tuple[str, int], kind: int = socket.SOCK_STREAM) -> Generator[socket.socket]:
    with socket.socket(family, kind) as server:
        server.bind(address)
        if kind == socket.SOCK_STREAM:
            server.listen()
        server.setblocking(False)
        yield server


def was_reached(server: socket.socket) -> bool:
    try:
        if server.type == socket.SOCK_DGRAM:
            return bool(server.recv(100))
        connection, _ = server.accept()
    except BlockingIOError:
        return False
    connection.close()
    return True


PORT_PROBES = {
    "55 connect": "import socket; socket.create_connection(('127.0.0.1', PORT), timeout=1)",
    "55 urllib": "import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=0.2)",
    "55 asyncio": "import asyncio; asyncio.run(asyncio.wait_for(asyncio.open_connection('127.0.0.1', PORT), 1))",
    "55 an IPv6 socket": "import socket; s = socket.socket(10, 1); s.settimeout(1); s.connect(('::ffff:127.0.0.1', PORT))",
    "55 libc": """
import ctypes, struct
libc = ctypes.CDLL(None)
libc.connect(libc.socket(2, 1, 0), struct.pack('<H', 2) + struct.pack('>H', PORT) + bytes([127, 0, 0, 1]) + bytes(8), 16)""",
    "55 fast open": "import socket; socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', PORT))",
    "58 a descriptor that was left open": """
import os, socket
for number in range(3, 200):
    try: socket.socket(fileno=os.dup(number)).connect(('127.0.0.1', PORT))
    except OSError: pass
socket.create_connection(('127.0.0.1', PORT), timeout=1)""",
}


@pytest.mark.parametrize("probe", PORT_PROBES.values(), ids=PORT_PROBES)
async def test_no_connection_reaches_a_port_of_the_host(jail: Jail, tmp_path: Path, probe: str) -> None:
    with listener(socket.AF_INET, ("127.0.0.1", 0)) as server:
        program = f"PORT = {server.getsockname()[1]}\n{probe}"
        outside(program, folder=tmp_path)
        assert was_reached(server), "control: the probe connects outside"

        await jail.run(program)

        assert not was_reached(server)


async def test_no_datagram_reaches_the_host(jail: Jail, tmp_path: Path) -> None:
    with listener(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM) as server:
        probe = f"import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', {server.getsockname()[1]}))"
        outside(probe, folder=tmp_path)
        assert was_reached(server)

        await jail.run(probe)

        assert not was_reached(server)


async def test_an_abstract_socket_of_the_host_is_out_of_reach(jail: Jail, tmp_path: Path) -> None:
    name = f"\0handiwork-{secrets.token_hex(8)}"
    with listener(socket.AF_UNIX, name) as server:
        probe = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r})"
        outside(probe, folder=tmp_path)
        assert was_reached(server)

        await jail.run(probe)
        await jail.run(f"""
import ctypes, socket, struct
a, b = socket.socketpair()
address = struct.pack('<H', 1) + {name.encode()!r}
libc = ctypes.CDLL(None)
libc.connect(a.fileno(), address, len(address))
libc.bind(a.fileno(), address, len(address))
libc.sendto(b.fileno(), b'x', 1, 0, address, len(address))
""")

        assert not was_reached(server)


async def test_a_named_socket_of_the_host_is_out_of_reach(jail: Jail, host: Host) -> None:
    path = host.folder / "docker.sock"
    with listener(socket.AF_UNIX, str(path)) as server:
        path.chmod(0o777)
        probe = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
        outside(probe, folder=host.folder)
        assert was_reached(server)

        await jail.run(probe)

        assert not was_reached(server)


FAMILIES = {
    "unix": 1, "inet": 2, "ax25": 3, "ipx": 4, "inet6": 10, "netlink": 16, "packet": 17, "rds": 21, "can": 29,
    "tipc": 30, "bluetooth": 31, "alg": 38, "nfc": 39, "vsock": 40, "kcm": 41, "qipcrtr": 42, "smc": 43, "xdp": 44,
    "mctp": 45,
}  # fmt: skip


async def test_no_family_of_sockets_can_be_opened(jail: Jail, tmp_path: Path) -> None:
    probe = f"""
import socket
opened = []
for family in {sorted(FAMILIES.values())}:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        for protocol in (0, 1, 255):
            try: socket.socket(family, kind, protocol); opened.append(family)
            except OSError: pass
print(sorted(set(opened)))
"""
    control = outside(probe, folder=tmp_path).stdout
    assert control.startswith("[1, 2, 10, 16") or "1, 2" in control

    assert (await jail.run(probe)).stdout == "[]\n"


async def test_a_pair_of_sockets_works_and_reaches_nobody(jail: Jail) -> None:
    execution = await jail.run("""
import array, asyncio, os, socket
a, b = socket.socketpair()
socket.send_fds(a, [b'x'], [1])
message, descriptors, *_ = socket.recv_fds(b, 1, 1)
os.write(descriptors[0], b'passed to itself\\n')
asyncio.run(asyncio.sleep(0))
""")

    assert execution.stdout == "passed to itself\n", execution.stderr


async def test_names_and_addresses_are_not_resolved(jail: Jail) -> None:
    execution = await jail.run("""
import socket
for name in ('localhost', 'example.com'):
    try: print(socket.getaddrinfo(name, 80))
    except OSError as refused: print('refused', refused)
""")

    assert execution.stdout.count("refused") + execution.stdout.count("127.0.0.1") == 2
    assert "example.com" not in execution.stdout
    assert execution.outcome.duration_ms < 3_000


async def test_shared_memory_of_the_host_is_out_of_reach(jail: Jail, tmp_path: Path) -> None:
    secret = f"canary-{secrets.token_hex(16)}"
    named = Path(f"/dev/shm/handiwork-{secrets.token_hex(8)}")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    key = 0x68770000 | secrets.randbelow(0xFFFF)
    segment = libc.shmget(key, 4096, 0o1666)
    assert segment >= 0
    place = libc.shmat(segment, None, 0)
    try:
        ctypes.memmove(place, secret.encode(), len(secret))
        named.write_text(secret, encoding="ascii")
        named.chmod(0o666)
        probe = f"""
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
segment = libc.shmget({key}, 4096, 0)
if segment >= 0: print(ctypes.string_at(libc.shmat(segment, None, 0), 100))
try: print(open({str(named)!r}).read())
except OSError as refused: print('refused')
"""
        assert outside(probe, folder=tmp_path).stdout.count(secret) == 2

        execution = await jail.run(probe)

        assert "refused" in execution.stdout
        assert secret not in await jail.said(execution)
    finally:
        libc.shmdt(ctypes.c_void_p(place))
        libc.shmctl(segment, 0, None)
        named.unlink(missing_ok=True)


@pytest.mark.levels("full")  # at `unprivileged` the namespaces are the host's, and the calls are what is refused
async def test_every_namespace_is_another_than_the_hosts(jail: Jail) -> None:
    def namespaces(pid: int) -> dict[str, int]:
        names = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
        return {name: namespace(pid, name) for name in names}

    async with held(jail, "pass") as job:
        inside = namespaces(job)
        interfaces = Path(f"/proc/{job}/net/dev").read_text(encoding="ascii").splitlines()[2:]

    own = namespaces(os.getpid())
    with bystander() as other:
        assert namespaces(other.pid) == own, "control: an ordinary child shares them"
    assert [name for name in own if inside[name] == own[name]] == []
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


async def test_the_environment_names_no_bus_agent_or_display(jail: Jail, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary")

    execution = await jail.run("import os; print(sorted(os.environ))")

    assert execution.stdout.strip() == str(
        sorted(
            ["HOME", "LANG", "MPLBACKEND", "MPLCONFIGDIR", "PATH", "TMPDIR", "TZ"]
            + [f"{library}_NUM_THREADS" for library in ("MKL", "NUMEXPR", "OMP", "OPENBLAS")]
        )
    )
