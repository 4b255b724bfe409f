from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from handiwork.errors import InvalidSetting
from handiwork.model import KIB, MIB, Limits
from handiwork.settings import Artifacts, Settings, load

EVERYTHING = """
artifacts:
  max_file_size: 10485760
  execution_timeout: 30
  memory_limit: 512MB
  output_size_limit: 10MB
  process_limit: 64
  stdout_limit: 1MB
  maximum: {execution_timeout: 120s, memory_limit: 2GB, output_size_limit: 50MB}
  enabled: true
  allowed_formats: [pdf, png, jpg]
  allowed_imports: {add: [torch], remove: [json]}
  artifact_retention: 7d
  event_retention: 7d
  cleanup_interval: 1h
  quotas:
    session: {artifacts: 1000, size: 1GB}
    user: {artifacts: 10000, size: 10GB}
  queue: {depth: 256, per_tenant: 64}
  concurrency: 4
  ready_children: 4
  id_prefix: art_
  isolation: auto
  fonts: []
  storage:
    type: local
    path: ./.handiwork
    retention_days: 7
    cleanup_enabled: true
    reserve: 16MB
    encryption: {enabled: true, key_file: ./key, previous: [./old-key]}
server:
  public_url: https://app.example.com
  content_url: https://content.example.com
  embedders: ["https://*.example.com"]
  cors: [https://app.example.com]
  allowed_hosts: [app.example.com]
  body_limit: 64MB
database: sqlite:///./.handiwork/handiwork.db
model: openai:gpt-5
cache: ./cache
"""

