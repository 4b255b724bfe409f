"""Handiwork, the artifact engine for AI agents. Names are loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handiwork.autopilot.goal import BudgetPolicy, Goal
    from handiwork.autopilot.pilot import Autopilot
    from handiwork.autopilot.result import AutopilotResult
    from handiwork.client.engine import connect
    from handiwork.collect.collector import ArtifactCollector
    from handiwork.collect.tool_output import ToolOutput
    from handiwork.context.artifact_store import ArtifactStore
    from handiwork.context.marker import HANDOFF_INSTRUCTIONS
    from handiwork.engine import Engine
    from handiwork.errors import HandiworkError
    from handiwork.events import Event
    from handiwork.model import Artifact, Execution, Limits, Reach
    from handiwork.portal import connect_sync, open_sync
    from handiwork.session import Session
    from handiwork.settings import Settings
    from handiwork.tools.marks import tool
    from handiwork.types.artifact_type import ArtifactType
    from handiwork.types.declaring import ContentModel, artifact_type
    from handiwork.wiring import open

__all__ = [  # noqa: RUF022  # in the order of `dir`, which knows nothing of constants
    "Artifact",
    "ArtifactCollector",
    "ArtifactStore",
    "ArtifactType",
    "Autopilot",
    "AutopilotResult",
    "BudgetPolicy",
    "ContentModel",
    "Engine",
    "Event",
    "Execution",
    "Goal",
    "HANDOFF_INSTRUCTIONS",
    "HandiworkError",
    "Limits",
    "Reach",
    "Session",
    "Settings",
    "ToolOutput",
    "artifact_type",
    "connect",
    "connect_sync",
    "open",
    "open_sync",
    "tool",
]

_HOMES = {
    "Artifact": "model",
    "ArtifactCollector": "collect.collector",
    "ArtifactStore": "context.artifact_store",
    "ArtifactType": "types.artifact_type",
    "Autopilot": "autopilot.pilot",
    "AutopilotResult": "autopilot.result",
    "BudgetPolicy": "autopilot.goal",
    "ContentModel": "types.declaring",
    "Engine": "engine",
    "Event": "events",
    "Execution": "model",
    "Goal": "autopilot.goal",
    "HANDOFF_INSTRUCTIONS": "context.marker",
    "HandiworkError": "errors",
    "Limits": "model",
    "Reach": "model",
    "Session": "session",
    "Settings": "settings",
    "ToolOutput": "collect.tool_output",
    "artifact_type": "types.declaring",
    "connect": "client.engine",
    "connect_sync": "portal",
    "open": "wiring",
    "open_sync": "portal",
    "tool": "tools.marks",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'handiwork' has no attribute {name!r}")
    return getattr(import_module(f"handiwork.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
