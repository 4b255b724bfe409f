"""The table of tools: what each is called, what it says of itself, and which arguments it takes.

It is part of every request to a model, so each word costs. What the tools do is known to `calls`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from handiwork.tools import arguments
from handiwork.tools.schemas import Schema, parameters_of, strict_parameters_of
from handiwork.tools.tool import Offer, Tool
from handiwork.versions.calls import Call

Effect = Literal["reads", "adds", "changes"]

PROPOSE = "propose_action"
CACHED = "get_cached_result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tool of the table, before it is known what a session offers."""

    name: str
    arguments: type[Call]
    description: str
    effect: Effect


ENTRIES = (
    Entry(
        name="generate_file",
        arguments=arguments.GenerateFile,
        description="Run Python, offline and sandboxed; every file left in the working folder is kept and shown to the "
        "user.",
        effect="adds",
    ),
    Entry(
        name="generate_artifact",
        arguments=arguments.GenerateArtifact,
        description="Show the user something you write: a document, page, code, table or draft. html-sandboxed cannot "
        "load anything from elsewhere: inline what you need.",
        effect="adds",
    ),
    Entry(
        name="revise_artifact",
        arguments=arguments.ReviseArtifact,
        description="Make the next version from either patch (preferred) or the whole content.",
        effect="changes",
    ),
    Entry(
        name="read_artifact",
        arguments=arguments.ReadArtifact,
        description="Read text of an artifact; a long one comes in parts.",
        effect="reads",
    ),
    Entry(
        name="list_artifacts",
        arguments=arguments.ListArtifacts,
        description="List this conversation's artifacts, newest first.",
        effect="reads",
    ),
    Entry(
        name="promote_to_artifact",
        arguments=arguments.PromoteToArtifact,
        description="Keep a stored tool result as an artifact: only for the rare result that is itself a deliverable.",
        effect="adds",
    ),
    Entry(
        name=CACHED,
        arguments=arguments.GetCachedResult,
        description="Read a part of a large tool result that was stored.",
        effect="reads",
    ),
    Entry(
        name=PROPOSE,
        arguments=arguments.ProposeAction,
        description="Ask the user to approve an action on an artifact.",
        effect="changes",
    ),
)


def tools_for(offer: Offer) -> Iterator[Tool]:
    """Yield the tools that a session has. Actions are proposed where a type has some."""
    for entry in ENTRIES:
        if entry.name == PROPOSE and not offer.actions:
            continue
        strict = strict_parameters_of(entry.arguments)
        # Once is enough: who promotes or lists has seen the types there.
        names = {"generate_artifact": {"type": offer.types}, PROPOSE: {"action": offer.actions}}.get(entry.name, {})
        yield Tool(
            name=entry.name,
            description=_description(entry, offer),
            parameters=_with_names(parameters_of(entry.arguments), names),
            strict_parameters=None if strict is None else _with_names(strict, names),
            annotations=annotations_of(entry.effect),
        )


def annotations_of(effect: Effect) -> Mapping[str, object]:
    """Return the hints of MCP. Nothing reaches beyond the session, and no version is ever lost."""
    return {
        "readOnlyHint": effect == "reads",
        "destructiveHint": False,
        "idempotentHint": effect == "reads",
        "openWorldHint": False,
    }


def _description(entry: Entry, offer: Offer) -> str:
    if entry.arguments is not arguments.GenerateFile or not offer.libraries:
        return entry.description
    # What a model knows of a library it knows of its minor versions at best.
    libraries = ", ".join(f"{name} {'.'.join(version.split('.')[:2])}" for name, version in offer.libraries.items())
    return f"{entry.description} Installed: {libraries}."


def _with_names(schema: Schema, chosen: Mapping[str, Sequence[str]]) -> Schema:
    properties: dict[str, Any] = dict(schema["properties"])
    for name, names in chosen.items():
        if names and name in properties:
            properties[name] = {**properties[name], "enum": list(names)}
    return {**schema, "properties": properties}
