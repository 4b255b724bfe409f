"""Models by name."""

import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.models.test import TestModel

from handiwork import Autopilot, Goal
from handiwork.autopilot.models import model_of
from handiwork.errors import ExtraMissing, ModelUnusable


def test_a_model_is_itself_and_a_name_is_looked_up() -> None:
    model = TestModel()
    assert model_of(model) is model
    assert isinstance(model_of("test"), TestModel)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "scripted_for_test.py").write_text(
        "from pydantic_ai.models.test import TestModel\nmodel = TestModel()\nother = 1\n", encoding="utf-8"
    )
    (tmp_path / "broken_for_test.py").write_text("1 / 0\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "python:scripted_for_test"


def test_a_model_of_a_module_is_found(module: str) -> None:
    assert isinstance(model_of(f"{module}:model"), TestModel)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nonsense", "nonsense"),
        ("nobody:model", "nobody"),
        ("python:", "python:MODULE:NAME"),
        ("python:nowhere.at.all:model", "ModuleNotFoundError"),
        ("python:scripted_for_test:missing", "AttributeError"),
        ("python:scripted_for_test:other", "it is a int"),
        ("python:broken_for_test:model", "ZeroDivisionError"),
        (7, "expected a model"),
    ],
)
def test_a_model_that_is_not_to_be_had_says_why(name: Any, why: str, module: str) -> None:
    assert module
    with pytest.raises(ModelUnusable, match=why):
        model_of(name)


def test_a_model_without_its_key_says_which_one_and_nothing_of_models_for_tests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelUnusable, match="`OPENAI_API_KEY`") as caught:
        model_of("openai:gpt-5")
    assert "test" not in str(caught.value)


def test_without_pydantic_ai_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "handiwork.autopilot.models")
    monkeypatch.setitem(sys.modules, "pydantic_ai", None)
    with pytest.raises(ExtraMissing, match="`pydantic-ai` is not installed") as caught:
        Autopilot(llm="test", goal=Goal("a"))
    assert caught.value.hint == "Install it with `pip install 'handiwork[pydantic-ai]'`."
