"""The rules of the house, read from the source itself: names, sizes, imports, and that everything is documented.

What one part does is tested beside that part.
"""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic import BaseModel

import handiwork
from handiwork.cli.app import app
from handiwork.errors import HandiworkError
from handiwork.settings import Settings

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "handiwork"
DOCS = ROOT / "docs"
LONGEST_MODULE = 400
LONGEST_AGENTS_FILE = 60

# Modules over the limit, with their lines: an entry may get smaller or go, and none may be added.
OVERLONG: dict[str, int] = {}
# Ignores that do not say why, by file: likewise.
UNEXPLAINED: dict[str, int] = {}
# Modules whose docstring does not yet say what does not live there: likewise.
UNBOUNDED: set[str] = set()
# Rooms and modules without a place of their own in `tests/unit`, and what tests them instead: likewise.
TESTED_ELSEWHERE = {
    "__init__": "test_house.py",
    "__main__": "integration/test_cli_help.py",
    "engine": "integration/test_session.py",
    "model": "contract/test_records_contract.py",
    "portal": "docs/test_examples.py",
    "session": "integration/test_revising.py",
    "wiring": "integration/test_session.py",
}
NOT_NOUNS = {"common", "helpers", "manager", "misc", "util", "utils"}
HEAVY = {
    "alembic", "anyio", "asyncio", "click", "matplotlib", "numpy", "pandas", "PIL", "pydantic", "rich",
    "sqlalchemy", "yaml",
}  # fmt: skip
# Put together here so that this file does not hold what it looks for.
NOT_FOR_OTHERS = re.compile(
    "|".join(
        (
            "/work" + r"/\w",
            "/root/\\.py" + "env",
            r"https?://\S*(?:py" + r"pi|python" + "hosted|/simple/|artifactory|nexus)",
        )
    )
)


def modules() -> list[Path]:
    """Every module of the project; programs of the demo are agent code and not among them."""
    return sorted(path for path in SRC.rglob("*.py") if "steps" not in path.parts)