# Dotted key, a good value as it is written and as it is read, a bad value and a word of the complaint.
KEYS = [
    ("artifacts.max_file_size", "2MB", 2 * MIB, "0", "greater than 0"),
    ("artifacts.execution_timeout", "45s", 45.0, "soon", "a duration such as"),
    ("artifacts.memory_limit", "1GB", 1024 * MIB, "lots", "a size such as"),
    ("artifacts.output_size_limit", "1024", KIB, "-5", "a size such as"),
    ("artifacts.process_limit", "8", 8, "0", "greater than or equal to 1"),
    ("artifacts.stdout_limit", "64KB", 64 * KIB, "1XB", "a size such as"),
    ("artifacts.maximum.execution_timeout", "1h", 3600.0, "yes", "a duration such as"),
    ("artifacts.maximum.memory_limit", "4GB", 4096 * MIB, "[]", "a size such as"),
    ("artifacts.maximum.output_size_limit", "60MB", 60 * MIB, "0", "greater than 0"),
    ("artifacts.enabled", "false", False, "perhaps", "boolean"),
    ("artifacts.allowed_formats", "[pdf, jpg]", ("pdf", "jpeg"), "[mp4]", "no format that is delivered"),
    ("artifacts.allowed_imports.add", "[torch, jax]", ("torch", "jax"), "torch", "tuple"),
    ("artifacts.allowed_imports.remove", "[json]", ("json",), "5", "tuple"),
    ("artifacts.artifact_retention", "12h", timedelta(hours=12), "0", "greater than"),
    ("artifacts.event_retention", "2d", timedelta(days=2), "0", "greater than"),
    ("artifacts.cleanup_interval", "10m", timedelta(minutes=10), "-1", "duration such as"),
    ("artifacts.quotas.session.artifacts", "0", 0, "-1", "greater than or equal to 0"),
    ("artifacts.quotas.session.size", "1GB", 1024 * MIB, "much", "a size such as"),
    ("artifacts.quotas.user.artifacts", "500", 500, "few", "integer"),
    ("artifacts.quotas.user.size", "2GB", 2048 * MIB, "-2", "a size such as"),
    ("artifacts.concurrency", "3", 3, "0", "greater than or equal to 1"),
    ("artifacts.ready_children", "0", 0, "-1", "greater than or equal to 0"),
    ("artifacts.queue.depth", "9", 9, "0", "greater than or equal to 1"),
    ("artifacts.queue.per_tenant", "3", 3, "0", "greater than or equal to 1"),
    ("artifacts.id_prefix", "atf_", "atf_", "ART", "match pattern"),
    ("artifacts.isolation", "none", "none", "strong", "'full'"),
    ("artifacts.fonts", "[/]", (Path("/"),), "[/no/such/folder]", "not a folder"),
    ("artifacts.storage.type", "local", "local", "tape", "'local'"),
    ("artifacts.storage.path", "/srv/artifacts", Path("/srv/artifacts"), "[]", "path"),
    ("artifacts.storage.retention_days", "3", 3, "0", "greater than 0"),
    ("artifacts.storage.cleanup_enabled", "false", False, "perhaps", "boolean"),
    ("artifacts.storage.reserve", "1MB", MIB, "0", "greater than 0"),
    ("artifacts.storage.encryption.enabled", "false", False, "true", "needs `key_file`"),
    ("artifacts.storage.encryption.key_file", "/srv/key", Path("/srv/key"), "[]", "path"),
    ("artifacts.storage.encryption.previous", "[]", (), "[/srv/old-key]", "needs `key_file`"),
    ("server.public_url", "https://a.example.com/x/", "https://a.example.com/x", "ftp://a", "is not like"),
    ("server.content_url", "http://c.example.com", "http://c.example.com", "example.com", "is not like"),
    ("server.cors", "[https://A.example.com]", ("https://a.example.com",), "['*']", "is not like"),
    ("server.embedders", "['https://*.Example.com/']", ("https://*.example.com",), "['*']", "is not like"),
    ("server.embedders", "[http://a.example:80]", ("http://a.example:80",), "['https://*']", "is not like"),
    ("database", "sqlite:////srv/own.db", Path("/srv/own.db"), "postgresql://db/own", "not built in yet"),
    ("database", "sqlite:///own.db", Path("own.db"), "own.db", "is not like"),
    ("server.allowed_hosts", "[a.example.com]", ("a.example.com",), "a.example.com", "tuple"),
    ("server.body_limit", "1GB", 1024 * MIB, "0", "greater than 0"),
    ("model", "openai:gpt-5", "openai:gpt-5", "[a]", "valid string"),
    ("cache", "/var/cache/handiwork", Path("/var/cache/handiwork"), "[]", "path"),
]
each_key = pytest.mark.parametrize(("key", "good", "value", "bad", "complaint"), KEYS, ids=[row[0] for row in KEYS])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "handiwork.yaml"


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def yaml_of(key: str, value: str) -> str:
    """The key nested as YAML nests it, the value in its own line."""
    *blocks, last = key.split(".")
    lines = [f"{'  ' * depth}{block}:" for depth, block in enumerate(blocks)]
    return "\n".join([*lines, f"{'  ' * len(blocks)}{last}: {value}"])


def variable(key: str) -> str:
    return f"HANDIWORK_{key.replace('.', '__').upper()}"


def at(settings: Settings, key: str) -> object:
    found: object = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found


def keys_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner: object = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= keys_of(inner, f"{prefix}{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


def test_every_key_has_a_row_here() -> None:
    assert keys_of(Settings) == {row[0] for row in KEYS}


@each_key
def test_a_good_value_is_read_from_the_file(
    file: Path, key: str, good: str, value: object, bad: str, complaint: str
) -> None:
    assert at(load(written(file, yaml_of(key, good)), environment={}), key) == value
    assert bad
    assert complaint


@each_key
def test_a_bad_value_is_told_with_its_key_and_line(
    file: Path, key: str, good: str, value: object, bad: str, complaint: str
) -> None:
    text = yaml_of(key, bad)
    with pytest.raises(InvalidSetting) as refused:
        load(written(file, text), environment={})
    assert refused.value.key == key
    assert refused.value.where == f"{file}, line {len(text.splitlines())}"
    assert complaint in str(refused.value)


@each_key
def test_the_environment_goes_before_the_file(
    file: Path, key: str, good: str, value: object, bad: str, complaint: str
) -> None:
    settings = load(written(file, yaml_of(key, bad)), environment={variable(key): good})
    assert at(settings, key) == value


@each_key
def test_a_bad_value_in_the_environment_is_told_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, good: str, value: object, bad: str, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSetting) as refused:
        load(environment={variable(key): bad})
    assert (refused.value.key, refused.value.where) == (key, variable(key))
    assert complaint in str(refused.value)


