"""What a file is, from its content first and its name second. The formats themselves are rows in `formats`."""

from handiwork.media.content import InMemory, Readable
from handiwork.media.formats import BY_EXTENSION, BY_NAME, Format
from handiwork.media.signatures import signed_format
from handiwork.media.syntax import Markup, is_json, is_json_lines, is_pdf, is_rtf, markup_of, script_of
from handiwork.media.text import Text, legacy_text, text_of
from handiwork.model import KIB

__all__ = ["InMemory", "Readable", "detect"]

HEAD_BYTES = 64 * KIB
_LONGEST_NAME = 255
_FILE_NAMES = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "makefile",
    "gnumakefile": "makefile",
}
# The markup that these formats may begin with without being a page or an image.
_HOSTS = {"markdown": frozenset({"svg"}), "php": frozenset({"html", "svg"})}


def detect(name: str, content: Readable) -> Format:
    """Return the format of `content`, always one of `FORMATS`; bytes that nothing explains are `binary`.

    A binary mark beats the name; so does a page or an SVG. Other text is what its name says, or else what it
    plainly is. Content never makes it raise, and it reads less than 1 MiB and unpacks nothing.
    """
    claimed = _claimed_format(name)
    claimed_text = claimed if claimed and claimed.is_text else None
    head = content.read_at(0, HEAD_BYTES)
    text = text_of(content, head)
    if text and (claimed_text or not text.has_controls):
        return _text_format(text, claimed_text)
    legacy = legacy_text(content, head)
    is_marked = legacy is None or not head[:1].isascii()
    if is_marked and (signed := signed_format(content, head, claimed=claimed.name if claimed else None)):
        return BY_NAME[signed]
    if legacy and (found := _unmistakable_format(legacy, claimed_text) or claimed_text):
        return found
    # Some recordings and byte code have no mark, so that only the name can tell that they are not delivered.
    if claimed and not claimed.delivered:
        return claimed
    return BY_NAME["binary"]


def _claimed_format(name: str) -> Format | None:
    base = name.replace("\\", "/").rsplit("/", 1)[-1][-_LONGEST_NAME:].rstrip(" .").lower()
    if base in _FILE_NAMES:
        return BY_NAME[_FILE_NAMES[base]]
    parts = base.split(".")
    if len(parts) >= 3 and (found := BY_EXTENSION.get(".".join(parts[-2:]))):
        return found
    if len(parts) >= 2 and (found := BY_EXTENSION.get(parts[-1])):
        return found
    return BY_NAME.get(_FILE_NAMES.get(parts[0], ""))


def _text_format(text: Text, claimed: Format | None) -> Format:
    if found := _unmistakable_format(text, claimed):
        return found
    markup = markup_of(text)
    if claimed and not (claimed.name == "text" and markup == "fragment"):
        return claimed
    return BY_NAME[_evident_format(text, markup)]


def _unmistakable_format(text: Text, claimed: Format | None) -> Format | None:
    """What a text is whatever its name says."""
    if is_pdf(text):
        return BY_NAME["pdf"]
    if is_rtf(text):
        return BY_NAME["rtf"]
    markup = markup_of(text)
    if markup not in {"html", "svg"} or (claimed and markup in _HOSTS.get(claimed.name, ())):
        return None
    return BY_NAME[markup]


def _evident_format(text: Text, markup: Markup | None) -> str:
    if markup is not None:
        return "html" if markup == "fragment" else markup
    if is_json(text):
        return "json"
    if is_json_lines(text):
        return "jsonl"
    return script_of(text) or "text"
