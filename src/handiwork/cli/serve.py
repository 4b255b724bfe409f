"""The command `serve`: both origins on the network, after a look at who could reach them and what protects them.

How requests are answered is the server's.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from handiwork import wiring
from handiwork.cli.failures import DONE, KeysNeeded
from handiwork.cli.printing import print_facts, progress, results, say
from handiwork.cli.remarks import remarks
from handiwork.errors import InvalidSetting
from handiwork.model import Isolation
from handiwork.server.connections import raise_descriptor_limit
from handiwork.server.desk import API, MCP, Desk, Origins
from handiwork.server.guards import LOCAL_NAMES
from handiwork.server.serving import Place, answer_until_told, claim, run_quickly
from handiwork.settings import Server, Settings, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for, as it was written; `mcp_session` is for clients of MCP that name none."""

    host: str = "127.0.0.1"
    port: int = 8765
    content_port: int = 8766
    data: str | None = None
    config: str | None = None
    as_json: bool = False
    mcp_session: str | None = None


def serve(request: Request) -> int:
    """Serve until told to stop, and return the exit code."""
    settings = load(None if request.config is None else Path(request.config))
    raise_descriptor_limit()
    with claim(request.host, request.port) as public, claim(request.host, request.content_port) as content:
        is_exposed = not public.is_loopback or _is_told_abroad(settings.server)
        if is_exposed:
            settings = _hardened(settings, request.host)
        return run_quickly(lambda: _serve(request, settings, public=public, content=content, is_exposed=is_exposed))


def origins_of(settings: Server, *, public: Place, content: Place) -> Origins:
    """Return what the two places are called from outside."""
    names = () if public.is_wildcard else (public.name,)
    return Origins(
        public=settings.public_url or public.url,
        content=settings.content_url or content.url,
        hosts=(*settings.allowed_hosts, *names),
        cors=settings.cors,
        embedders=settings.embedders,
    )


async def _serve(request: Request, settings: Settings, *, public: Place, content: Place, is_exposed: bool) -> int:
    origins = origins_of(settings.server, public=public, content=content)
    with remarks():
        opened = wiring.open_desk(request.data, settings=settings, origins=origins, is_open=not is_exposed)
        async with opened as at_hand:
            desk = replace(at_hand, mcp_session=request.mcp_session)
            has_keys = await desk.keys.is_any()
            if is_exposed and not has_keys:
                raise KeysNeeded(origins.public if public.is_loopback else request.host, data=request.data)

            # Before anybody is answered: a rush of clients must not take the descriptors that this needs.
            with progress("Building the walls"):
                isolation = await desk.engine.isolation()

            async def announce() -> None:
                if not request.as_json:
                    _print_addresses(results(), desk, public, is_open=not has_keys)
                if request.as_json:
                    _print_line(desk, public, content, isolation, is_open=not has_keys)
                else:
                    _print_isolation(results(), isolation)

            await answer_until_told(desk, public=public, content=content, announce=announce)
    return DONE


def _is_told_abroad(server: Server) -> bool:
    """Whether the configuration says that others come here: through a proxy on this machine, or by pages elsewhere."""
    urls = (server.public_url, server.content_url, *server.cors, *server.embedders)
    named = [*server.allowed_hosts, *(urlsplit(url).netloc for url in urls if url)]
    return any(not _is_local(name) for name in named)


def _is_local(name: str) -> bool:
    return name.lower() in LOCAL_NAMES or name.lower().rpartition(":")[0] in LOCAL_NAMES


def _hardened(settings: Settings, host: str) -> Settings:
    """Return the settings for a server that others reach: without a word on isolation, nothing less than `full`."""
    match settings.artifacts.isolation:
        case "auto":
            return wiring.with_isolation(settings, "full")
        case "none":
            problem = f"`none` is not possible where others can reach the server (`{host}`)"
            raise InvalidSetting("artifacts.isolation", problem=problem, where="the configuration")
        case _:
            return settings


def _print_addresses(console: Console, desk: Desk, public: Place, *, is_open: bool) -> None:
    origins = desk.origins
    say(console, ("Handiwork is serving.", "bold green"))
    console.print()
    facts = {
        "gallery": f"{origins.public}/",
        "API": f"{origins.public}{API}",
        "MCP": f"{origins.public}{MCP}",
        "content": origins.content,
        "access": _access(is_open=is_open),
    }
    print_facts(console, facts)
    console.print()
    if public.is_wildcard and not _further_names(origins):
        told = "Under other names than those of this machine it answers to nobody: set `server.public_url`, "
        say(console, ("hint: ", "bold"), f"{told}`server.content_url` and `server.allowed_hosts`.")
    # Whoever reads this through a pipe waits for it.
    sys.stdout.flush()


def _print_isolation(console: Console, isolation: Isolation) -> None:
    level, memory = isolation.level, isolation.memory_by
    say(console, "Programs run in isolation ", (level, "bold"), f", memory bounded by {memory}. Ctrl-C stops it.")
    sys.stdout.flush()


def _access(*, is_open: bool) -> str:
    if is_open:
        return "open to everybody on this machine; the first `handiwork keys create` ends that"
    return "with a key or token; `handiwork keys list` shows the keys"


def _further_names(origins: Origins) -> Sequence[str]:
    return [name for name in (*origins.hosts, urlsplit(origins.public).netloc) if not _is_local(name)]


def _print_line(desk: Desk, public: Place, content: Place, isolation: Isolation, *, is_open: bool) -> None:
    told = {
        "url": public.url,
        "contentUrl": content.url,
        "gallery": f"{desk.origins.public}/",
        "mcp": f"{desk.origins.public}{MCP}",
        "open": is_open,
        "isolation": isolation.level,
    }
    # On one line, so that who waits for it knows when it is whole.
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
