"""What is logged while a command goes on for long, told to whoever runs it. What is logged is decided by who logs."""

import contextlib
import logging
import sys
from collections.abc import Generator

from handiwork.cli.printing import harmless


@contextlib.contextmanager
def remarks() -> Generator[None]:
    """Tell on standard error what is logged meanwhile and matters to whoever runs the server."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in ("handiwork", "uvicorn")]
    for each in loggers:
        each.addHandler(handler)
    try:
        yield
    finally:
        for each in loggers:
            each.removeHandler(handler)


class _Harmless(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))
