"""Tell a model what was wrong with its program: a failed run is a result with a hint, not an exception."""

import sys
from collections.abc import Iterator
from pathlib import Path

import handiwork

ATTEMPTS = iter(
    [
        "import subprocess\nsubprocess.run(['ls'])",
        "import polars\nprint(polars.DataFrame({'x': [1, 2]}))",
        "rows = open('data.csv').read()\nprint(len(rows))",
        "open('numbers.csv', 'w').write('x\\n1\\n2\\n')",
    ]
)


def feedback(run: handiwork.Execution) -> str:
    """What to send back to the model after a run that did not succeed."""
    if run.status == "rejected":
        return "\n".join(f"line {v.line}: {v.message}" for v in run.outcome.violations)
    if run.error is None:
        return run.status
    return f"{run.error.type}: {run.error.message}\n{run.error.hint or run.error.traceback}"


def main(folder: Path, programs: Iterator[str]) -> None:
    with handiwork.open_sync(folder / "store") as engine:
        session = engine.session("repair", principal="agent")
        for code in programs:
            run = session.run(code)
            if run.ok:
                print("made", ", ".join(artifact.name for artifact in run.artifacts))
                return
            print(f"{run.status}: {feedback(run)}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), ATTEMPTS)