def test_the_file_that_the_documentation_shows_is_read(file: Path) -> None:
    settings = load(written(file, EVERYTHING), environment={})
    assert settings.limits() == Limits()
    assert settings.artifacts.artifact_retention == timedelta(days=7)
    assert keys_in(EVERYTHING) == keys_of(Settings)


def keys_in(text: str) -> set[str]:
    """The keys that the sample names, read by their indentation and braces."""
    return {key for key in keys_of(Settings) if f"{key.rsplit('.', 1)[-1]}:" in text}


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("artefacts: {}\n", "artefacts", 1),
        ("artifacts:\n  max_files: 3\n", "artifacts.max_files", 2),
        ("artifacts:\n  maximum:\n    memory_limit: 2GB\n    timeout: 3\n", "artifacts.maximum.timeout", 4),
        ("artifacts:\n  storage: {path: a, bucket: b}\n", "artifacts.storage.bucket", 2),
    ],
)
def test_an_unknown_key_is_told_with_its_place(file: Path, text: str, key: str, line: int) -> None:
    with pytest.raises(InvalidSetting, match="not known") as refused:
        load(written(file, text), environment={})
    assert (refused.value.key, refused.value.where) == (key, f"{file}, line {line}")


def test_an_unknown_key_in_the_environment_is_told_with_its_variable() -> None:
    with pytest.raises(InvalidSetting, match="HANDIWORK_ARTIFACTS__TYPO"):
        load(environment={"HANDIWORK_ARTIFACTS__TYPO": "1"})


def test_variables_of_others_are_left_alone() -> None:
    environment = {"HANDIWORK": "1", "HANDIWORK_KEY": "x", "ARTIFACTS__ISOLATION": "none", "PATH": "/bin"}
    assert load(environment=environment).artifacts == Artifacts()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: [1\n", "not valid YAML"),
        ("\tartifacts: {}\n", "not valid YAML"),
        ("just words\n", "expected keys and values"),
        ("- a\n- b\n", "expected keys and values"),
        ("artifacts: 5\n", "artifacts"),
        ("1: 2\n", "Keys should be strings"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_so(file: Path, text: str, complaint: str) -> None:
    with pytest.raises(InvalidSetting, match="handiwork") as refused:
        load(written(file, text), environment={})
    assert complaint in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"gone\.yaml"):
        load(tmp_path / "gone.yaml", environment={})
    with pytest.raises(InvalidSetting, match="directory"):
        load(tmp_path, environment={})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSetting, match="not valid YAML"):
        load(tmp_path / "binary.yaml", environment={})


@pytest.mark.parametrize("text", ["", "# nothing\n", "artifacts: {}\n", "---\n"])
def test_an_empty_file_means_the_defaults(file: Path, text: str) -> None:
    assert load(written(file, text), environment={}).artifacts == Artifacts()


def test_the_file_of_the_current_folder_is_read_when_no_other_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    assert load(environment={}).artifacts.process_limit == 64
    written(file, "artifacts: {process_limit: 5}")
    assert load(environment={}).artifacts.process_limit == 5


def test_the_environment_of_the_process_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDIWORK_ARTIFACTS__PROCESS_LIMIT", "6")
    assert load().artifacts.process_limit == 6


@pytest.mark.parametrize("key", ["execution_timeout", "memory_limit", "output_size_limit"])
def test_a_default_over_the_maximum_is_told_with_its_key_and_line(file: Path, key: str) -> None:
    with pytest.raises(InvalidSetting, match=f"maximum.{key}") as refused:
        load(written(file, f"artifacts:\n  {key}: 1000000000000\n"), environment={})
    assert (refused.value.key, refused.value.where) == (f"artifacts.{key}", f"{file}, line 2")


