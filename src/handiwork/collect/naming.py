"""What is collected gets its names here: by iteration, place and language, the same ones for the same text.

Which file of a disk a name becomes is decided in `folder`.
"""

import re

LONGEST_SLUG = 80
NO_LANGUAGE = "text"
NAMELESS = "doc"

_EXTENSIONS = {
    ".c": ("c",),
    ".cpp": ("cpp",),
    ".css": ("css",),
    ".go": ("go", "golang"),
    ".html": ("html",),
    ".java": ("java",),
    ".js": ("js", "javascript"),
    ".json": ("json",),
    ".jsx": ("jsx",),
    ".kt": ("kt", "kotlin"),
    ".md": ("md", "markdown"),
    ".py": ("py", "python"),
    ".rb": ("rb", "ruby"),
    ".rs": ("rs", "rust"),
    ".sh": ("sh", "bash", "zsh", "shell"),
    ".sql": ("sql",),
    ".swift": ("swift",),
    ".toml": ("toml",),
    ".ts": ("ts", "typescript"),
    ".tsx": ("tsx",),
    ".yml": ("yaml", "yml"),
}
_BY_LANGUAGE = {language: extension for extension, languages in _EXTENSIONS.items() for language in languages}
_OTHERS = re.compile(r"[^A-Za-z0-9._-]+")


def extension_of(language: str) -> str:
    """Return the extension of a file in a language, with its dot."""
    return _BY_LANGUAGE.get(language, ".txt")


def slug(text: str) -> str:
    """Return text as a part of a file name: lower case, and a dash for whatever is no letter, digit, dot or dash."""
    return _OTHERS.sub("-", text.strip().lower()).strip("-")[:LONGEST_SLUG]


def block_name(iteration: int, number: int, language: str) -> str:
    """Return the name of the block that is the `number`th of its output, from 1."""
    return f"iter{iteration}-block{number}{extension_of(language)}"


def document_name(iteration: int, document: str) -> str:
    """Return the name of a Markdown document, made of its first line."""
    title = document.partition("\n")[0].lstrip("# ").strip()[:LONGEST_SLUG]
    return f"iter{iteration}-{slug(title) or NAMELESS}.md"
