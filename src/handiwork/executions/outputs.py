"""What a program made, as drafts of artifacts: which files are kept, and under which names.

How they are stored is `versions`'.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from handiwork.media.detection import detect
from handiwork.model import Provenance, Refused
from handiwork.sandbox.sandbox import Output, Run
from handiwork.types.artifact_type import ArtifactType
from handiwork.versions.drafts import LONGEST_TITLE, Admission, Draft

_LONGEST_JOINED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Drafts of what is kept, and all that is not, with the reason."""

    drafts: tuple[Draft, ...]
    refused: tuple[Refused, ...]


def kept_of(
    run: Run, type_: ArtifactType, provenance: Provenance, admission: Admission, *, title: str | None = None
) -> Kept:
    """Sort what a run left, each called after the `title` if there is one.

    It looks into each file: call it in a thread, unless there is little to see.
    """
    drafts: list[Draft] = []
    refused = list(run.outcome.refused)
    for output, name in _named(run.outputs):
        found = detect(name, output)
        if (hint := admission.hint_against(found)) is not None:
            refused.append(Refused(name=output.path, reason="unsupported_format", hint=hint or None))
            continue
        draft = Draft(
            type=type_,
            name=name,
            title=title and _titled(title, name, count=len(run.outputs)),
            content=output,
            provenance=provenance,
            format=found,
            metadata={} if name == output.path else {"path": output.path},
            uncounted_bytes=output.inserted_bytes,
        )
        drafts.append(draft)
    return Kept(drafts=tuple(drafts), refused=tuple(refused))


def _titled(title: str, name: str, *, count: int) -> str:
    """Return the title of one of several files, which tells them apart."""
    if count == 1:
        return title
    end = f" ({name})"
    return f"{title[: LONGEST_TITLE - len(end)]}{end}"


def _named(outputs: Sequence[Output]) -> list[tuple[Output, str]]:
    """Give each file its own name: where several have the same, those in folders get their folders before it."""
    count = Counter(output.name.casefold() for output in outputs)
    taken: set[str] = set()
    named: list[tuple[Output, str]] = []
    for output in outputs:
        is_alone = count[output.name.casefold()] == 1
        wanted = output.name if is_alone else output.path.replace("/", "-")[-_LONGEST_JOINED:]
        name, number = wanted, 2
        while name.casefold() in taken:
            name, number = f"{number}-{wanted}", number + 1
        taken.add(name.casefold())
        named.append((output, name))
    return named
