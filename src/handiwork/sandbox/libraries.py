"""Which modules agent code may import, and which of them are installed with which version.

The check asks here what to allow, `doctor` and the hints what there is; nothing is imported to find out.
"""

import functools
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from handiwork.sandbox.imports import DEFAULT_ALLOWED, RUNTIME_IMPORTS


@functools.cache
def installed() -> Mapping[str, str]:
    """The libraries for agent code that are installed, distribution name to version."""
    found: dict[str, str] = {}
    for distribution in RUNTIME_IMPORTS:
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return MappingProxyType(found)


def allowed_imports(*, add: Sequence[str] = (), remove: Sequence[str] = ()) -> frozenset[str]:
    """The top-level names that the check lets pass: the harmless standard library and the runtime libraries."""
    runtime = {name for names in RUNTIME_IMPORTS.values() for name in names}
    return (DEFAULT_ALLOWED | runtime | set(add)) - set(remove)


@functools.cache
def plotly_script() -> bytes | None:
    """The JavaScript of Plotly as its package ships it, or None where Plotly is not installed."""
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        return None
    script = Path(found.origin).parent / "package_data" / "plotly.min.js"
    return script.read_bytes() if script.is_file() else None
