"""Models by name: those of pydantic-ai, and objects of a module. What is asked of them is in `flight`."""

import importlib
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pydantic_ai import models
from pydantic_ai.exceptions import UserError

from handiwork.errors import ModelUnusable

MODULE_PREFIX = "python:"


def model_of(llm: models.Model[Any] | str) -> models.Model[Any]:
    """Return the model that is meant: itself, or by a name such as `openai:gpt-5` or `python:my.module:model`.

    Raises:
        ModelUnusable: there is no such model, or it cannot be used here; the error says why.
    """
    if isinstance(llm, models.Model):
        return llm
    if not isinstance(llm, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ModelUnusable(f"a {type(llm).__name__}", why="expected a model of pydantic-ai, or the name of one")
    if llm.startswith(MODULE_PREFIX):
        return _of_module(llm)
    try:
        return models.infer_model(llm)
    except (UserError, ImportError, ValueError) as failure:
        # What it goes on with leads to a model for tests, which makes nothing.
        why = str(failure).partition(" To try Pydantic AI")[0].rstrip(".")
        raise ModelUnusable(llm, why=why) from failure


def _of_module(name: str) -> models.Model[Any]:
    module, _, attribute = name.removeprefix(MODULE_PREFIX).partition(":")
    if not module or not attribute:
        raise ModelUnusable(name, why="expected `python:MODULE:NAME`")
    try:
        with _modules_here():
            found: object = getattr(importlib.import_module(module), attribute)
    except Exception as failure:  # a module of others may fail in any way while it is imported
        raise ModelUnusable(name, why=f"{type(failure).__name__}: {failure}"[:300]) from failure
    if not isinstance(found, models.Model):
        raise ModelUnusable(name, why=f"it is a {type(found).__name__}, and no model of pydantic-ai")
    return cast("models.Model[Any]", found)


@contextmanager
def _modules_here() -> "Generator[None]":
    """Let modules of the current folder be found, after all others: a command has no such place of its own."""
    here = str(Path.cwd())
    sys.path.append(here)
    try:
        yield
    finally:
        sys.path.remove(here)