def test_a_retention_in_days_is_the_retention(file: Path) -> None:
    settings = load(written(file, "artifacts:\n  storage: {retention_days: 3}\n"), environment={})
    assert settings.artifacts.retention == timedelta(days=3)
    assert load(written(file, "artifacts: {artifact_retention: 2d}"), environment={}).artifacts.retention.days == 2
    assert Settings().artifacts.retention == timedelta(days=7)


@pytest.mark.parametrize(("days", "agree"), [(7, True), (8, False)])
def test_a_retention_that_is_said_twice_must_be_the_same(file: Path, days: int, agree: bool) -> None:
    text = f"artifacts:\n  artifact_retention: 7d\n  storage: {{retention_days: {days}}}\n"
    if agree:
        assert load(written(file, text), environment={}).artifacts.retention == timedelta(days=7)
        return
    with pytest.raises(InvalidSetting, match="retention_days") as refused:
        load(written(file, text), environment={})
    assert (refused.value.key, refused.value.where) == ("artifacts.artifact_retention", f"{file}, line 2")


def test_a_variable_that_is_no_list_is_named() -> None:
    with pytest.raises(InvalidSetting, match="HANDIWORK_ARTIFACTS__FONTS"):
        load(environment={"HANDIWORK_ARTIFACTS__FONTS": "[a"})


def test_a_block_and_a_key_of_it_do_not_go_together_in_the_environment() -> None:
    with pytest.raises(InvalidSetting, match="HANDIWORK_ARTIFACTS__STORAGE__PATH"):
        load(environment={"HANDIWORK_ARTIFACTS__STORAGE": "x", "HANDIWORK_ARTIFACTS__STORAGE__PATH": "y"})


def test_a_font_folder_is_found_from_where_the_settings_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fonts").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load(environment={"HANDIWORK_ARTIFACTS__FONTS": "[fonts]"}).artifacts.fonts == (tmp_path / "fonts",)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/handiwork"),
        ({"HOME": "/h"}, "/h/.cache/handiwork"),
        ({}, "/tmp/handiwork"),
    ],
)
def test_the_cache_lies_where_the_user_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], folder: str
) -> None:
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings().cache == Path(folder)


def test_limits_and_most_follow_the_settings() -> None:
    settings = Settings(artifacts=Artifacts.model_validate({"execution_timeout": 3, "max_file_size": "1MB"}))
    assert settings.limits() == Limits(wall_seconds=3, file_bytes=MIB)
    assert settings.most().wall_seconds == 120
    assert settings.most().file_bytes == MIB


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().artifacts.process_limit = 5  # pyright: ignore[reportAttributeAccessIssue]  # the point


FORMATION = """
name: analyst
agents:
  - id: writer
artifacts:
  enabled: true
  max_file_size: 10485760      # 10 MB
  execution_timeout: 30        # 30 seconds
  allowed_formats:
    - pdf
    - jpg
  storage:
    type: local
    retention_days: 3
"""


def test_the_block_of_a_formation_is_read_and_the_rest_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "formation.afs").write_text(FORMATION, encoding="utf-8")
    own = load(environment={}).artifacts
    assert (own.max_file_size, own.execution_timeout, own.allowed_formats) == (10 * MIB, 30.0, ("pdf", "jpeg"))
    assert own.retention == timedelta(days=3)
    (tmp_path / "handiwork.yaml").write_text("artifacts: {enabled: false}", encoding="utf-8")
    assert load(environment={}).artifacts.enabled is False


def test_a_wrong_key_of_a_formation_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "formation.afs"
    file.write_text(FORMATION.replace("max_file_size", "max_size"), encoding="utf-8")
    with pytest.raises(InvalidSetting, match=r"artifacts\.max_size.*line 7"):
        load(file, environment={})
    file.write_text("name: analyst\n", encoding="utf-8")
    assert load(file, environment={}) == Settings.model_validate({"cache": str(load(environment={}).cache)})
