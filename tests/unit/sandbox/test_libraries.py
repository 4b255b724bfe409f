import sys

from handiwork.sandbox.libraries import allowed_imports, installed, plotly_script


def test_the_standard_library_and_the_runtime_libraries_may_be_imported() -> None:
    allowed = allowed_imports()
    assert {"os", "json", "asyncio", "numpy", "PIL", "docx", "yaml", "dateutil", "mpl_toolkits"} <= allowed
    assert {"subprocess", "socket", "ctypes", "urllib", "requests", "torch"}.isdisjoint(allowed)


def test_a_deployment_adds_to_the_list_and_takes_from_it() -> None:
    allowed = allowed_imports(add=["torch", "socket"], remove=["pandas"])
    assert {"torch", "socket"} <= allowed
    assert "pandas" not in allowed
    assert allowed_imports() - allowed == {"pandas"}


def test_libraries_are_listed_with_versions_and_without_importing_them() -> None:
    before = set(sys.modules)
    installed.cache_clear()
    found = installed()
    assert found["PyYAML"][0].isdigit()
    assert {"matplotlib", "plotly", "docx"}.isdisjoint(set(sys.modules) - before)


def test_the_script_of_plotly_names_its_version() -> None:
    script = plotly_script()
    assert script is not None
    assert b"plotly.js v" in script[:400]
    assert b"</script" not in script
