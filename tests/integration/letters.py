"""A type of artifact that something can be done with, for the tests of actions. Nothing is asserted here."""

from dataclasses import replace

from handiwork.types.artifact_type import ArtifactType
from handiwork.types.json_document import json_type

LETTER: ArtifactType = replace(
    json_type(),
    name="letter",
    aliases=(),
    label="Letter",
    states=("draft", "sent", "thrown", "answered"),
    transitions={"draft": ("sent", "thrown"), "sent": ("answered",)},
)
