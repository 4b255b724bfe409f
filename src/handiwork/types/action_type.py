"""What can be done with artifacts of a type: an action by its name, and the form of its arguments.

Who may do it, and that it is done once, is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from handiwork.errors import InvalidContent

NO_PARAMS: Mapping[str, object] = {"type": "object", "properties": {}, "additionalProperties": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionType:
    """One action of a type. Today each leads to a state, and is called like it."""

    name: str
    schema: Mapping[str, object] = field(default_factory=lambda: NO_PARAMS, hash=False)
    """JSON Schema of its arguments."""

    @property
    def leads_to(self) -> str:
        """The state that the artifact is in afterwards."""
        return self.name

    def checked(self, params: object) -> Mapping[str, object]:
        """Return the arguments as they are kept. Raises `InvalidContent` for others than the action takes."""
        if params is None or params == {}:
            return {}
        got = "other names" if isinstance(params, Mapping) else f"a `{type(params).__name__}`"
        raise InvalidContent("params", expected=f"none, since `{self.name}` takes no arguments", got=got)
