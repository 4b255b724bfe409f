"""An artifact type as clients are told of it. Its checks and its code are not told."""

from handiwork.shapes import Shape
from handiwork.types.artifact_type import ArtifactType


def describe(type_: ArtifactType) -> Shape:
    """Return what `GET /artifact-types` and `handiwork types --json` say; `cap` is in bytes."""
    return {
        "name": type_.name,
        "label": type_.label,
        "icon": type_.icon,
        "category": type_.category,
        "display": type_.display,
        "streaming": type_.is_streamed,
        "schema": None if type_.schema is None else dict(type_.schema),
        "states": list(type_.states),
        "transitions": {state: list(following) for state, following in type_.transitions.items()},
        "actions": [{"name": each.name, "schema": dict(each.schema)} for each in type_.actions],
        "cap": type_.cap_bytes,
        "mediaType": type_.media_type,
    }
