"""A framework that is not installed: its adapter says which extra brings it, and `import handiwork` loads none."""

import subprocess
import sys

import pytest

EXTRAS = {
    "deepagents": "deepagents",
    "google_adk": "google",
    "langchain": "langchain_core",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
}
ASK = """
import sys
sys.modules[{package!r}] = None
from handiwork.errors import ExtraMissing
try:
    import handiwork.adapters.{adapter}
except ExtraMissing as missing:
    print(missing.hint)
"""


@pytest.mark.parametrize("adapter", EXTRAS)
def test_an_adapter_without_its_framework_says_what_to_install(adapter: str) -> None:
    asked = ASK.format(package=EXTRAS[adapter], adapter=adapter)
    outcome = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60)
    assert outcome.stdout == f"Install it with `pip install 'handiwork[{adapter.replace('_', '-')}]'`.\n", (
        outcome.stderr
    )


def test_handiwork_itself_loads_no_framework() -> None:
    loaded = f"sorted({set(EXTRAS.values())} & set(sys.modules))"
    asked = f"import sys, handiwork; handiwork.open, handiwork.Session; print({loaded})"
    outcome = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert outcome.stdout == "[]\n"
