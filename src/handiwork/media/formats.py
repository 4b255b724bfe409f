"""The formats that Handiwork knows, one row each. How a file's format is found out is in `detection`.

Categories follow the seed: text is Markdown, plain text and code; document is what a person reads laid out;
spreadsheet is CSV and Excel; data is JSON, XML, YAML and exports. Where the seed leaves room:

- HTML is a document: the seed lists HTML among document types, and it is read rendered, not as source.
- SQL and SQLite files are data: the seed puts database dumps among data exports.
- Bytes of no known format are data, `application/octet-stream`.
- What is not delivered (video, audio, compiled code) is data too, and its hint names a way round.

Inline are raster images that browsers decode, PDF, and text that no browser interprets. HTML, SVG, XML,
JavaScript and CSS act in a page, so they are attachments, as is all that another program opens.
"""

from dataclasses import dataclass

from handiwork.model import Category, Disposition

VIDEO_HINT = "Make the frames as images, or an animated GIF, and assemble the video elsewhere."
AUDIO_HINT = "Deliver the data or the source code that makes the sound, and render it elsewhere."
COMPILED_HINT = "Deliver the source code; the user compiles it locally."


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of file. `name` is the word of `allowed_formats`; the first extension is canonical, without dot.

    Content of a text format is UTF-8, or UTF-16 with a byte order mark, or under a telling name some older
    8-bit encoding: decode it with `errors="replace"`.
    """

    name: str
    media_type: str
    category: Category
    extensions: tuple[str, ...]
    disposition: Disposition
    is_text: bool
    language: str | None = None
    delivered: bool = True
    hint: str | None = None


PICTURES = frozenset(
    {
        *("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"),
        "image/vnd.microsoft.icon",
    }
)
"""What browsers draw where an image is asked for, and nothing in it runs there; a drawing in XML too."""


def format_named(name: str) -> Format | None:
    """Return the format of this name or extension, such as `jpeg` for `jpg` and `markdown` for `md`."""
    word = name.strip().lower().removeprefix(".")
    return BY_NAME.get(word) or BY_EXTENSION.get(word)


def format_of_media_type(media_type: str) -> Format | None:
    """Return the first format with this media type; all that share one agree on disposition and delivery."""
    return _BY_MEDIA_TYPE.get(media_type.partition(";")[0].strip().lower())


def _prose(name: str, media_type: str, *extensions: str) -> Format:
    return Format(
        name=name,
        media_type=media_type,
        category="text",
        extensions=extensions,
        disposition="inline",
        is_text=True,
    )


def _code(name: str, *extensions: str, media_type: str = "", disposition: Disposition = "inline") -> Format:
    return Format(
        name=name,
        media_type=media_type or f"text/x-{name}",
        category="text",
        extensions=extensions,
        disposition=disposition,
        is_text=True,
        language=name,
    )


def _notation(
    name: str,
    media_type: str,
    *extensions: str,
    category: Category = "data",
    disposition: Disposition = "inline",
    language: str | None = None,
) -> Format:
    return Format(
        name=name,
        media_type=media_type,
        category=category,
        extensions=extensions,
        disposition=disposition,
        is_text=True,
        language=language,
    )


def _binary(
    name: str, media_type: str, category: Category, *extensions: str, disposition: Disposition = "attachment"
) -> Format:
    return Format(
        name=name,
        media_type=media_type,
        category=category,
        extensions=extensions,
        disposition=disposition,
        is_text=False,
    )


def _refused(name: str, media_type: str, hint: str, *extensions: str) -> Format:
    return Format(
        name=name,
        media_type=media_type,
        category="data",
        extensions=extensions,
        disposition="attachment",
        is_text=False,
        delivered=False,
        hint=hint,
    )


_OOXML = "application/vnd.openxmlformats-officedocument"
_ODF = "application/vnd.oasis.opendocument"

_TEXT = (
    _prose("text", "text/plain", "txt", "text"),
    _prose("markdown", "text/markdown", "md", "markdown", "mdown"),
    _prose("log", "text/plain", "log"),
    _prose("rst", "text/x-rst", "rst"),
    _prose("asciidoc", "text/asciidoc", "adoc", "asciidoc"),
    _prose("vtt", "text/vtt", "vtt"),
    _prose("srt", "application/x-subrip", "srt"),
    _code("tex", "tex", "sty", "cls", "bib"),
    _code("diff", "diff", "patch"),
    _code("python", "py", "pyi", "pyw"),
    _code("javascript", "js", "mjs", "cjs", media_type="text/javascript", disposition="attachment"),
    _code("jsx", "jsx"),
    _code("typescript", "ts", "mts", "cts"),
    _code("tsx", "tsx"),
    _code("css", "css", media_type="text/css", disposition="attachment"),
    _code("scss", "scss", "sass"),
    _code("vue", "vue"),
    _code("svelte", "svelte"),
    _code("shell", "sh", "bash", "zsh"),
    _code("powershell", "ps1", "psm1"),
    _code("batch", "bat", "cmd"),
    _code("c", "c", "h"),
    _code("cpp", "cpp", "cc", "cxx", "hpp", "hh", "hxx"),
    _code("csharp", "cs"),
    _code("java", "java"),
    _code("kotlin", "kt", "kts"),
    _code("scala", "scala"),
    _code("swift", "swift"),
    _code("go", "go"),
    _code("rust", "rs"),
    _code("zig", "zig"),
    _code("ruby", "rb"),
    _code("php", "php"),
    _code("perl", "pl", "pm"),
    _code("lua", "lua"),
    _code("r", "r"),
    _code("julia", "jl"),
    _code("dart", "dart"),
    _code("elixir", "ex", "exs"),
    _code("haskell", "hs"),
    _code("graphql", "graphql", "gql"),
    _code("protobuf", "proto"),
    _code("terraform", "tf", "hcl"),
    _code("mermaid", "mmd", "mermaid"),
    _code("dot", "dot", "gv"),
    _code("dockerfile", "dockerfile"),
    _code("makefile", "mk", "mak"),
)

_DOCUMENTS = (
    _notation(
        "html",
        "text/html",
        "html",
        "htm",
        "xhtml",
        category="document",
        disposition="attachment",
        language="html",
    ),
    _notation("eml", "message/rfc822", "eml", category="document", disposition="attachment"),
    _notation("rtf", "application/rtf", "rtf", category="document", disposition="attachment"),
    _binary("pdf", "application/pdf", "document", "pdf", disposition="inline"),
    _binary("docx", f"{_OOXML}.wordprocessingml.document", "document", "docx"),
    _binary("docm", "application/vnd.ms-word.document.macroEnabled.12", "document", "docm"),
    _binary("pptx", f"{_OOXML}.presentationml.presentation", "document", "pptx"),
    _binary("pptm", "application/vnd.ms-powerpoint.presentation.macroEnabled.12", "document", "pptm"),
    _binary("doc", "application/msword", "document", "doc"),
    _binary("ppt", "application/vnd.ms-powerpoint", "document", "ppt"),
    _binary("odt", f"{_ODF}.text", "document", "odt"),
    _binary("odp", f"{_ODF}.presentation", "document", "odp"),
    _binary("epub", "application/epub+zip", "document", "epub"),
)

_SPREADSHEETS = (
    _notation("csv", "text/csv", "csv", category="spreadsheet"),
    _notation("tsv", "text/tab-separated-values", "tsv", "tab", category="spreadsheet"),
    _binary("xlsx", f"{_OOXML}.spreadsheetml.sheet", "spreadsheet", "xlsx"),
    _binary("xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12", "spreadsheet", "xlsm"),
    _binary("xlsb", "application/vnd.ms-excel.sheet.binary.macroEnabled.12", "spreadsheet", "xlsb"),
    _binary("xls", "application/vnd.ms-excel", "spreadsheet", "xls"),
    _binary("ods", f"{_ODF}.spreadsheet", "spreadsheet", "ods"),
)

_IMAGES = (
    _binary("png", "image/png", "image", "png", disposition="inline"),
    _binary("jpeg", "image/jpeg", "image", "jpg", "jpeg", "jpe", disposition="inline"),
    _binary("gif", "image/gif", "image", "gif", disposition="inline"),
    _binary("webp", "image/webp", "image", "webp", disposition="inline"),
    _binary("avif", "image/avif", "image", "avif", disposition="inline"),
    _binary("bmp", "image/bmp", "image", "bmp", disposition="inline"),
    _binary("ico", "image/vnd.microsoft.icon", "image", "ico", disposition="inline"),
    _binary("heic", "image/heic", "image", "heic", "heif"),
    _binary("tiff", "image/tiff", "image", "tiff", "tif"),
    _notation("svg", "image/svg+xml", "svg", category="image", disposition="attachment"),
)

_DATA = (
    _binary("binary", "application/octet-stream", "data", "bin"),
    _notation("json", "application/json", "json", language="json"),
    _notation("jsonl", "application/x-ndjson", "jsonl", "ndjson", language="json"),
    _notation("geojson", "application/geo+json", "geojson", language="json"),
    _notation("ipynb", "application/x-ipynb+json", "ipynb", language="json"),
    _notation("xml", "application/xml", "xml", "xsd", "xsl", disposition="attachment", language="xml"),
    _notation("yaml", "application/yaml", "yaml", "yml", language="yaml"),
    _notation("toml", "application/toml", "toml", language="toml"),
    _notation("ini", "text/x-ini", "ini", "cfg", "conf", "properties", "env", language="ini"),
    _notation("sql", "application/sql", "sql", language="sql"),
    _notation("ics", "text/calendar", "ics", disposition="attachment"),
    _notation("vcf", "text/vcard", "vcf", disposition="attachment"),
    _binary("parquet", "application/vnd.apache.parquet", "data", "parquet"),
    _binary("arrow", "application/vnd.apache.arrow.file", "data", "arrow", "feather"),
    _binary("hdf5", "application/x-hdf5", "data", "h5", "hdf5", "hdf"),
    _binary("npy", "application/x-npy", "data", "npy"),
    _binary("npz", "application/x-npz", "data", "npz"),
    _binary("pickle", "application/x-pickle", "data", "pkl", "pickle"),
    _binary("sqlite", "application/vnd.sqlite3", "data", "sqlite", "sqlite3", "db"),
    _binary("ttf", "font/ttf", "data", "ttf"),
    _binary("otf", "font/otf", "data", "otf"),
    _binary("woff", "font/woff", "data", "woff"),
    _binary("woff2", "font/woff2", "data", "woff2"),
)

_ARCHIVES = (
    _binary("zip", "application/zip", "archive", "zip"),
    _binary("whl", "application/x-wheel+zip", "archive", "whl"),
    _binary("tar", "application/x-tar", "archive", "tar"),
    _binary("gz", "application/gzip", "archive", "gz"),
    _binary("tar.gz", "application/gzip", "archive", "tar.gz", "tgz"),
    _binary("bz2", "application/x-bzip2", "archive", "bz2"),
    _binary("xz", "application/x-xz", "archive", "xz"),
    _binary("7z", "application/x-7z-compressed", "archive", "7z"),
    _binary("zst", "application/zstd", "archive", "zst"),
    _binary("rar", "application/vnd.rar", "archive", "rar"),
)

_NOT_DELIVERED = (
    _refused("mp4", "video/mp4", VIDEO_HINT, "mp4", "m4v"),
    _refused("mov", "video/quicktime", VIDEO_HINT, "mov", "qt"),
    _refused("webm", "video/webm", VIDEO_HINT, "webm"),
    _refused("mkv", "video/x-matroska", VIDEO_HINT, "mkv"),
    _refused("avi", "video/x-msvideo", VIDEO_HINT, "avi"),
    _refused("flv", "video/x-flv", VIDEO_HINT, "flv"),
    _refused("wmv", "video/x-ms-wmv", VIDEO_HINT, "wmv", "wma", "asf"),
    _refused("mpeg", "video/mpeg", VIDEO_HINT, "mpg", "mpeg"),
    _refused("mpegts", "video/mp2t", VIDEO_HINT, "m2ts"),
    _refused("mp3", "audio/mpeg", AUDIO_HINT, "mp3"),
    _refused("wav", "audio/wav", AUDIO_HINT, "wav"),
    _refused("ogg", "audio/ogg", AUDIO_HINT, "ogg", "oga", "opus", "ogv"),
    _refused("flac", "audio/flac", AUDIO_HINT, "flac"),
    _refused("m4a", "audio/mp4", AUDIO_HINT, "m4a", "m4b"),
    _refused("aac", "audio/aac", AUDIO_HINT, "aac"),
    _refused("aiff", "audio/aiff", AUDIO_HINT, "aiff", "aif"),
    _refused("midi", "audio/midi", AUDIO_HINT, "mid", "midi"),
    _refused("elf", "application/x-elf", COMPILED_HINT, "so", "elf", "o"),
    _refused("exe", "application/vnd.microsoft.portable-executable", COMPILED_HINT, "exe", "dll", "pyd"),
    _refused("macho", "application/x-mach-binary", COMPILED_HINT, "dylib", "macho"),
    _refused("library", "application/x-archive", COMPILED_HINT, "a", "lib", "deb"),
    _refused("class", "application/java-vm", COMPILED_HINT, "class"),
    _refused("dex", "application/x-dex", COMPILED_HINT, "dex"),
    _refused("wasm", "application/wasm", COMPILED_HINT, "wasm"),
    _refused("bitcode", "application/x-llvm-bitcode", COMPILED_HINT, "bc"),
    _refused("pyc", "application/x-python-bytecode", COMPILED_HINT, "pyc", "pyo"),
    _refused("jar", "application/java-archive", COMPILED_HINT, "jar", "war", "ear"),
    _refused("apk", "application/vnd.android.package-archive", COMPILED_HINT, "apk"),
)

FORMATS: tuple[Format, ...] = (
    *_TEXT,
    *_DOCUMENTS,
    *_SPREADSHEETS,
    *_IMAGES,
    *_DATA,
    *_ARCHIVES,
    *_NOT_DELIVERED,
)

BY_NAME = {row.name: row for row in FORMATS}
BY_EXTENSION = {extension: row for row in FORMATS for extension in row.extensions}
_BY_MEDIA_TYPE = {row.media_type.lower(): row for row in reversed(FORMATS)}
