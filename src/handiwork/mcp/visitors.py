"""Who speaks the protocol with us, and what stands open: one session, its tools, and how long that lasts.

How a visitor was recognised, and over which transport it speaks, is not known here.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from handiwork.mcp.backlog import Backlog, OpenStreams
from handiwork.mcp.lines import Line
from handiwork.tools.tool import Tool
from handiwork.tools.toolbox import Toolbox

if TYPE_CHECKING:
    from handiwork.client.session import RemoteSession
    from handiwork.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One client, within the session that it may see.

    `may_use` says which tools it is shown, and `may_approve` whether what its user says is a user's decision.
    `until_over` returns when it may see nothing more, or soon after; `is_over` tells it at the moment, as far as it was
    known before. On `line` it is told what it has not asked for, `backlog` is what it waits for, and `streams` are the
    ones on which it listens.
    """

    session: "Session | RemoteSession"
    toolbox: Toolbox
    may_use: Callable[[Tool], bool] = lambda _: True
    may_approve: bool = False
    until_over: Callable[[], Awaitable[None]] = anyio.sleep_forever
    is_over: Callable[[], bool] = lambda: False
    line: Line = field(default_factory=Line)
    backlog: Backlog = field(default_factory=Backlog)
    streams: OpenStreams = field(default_factory=OpenStreams)
