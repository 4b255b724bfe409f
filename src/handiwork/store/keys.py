"""Where a version's bytes are filed: `{tenant}/{user}/{session}/{artifact}/{version}/{file name}`.

No file is touched here. A part of a key is safe as a file name on every system: ASCII letters, digits, `-`, `_` and
inner dots stay, all else is percent-encoded from UTF-8, names that Windows reserves too. `~` and a hash end a part
that was cut, is empty, or belongs to a scope and has capitals, so that `Ada` and `ada` stay apart where the file
system ignores case. Artifact ids keep their capitals bare: two random ids that differ in case alone do not occur,
and if they did, `put` would refuse the second.
"""

import hashlib
import string
from functools import lru_cache
from typing import NewType
from urllib.parse import unquote

from handiwork.ids import ArtifactId
from handiwork.model import Scope

BlobKey = NewType("BlobKey", str)
BlobPrefix = NewType("BlobPrefix", str)

PART_BYTES = 200
HIDDEN_NAME = "content"
"""What is filed instead of a file name that nobody shall read."""
SUFFIX_BYTES = 16

_PLAIN = frozenset(string.ascii_letters + string.digits + "-_.")
_HASH_CHARACTERS = 20
_MARK = "~"
_PREVIEW = f"{_MARK}preview.png"
_IN_PARTS = _PLAIN.union("%", _MARK)
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"] + [port + digit for port in ("com", "lpt") for digit in string.digits]
)


def blob_key(scope: Scope, artifact_id: ArtifactId, number: int, name: str) -> BlobKey:
    return BlobKey(f"{artifact_prefix(scope, artifact_id)}{number}/{_file_name(name)}")


def spare_key(scope: Scope, artifact_id: ArtifactId, number: int, token: str) -> BlobKey:
    """Where a version's bytes are filed when the key that tells its name is taken; `token` is random."""
    return BlobKey(f"{artifact_prefix(scope, artifact_id)}{number}/{_MARK}{token}")


def preview_key(scope: Scope, artifact_id: ArtifactId, number: int) -> BlobKey:
    """Where the picture of a version is filed; no file of a user can have this name."""
    return BlobKey(f"{artifact_prefix(scope, artifact_id)}{number}/{_PREVIEW}")


def is_preview(key: BlobKey) -> bool:
    return key.endswith(f"/{_PREVIEW}")


def version_of(key: BlobKey) -> tuple[ArtifactId, int] | None:
    """Return which version a key belongs to, or None when it is none of ours."""
    match key.split("/"):
        case [_tenant, _user, _session, artifact_id, number, _name] if number.isascii() and number.isdigit():
            return ArtifactId(unquote(artifact_id)), int(number)
        case _:
            return None


def tenant_prefix(tenant: str) -> BlobPrefix:
    """Everything of a tenant; like every prefix it ends in `/`."""
    return BlobPrefix(f"{_scope_part(tenant)}/")


def user_prefix(tenant: str, user: str) -> BlobPrefix:
    return BlobPrefix(f"{tenant_prefix(tenant)}{_scope_part(user)}/")


@lru_cache(maxsize=1024)
def session_prefix(scope: Scope) -> BlobPrefix:
    return BlobPrefix(f"{user_prefix(scope.tenant, scope.user)}{_scope_part(scope.session)}/")


def artifact_prefix(scope: Scope, artifact_id: ArtifactId) -> BlobPrefix:
    return BlobPrefix(f"{session_prefix(scope)}{_capped(artifact_id, _encoded(artifact_id))}/")


def is_safe_part(part: str) -> bool:
    """Tell whether this could be a part of a key: never a way up, a hidden file or a second folder."""
    return 0 < len(part) <= PART_BYTES and part[0] != "." and _IN_PARTS.issuperset(part)


def _scope_part(name: str) -> str:
    if name == name.lower():
        return _capped(name, _encoded(name))
    return _marked(name, _encoded(name))


def _file_name(name: str) -> str:
    encoded = _encoded(name)
    if 0 < len(encoded) <= PART_BYTES:
        return encoded
    stem, dot, suffix = encoded.rpartition(".")
    if dot and stem and 0 < len(suffix) <= SUFFIX_BYTES:
        return _marked(name, stem, ending=f".{suffix}")
    return _marked(name, encoded)


def _capped(name: str, encoded: str) -> str:
    return encoded if 0 < len(encoded) <= PART_BYTES else _marked(name, encoded)


def _marked(name: str, encoded: str, *, ending: str = "") -> str:
    digest = hashlib.sha256(_utf8(name)).hexdigest()[:_HASH_CHARACTERS]
    tail = f"{_MARK}{digest}{ending}"
    cut = encoded[: PART_BYTES - len(tail)]
    # Half of an escape would not decode.
    whole = cut.rpartition("%")[0] if "%" in cut[-2:] else cut
    return whole + tail


def _encoded(name: str) -> str:
    is_device = name.partition(".")[0].lower() in _DEVICES
    if not is_device and _PLAIN.issuperset(name) and name[:1] != "." != name[-1:]:
        return name
    last = len(name) - 1
    return "".join(
        character
        if character in _PLAIN and not (character == "." and index in {0, last}) and not (index == 0 and is_device)
        else _escaped(character)
        for index, character in enumerate(name)
    )


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in _utf8(character))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
