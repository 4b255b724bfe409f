"""The collector: the deliverables of a run, taken from text, from what tools tell, or given by hand.

It needs no store. How text is taken apart is known to `extraction`, what a file of it looks like to `folder`.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from handiwork.clock import Clock, utc_now
from handiwork.collect.artifact import Artifact
from handiwork.collect.declaration import declared, items_of
from handiwork.collect.extraction import Extraction, FencesRule, demand_rule
from handiwork.collect.folder import Folder
from handiwork.collect.found import Found
from handiwork.errors import InvalidContent
from handiwork.tasks import trace_of, words_of

CUT_MARK = "\n…(truncated)"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What did not work beside collecting, which went on: a callback, a file, what a tool has told, or the store."""

    what: Literal["on_add", "persist", "metadata", "read", "keep"]
    name: str
    why: str


class ArtifactCollector:
    """Deliverables in the order in which they came. It may be used by several threads at once."""

    MAX_CONTENT_CHARS: ClassVar[int] = 64_000

    def __init__(
        self,
        *,
        persist_dir: str | Path | None = None,
        on_add: Callable[[Artifact], object] | None = None,
        fences: FencesRule = "commonmark",
        clock: Clock = utc_now,
    ) -> None:
        """Make an empty one. Each artifact is told to `on_add`, and becomes a JSON file in `persist_dir`.

        What either raises is logged and kept in `problems`, and fails nothing. Fences are found as CommonMark says, or
        with `legacy` as collectors did that knew nothing of it. Raises `InvalidName` for another rule.
        """
        demand_rule(fences)
        self._folder = None if persist_dir is None else Folder(Path(persist_dir))
        self._on_add, self._clock = on_add, clock
        self._fences: FencesRule = fences
        self._artifacts: list[Artifact] = []
        self._problems: list[Problem] = []
        self._seen: set[str] = set()
        """Of what was taken from text; it is not taken again when a later output repeats it."""
        self._listeners: list[Callable[[Artifact | Problem], object]] = []
        self._lock = threading.RLock()

    def all(self) -> list[Artifact]:
        """Return what was collected, in the order in which it came."""
        with self._lock:
            return list(self._artifacts)

    def by_kind(self, kind: str) -> list[Artifact]:
        """Return what was collected of one kind, such as `code`."""
        return [artifact for artifact in self.all() if artifact.kind == kind]

    def problems(self) -> list[Problem]:
        """Return what went wrong beside collecting."""
        with self._lock:
            return list(self._problems)

    def add(  # the signature is an older one, which others call
        self,
        *,
        kind: str,
        name: str,
        content: str,
        language: str | None = None,
        iteration: int = 0,
        metadata: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Collect an artifact; content over the limit of 64,000 characters is cut, and says so at its end.

        Raises:
            InvalidContent: it is no text; nothing was collected.
        """
        if not isinstance(content, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise InvalidContent(str(name), expected="text", got=f"a {type(content).__name__}")
        artifact = Artifact(
            kind=kind,
            name=name,
            content=self._capped(content),
            language=language,
            iteration=iteration,
            created_at=self._clock().timestamp(),
            metadata=dict(metadata or {}),
        )
        with self._lock:
            self._artifacts.append(artifact)
            problem = self._persisted(artifact, number=len(self._artifacts))
        # Not under the lock: what is told may take its time, or collect more.
        self._tell(artifact)
        if problem is not None:
            self._note(problem)
        if self._on_add is not None:
            self._called(self._on_add, artifact)
        return artifact

    def extract_from_output(self, text: str, *, iteration: int) -> list[Artifact]:
        """Collect code blocks and a Markdown document from an output, but for what an earlier output has held."""
        reader = self.reader(iteration=iteration)
        return [*reader.feed(text), *reader.close()]

    def reader(self, *, iteration: int) -> "Reader":
        """Return what collects from one output that comes in pieces, each block as soon as it is whole."""
        return Reader(self, Extraction(iteration=iteration, fences=self._fences), iteration=iteration, seen=self._seen)

    def ingest_tool_metadata(self, metadata: Any, iteration: int) -> list[Artifact]:
        """Collect what a tool has told of artifacts: a mapping with `artifact` set, or a list of such mappings."""
        return [self.take(found, iteration=iteration) for found in self._declared(metadata, iteration)]

    def _declared(self, metadata: object, iteration: int) -> list[Found]:
        # What tools tell may fail in any way, and must not fail the run.
        found: list[Found | None] = []
        try:
            for item in items_of(metadata):
                try:
                    found.append(declared(item, iteration=iteration))
                except (Exception, SystemExit) as failure:  # noqa: BLE001  # see above
                    self._misread(failure, iteration)
        except (Exception, SystemExit) as failure:  # noqa: BLE001  # see above
            self._misread(failure, iteration)
        return [each for each in found if each is not None]

    def _misread(self, failure: BaseException, iteration: int) -> None:
        self._note(Problem(what="metadata", name=f"iter{iteration}-unnamed", why=_said(failure)), failure)

    def take(self, found: Found, *, iteration: int) -> Artifact:
        """Collect what was found."""
        return self.add(
            kind=found.kind,
            name=found.name,
            content=found.content,
            language=found.language,
            iteration=iteration,
            metadata=found.metadata,
        )

    @contextlib.contextmanager
    def heard_by(self, listener: Callable[[Artifact | Problem], object]) -> Generator[None]:
        """Tell `listener` of each artifact and problem while the context is open."""
        with self._lock:
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(listener)

    def _capped(self, content: str) -> str:
        most = self.MAX_CONTENT_CHARS
        return content if len(content) <= most else content[:most] + CUT_MARK

    def _persisted(self, artifact: Artifact, *, number: int) -> Problem | None:
        if self._folder is None:
            return None
        try:
            if self._folder.write(artifact, number=number):
                return None
        except Exception as failure:  # noqa: BLE001  # neither a disk nor a value fails the run
            return Problem(what="persist", name=artifact.name, why=_said(failure))
        return Problem(what="metadata", name=artifact.name, why="it holds what JSON cannot, which was written as text")

    def _tell(self, news: Artifact | Problem) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(news)

    def _called(self, callback: Callable[[Artifact], object], artifact: Artifact) -> None:
        try:
            callback(artifact)
        except Exception as failure:  # noqa: BLE001  # a callback of others may fail in any way, and must not fail the run
            self._note(Problem(what="on_add", name=artifact.name, why=_said(failure)), failure)

    def _note(self, problem: Problem, failure: BaseException | None = None) -> None:
        with self._lock:
            self._problems.append(problem)
        trace = "" if failure is None else f"\n{trace_of(failure)}"
        _log.warning("Collecting `%s`: `%s` did not work: %s%s", problem.name, problem.what, problem.why, trace)
        self._tell(problem)


class Reader:
    """Collects from one output that comes in pieces."""

    def __init__(self, collector: ArtifactCollector, extraction: Extraction, *, iteration: int, seen: set[str]) -> None:
        self._collector, self._extraction, self._iteration = collector, extraction, iteration
        self._seen, self._seen_here = seen, set[str]()

    def feed(self, text: str) -> list[Artifact]:
        """Take the next piece, and collect the blocks that it ends."""
        return self._collected(self._extraction.feed(text))

    def close(self) -> list[Artifact]:
        """Collect what the end of the output makes whole."""
        collected = self._collected(self._extraction.close())
        self._seen |= self._seen_here
        return collected

    def _collected(self, found: Sequence[Found]) -> list[Artifact]:
        collected: list[Artifact] = []
        for each in found:
            mark = each.mark()
            self._seen_here.add(mark)
            if mark in self._seen:
                continue
            collected.append(self._collector.take(each, iteration=self._iteration))
        return collected


def _said(failure: BaseException) -> str:
    return words_of(failure)[:200]
