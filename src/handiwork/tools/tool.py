"""What a tool is for a framework, and what a call of one answers. What the tools do is known to `calls`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from handiwork.model import Artifact

Schema = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool as a model sees it."""

    name: str
    description: str
    parameters: Schema
    """JSON Schema of the arguments."""
    strict_parameters: Schema | None
    """The same where every argument is required and one that may be left out is null; None where that cannot be."""
    annotations: Mapping[str, object]
    """Hints in the words of MCP, such as `readOnlyHint`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call has come to: the text is for the model, the rest for the program around it."""

    text: str
    artifacts: tuple[Artifact, ...] = ()
    """What was made, changed, read or found."""
    is_error: bool = False
    structured: Mapping[str, object] = field(default_factory=dict[str, object])
    """JSON: the references as `artifacts`, and of a mistake its `error`. The only content in it is that of a `summary`:
    its `preview` is the beginning of what was kept."""
    result: object = None
    """What a tool of one's own has returned, the same object, if the model was given it as it is; its text, of a
    `ToolOutput`."""
    metadata: object = None
    """What a tool of one's own declares in a `ToolOutput`; whoever collects takes it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the tools of a session can be used for: the types of artifacts, their actions, and what programs import."""

    types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    libraries: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name to version."""