def named(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


def words() -> list[Path]:
    """Every text that is handed on, the lock file included."""
    places = [ROOT / name for name in ("src", "tests", "docs", "examples", "bench", "changelog.d", ".ci")]
    files = [
        path for place in places for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    # In a second work tree `.git` is a file.
    files += [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    return [path for path in files if path.suffix in {"", ".csv", ".json", ".lock", ".md", ".py", ".toml", ".yaml"}]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


# Names


def test_public_names_are_sorted_and_complete() -> None:
    tree = ast.parse((SRC / "__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert handiwork.__all__ == sorted(handiwork.__all__)
    assert set(handiwork.__all__) == imported - {"import_module", "TYPE_CHECKING"}
    assert dir(handiwork) == handiwork.__all__


@pytest.mark.parametrize("name", handiwork.__all__)
def test_a_public_name_is_loaded_when_it_is_used(name: str) -> None:
    found = getattr(handiwork, name)
    # A text has no name of its own.
    assert isinstance(found, str) or found.__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = handiwork.nonsense  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]  # the point


def test_importing_handiwork_imports_nothing_heavy() -> None:
    loaded = python("-c", "import handiwork, sys; print(*sys.modules)").stdout.split()
    assert "handiwork" in loaded
    assert set(loaded) & HEAVY == set()


def test_using_handiwork_imports_what_it_needs() -> None:
    loaded = python("-c", "import handiwork, sys; handiwork.open; print(*sys.modules)").stdout.split()
    assert {"sqlalchemy", "pydantic"} <= set(loaded)
    assert {"fastapi", "mcp", "uvicorn"} & set(loaded) == set(), "a server is what others need"


# The shape of the source


def test_no_module_is_overlong() -> None:
    lines = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: count for name, count in lines.items() if count > OVERLONG.get(name, LONGEST_MODULE)} == {}
    assert all(lines.get(name, 0) > LONGEST_MODULE for name in OVERLONG), "take what is short enough off the list"


def test_a_module_is_a_noun_at_most_two_folders_deep() -> None:
    assert [named(p) for p in modules() if p.stem in NOT_NOUNS or p.parent.name in NOT_NOUNS] == []
    assert [named(p) for p in modules() if "migrations" not in p.parts and len(p.relative_to(SRC).parts) > 2] == []


@pytest.mark.parametrize("path", modules(), ids=named)
def test_a_module_says_what_lives_here_and_what_does_not(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "no docstring"
    sentences = len(re.findall(r"[.?!](?=\s|$)", docstring))
    if path.name == "__init__.py" or "migrations" in path.parts:
        assert sentences >= 1
    else:
        assert (sentences < 2) == (named(path) in UNBOUNDED)


def test_every_ignore_names_its_rule_and_its_reason() -> None:
    bare = re.compile(r"#\s*(?:noqa|(?:pyright|type):\s*ignore)(?!:\s*[A-Z]|\[)")
    assert [f"{named(p)}:{n}" for p in modules() for n, line in _lines(p) if bare.search(line)] == []
    found = {named(path): count for path in modules() if (count := len(_unexplained(path)))}
    assert {name: count for name, count in found.items() if count > UNEXPLAINED.get(name, 0)} == {}
    assert sorted(UNEXPLAINED.keys() - found.keys()) == [], "take what is explained off the list"


def _unexplained(path: Path) -> list[int]:
    """Lines that ignore a rule with no reason on them, above them, or with the same rule earlier in the module."""
    rules = re.compile(r"#\s*(?:noqa:\s*|(?:pyright|type):\s*ignore\[)([\w, -]+?)\]?\s*(#.*)?$")
    explained: set[str] = set()
    bare: list[int] = []
    above = ""
    for number, line in _lines(path):
        if found := rules.search(line):
            names = set(re.split(r"[,\s]+", found[1].strip()))
            if found[2] or above.lstrip().startswith("#"):
                explained |= names
            elif not names <= explained:
                bare.append(number)
        above = line
    return bare


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def test_only_the_command_line_prints() -> None:
    printing = [
        f"{named(path)}:{node.lineno}"
        for path in modules()
        if path.parent.name != "cli"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_room_has_its_tests() -> None:
    rooms = {path.relative_to(SRC).parts[0].removesuffix(".py") for path in modules()}
    unit = ROOT / "tests" / "unit"
    tested = {room for room in rooms if any((unit / room).glob("test_*.py")) or (unit / f"test_{room}.py").exists()}
    assert sorted(rooms - tested - TESTED_ELSEWHERE.keys()) == []
    assert [place for place in TESTED_ELSEWHERE.values() if not (ROOT / "tests" / place).is_file()] == []
    assert sorted(TESTED_ELSEWHERE.keys() - rooms) == [], "take rooms that are gone off the list"
    assert sorted(TESTED_ELSEWHERE.keys() & tested) == [], "take rooms that have tests now off the list"


# What runs in the jail


def imports_of(module: str) -> set[str]:
    """The modules that `handiwork.sandbox.<module>` imports anywhere in its text."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((SRC / "sandbox" / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "handiwork.sandbox":
            found |= {f"handiwork.sandbox.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def inside() -> dict[str, set[str]]:
    """The module that is started by path and all that it reaches, with what each imports."""
    reached: dict[str, set[str]] = {}
    waiting = ["zygote"]
    while waiting:
        module = waiting.pop()
        reached[module] = imports_of(module)
        neighbours = {n.split(".")[2] for n in reached[module] if n.startswith("handiwork.sandbox.")}
        waiting += neighbours - reached.keys()
    return reached


def test_what_runs_in_the_jail_imports_the_standard_library_and_its_neighbours() -> None:
    outside = {
        f"{module} imports {name}"
        for module, names in inside().items()
        for name in names
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("handiwork.sandbox.")
    }
    assert outside == set()


def test_the_contract_lists_all_that_runs_in_the_jail() -> None:
    (contract,) = [c for c in contracts() if c["name"].startswith("Inside:")]
    assert sorted(contract["source_modules"]) == sorted(f"handiwork.sandbox.{module}" for module in inside())


def contracts() -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["tool"]["importlinter"]["contracts"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    shutil.copytree(SRC, folder / "handiwork", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


LINT = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"


def test_the_import_contracts_hold(copy: Path) -> None:
    outcome = python("-c", LINT, cwd=copy)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("store/keys.py", "import handiwork.sandbox.watch", "Floors"),
        ("engine.py", "import handiwork.store.local_blobs", "Wiring"),
        ("sandbox/kernel.py", "import handiwork.sandbox.walls", "Sandbox"),
        ("sandbox/frames.py", "import handiwork.model", "Inside"),
        ("versions/creation.py", "import pandas", "Agent libraries"),
        ("wires/frames.py", "import beeai_framework.agents", "Frameworks"),
        ("engine.py", "import google.adk.artifacts", "Frameworks"),
    ],
)
def test_an_import_that_a_contract_forbids_is_found(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / "handiwork" / module
    source = path.read_text(encoding="utf-8")
    try:
        path.write_text(f"{source}\n{line}\n", encoding="utf-8")
        outcome = python("-c", LINT, cwd=copy)
    finally:
        path.write_text(source, encoding="utf-8")
    assert outcome.returncode == 1
    broken = re.sub(r"\s+", " ", outcome.stdout).partition("Broken contracts")[2]
    assert f"{contract}: " in broken


# What is documented


def errors() -> list[type[HandiworkError]]:
    for path in modules():
        if "migrations" not in path.parts and path.name != "__main__.py":
            importlib.import_module(".".join(path.relative_to(SRC.parent).with_suffix("").parts))
    waiting, found = [HandiworkError], list[type[HandiworkError]]()
    while waiting:
        waiting += (below := waiting.pop().__subclasses__())
        found += below
    return sorted(found, key=lambda error: error.code)


def rows(page: Path) -> list[list[str]]:
    """The table rows of a page whose first cell is code, cell by cell."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| `")]


def test_every_error_has_a_code_of_its_own_and_says_when_it_is_raised() -> None:
    codes = [error.code for error in errors()]
    assert len(codes) > 20
    assert sorted({code for code in codes if codes.count(code) > 1}) == []
    assert [error.__name__ for error in errors() if not error.__doc__] == []


def test_every_error_is_documented() -> None:
    documented = [(row[0].strip("`"), row[1].strip("`")) for row in rows(DOCS / "reference" / "errors.md")]
    assert sorted(documented) == sorted((error.code, error.__name__) for error in errors())


def settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_setting_is_documented() -> None:
    documented = [row[0].strip("`") for row in rows(DOCS / "reference" / "configuration.md")]
    assert sorted(documented) == sorted(settings(Settings))


def test_documented_defaults_are_the_defaults() -> None:
    told: dict[str, Any] = {}
    for key, default, *_rest in rows(DOCS / "reference" / "configuration.md"):
        block = told
        *parents, last = key.strip("`").split(".")
        for parent in parents:
            block = block.setdefault(parent, {})
        block[last] = yaml.safe_load(default.strip("`"))
    cache = told.pop("cache")
    documented = Settings.model_validate(told)
    assert (documented.artifacts, documented.server) == (Settings().artifacts, Settings().server)
    assert cache.endswith("/handiwork")


def commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


@pytest.mark.parametrize(("name", "command"), list(commands(app, "handiwork")), ids=str)
def test_every_command_is_documented_with_all_its_options(name: str, command: click.Command) -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    section = page.partition(f"## `{name}`\n")[2].partition("\n## ")[0]
    options = {o for p in command.params if isinstance(p, click.Option) and not p.hidden for o in p.opts}
    assert section, f"no section on `{name}`"
    assert set(re.findall(r"`(--[a-z-]+)", section)) == options


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md")), ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_rules_for_agents_fit_on_a_page() -> None:
    assert len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines()) <= LONGEST_AGENTS_FILE


def test_changelog_fragments_are_one_sentence_under_a_known_heading() -> None:
    kinds = "added|changed|deprecated|removed|fixed|security"
    fragments = sorted((ROOT / "changelog.d").glob("*.md"))
    assert fragments, "a release starts with its fragments"
    for fragment in fragments:
        assert re.fullmatch(rf"[a-z0-9-]+\.(?:{kinds})\.md", fragment.name)
        text = fragment.read_text(encoding="utf-8").strip()
        assert text.endswith("."), fragment.name
        assert len(re.findall(r"[.?!](?=\s|$)", text)) == 1, fragment.name


# What is handed on


def test_no_file_names_a_registry_or_a_place_of_one_machine() -> None:
    leaks = [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in words()
        if (found := NOT_FOR_OTHERS.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert leaks == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-demo.lock"])
def test_every_locked_package_has_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = [e for e in re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n?", "", text).strip()) if e]
    assert len(entries) > 50
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"(?m)^\s*-+(?!-hash)\S*|\S+://\S+", re.sub(r"--hash=\S+", "", text)) == []


def test_the_demo_uses_the_versions_that_are_tested() -> None:
    tested, used = (
        set(re.findall(r"(?m)^\S+==\S+", (ROOT / name).read_text(encoding="utf-8")))
        for name in ("requirements.lock", "requirements-demo.lock")
    )
    assert used
    assert used - tested == set()


def test_continuous_integration_can_be_started() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["/bin/bash", "-n", str(script)], timeout=10).returncode == 0
    assert "make test-all" in script.read_text(encoding="utf-8")


def test_the_container_profile_lets_the_jail_be_built_and_little_else() -> None:
    profile = json.loads((DOCS / "guides" / "handiwork-seccomp.json").read_text(encoding="utf-8"))
    refused = {name for rule in profile["syscalls"] if "args" not in rule for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert {rule["action"] for rule in profile["syscalls"]} == {"SCMP_ACT_ERRNO"}
    assert refused & {"unshare", "mount", "umount2", "pivot_root", "mount_setattr", "sethostname", "capset"} == set()
    assert {"setns", "bpf", "ptrace", "keyctl", "io_uring_setup", "init_module", "open_by_handle_at"} <= refused
