"""The check of agent code before it runs: what cannot work is named at once, with line, column and a way out.

This is advice and no wall: nothing here keeps hostile code in. The file is loaded by path inside the jail, so it
imports the standard library only and answers with plain data.

What the tables cannot show: `import urllib.parse` and `from http import HTTPStatus` pass, for they send nothing. An
unknown module in a `try` with handlers passes, since it fails softly; a refused one does not, unless the deployment
allows it. Paths are judged where a call opens, creates or copies a file, as far as they are written out.
"""

import ast
import warnings
from collections.abc import Iterable, Iterator

from handiwork.sandbox.imports import IMPORT_NAMES, NO_NETWORK, NO_PROGRAMS, REFUSED_IMPORTS, REMEDIES

Report = dict[str, object]

MOST_VIOLATIONS = 50
WORK_FOLDER = "/mnt/data"
UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

_HARMLESS = frozenset({"urllib.parse", "http.HTTPStatus"})
_BUILTINS = {
    "eval": "Use `ast.literal_eval` for literals, or write the expression out.",
    "exec": "Write the code itself; it already runs as a program.",
    "compile": "Write the code itself; `re.compile` is fine.",
    "__import__": "Use an `import` statement.",
}
_STARTERS = "os.system os.popen os.startfile os.exec os.spawn os.posix_spawn asyncio.create_subprocess_"
_PROGRAMS = tuple(_STARTERS.split())
# Modules leak what they import: `random._os` is `os`.
_LEAKED = ("os", "builtins", "subprocess", "socket", "ctypes", "pty")

# Whole paths, and the names of methods and functions that mean a file wherever they are found.
_OPENING_CALLS = """builtins.open io.open io.FileIO codecs.open os.open os.mkdir os.makedirs gzip.open bz2.open
    lzma.open tarfile.open zipfile.ZipFile pathlib.Path sqlite3.connect shutil.copy shutil.copy2
    shutil.copyfile shutil.copytree shutil.move PIL.Image.open numpy.load numpy.save numpy.savez numpy.loadtxt
    numpy.savez_compressed numpy.savetxt numpy.genfromtxt numpy.fromfile numpy.memmap openpyxl.load_workbook
    xlsxwriter.Workbook docx.Document pptx.Presentation pandas.ExcelFile pandas.ExcelWriter
    reportlab.pdfgen.canvas.Canvas reportlab.platypus.SimpleDocTemplate pypdfium2.PdfDocument
    savefig imsave imread save add_picture drawImage write_html write_image read_csv read_excel read_parquet
    read_pickle read_feather read_table read_fwf read_xml read_hdf read_stata read_json to_csv to_excel to_json
    to_parquet to_pickle to_feather to_html to_markdown to_latex to_xml to_stata to_hdf"""
_OPENING = frozenset(_OPENING_CALLS.split())
_PATH_KEYWORDS = "file path filename fname fp filepath_or_buffer path_or_buf excel_writer io database name"
# Models look for typefaces under /usr/share/fonts, and the jail shows them.
_OPEN_FOLDERS = (WORK_FOLDER, "/usr/share/fonts")
_ADDRESSES = ("http://", "https://", "ftp://", "s3://")

_SUBJECTS = {"import": "Import", "call": "Function", "attribute": "Attribute access", "path": "Path"}
_STAY_INSIDE = f"Use a path in the current folder, such as `out.csv`; `{WORK_FOLDER}` is that folder too."
_MOST_PARTS = _MOST_STEPS = 8
_EXCERPT = 76


def check(source: str, *, allowed_imports: frozenset[str]) -> list[Report]:
    """Return every violation as `{"line", "column", "rule", "message"}`, sorted by position; [] when fine.

    Lines count from 1, columns from 0 in characters. Never raises, whatever the text.
    """
    try:
        tree = parse(source)
    except UNPARSABLE as error:
        return [syntax_violation(error, source)]
    return check_tree(tree, source, allowed_imports=allowed_imports)


def parse(source: str) -> ast.Module:
    """Return the tree of `source`; a byte order mark at its start is dropped. Raises: one of UNPARSABLE."""
    with warnings.catch_warnings():
        # An escape such as "\d" warns while it is parsed; that is not worth a line of the program's stderr.
        warnings.simplefilter("ignore")
        return ast.parse(source.removeprefix("\ufeff"))


def check_tree(tree: ast.Module, source: str, *, allowed_imports: frozenset[str]) -> list[Report]:
    """Return the violations of a tree that `parse` made of `source`, as `check` does.

    "empty" is reported only when nothing else is wrong.
    """
    reader = _Reader(allowed_imports)
    reader.read(tree)
    if not reader.found and all(_is_idle(statement) for statement in tree.body):
        message = "The code has no executable statements. Write the program itself."
        return [{"line": 1, "column": 0, "rule": "empty", "message": message}]
    return list(_render(reader.found, _lines(source), allowed_imports))


def syntax_violation(error: BaseException, source: str) -> Report:
    """Return what stopped `parse` or `compile`, with the line and a caret under the place where it is known."""
    line, column, message = 1, 0, str(error)
    if isinstance(error, RecursionError | MemoryError):
        message = "nested too deeply or too large. Split it into smaller steps."
    elif isinstance(error, SyntaxError) and error.lineno:
        lines = _lines(source)
        line = min(error.lineno, len(lines))
        text = lines[line - 1]
        column = max(0, min((error.offset or 1) - 1, len(text))) if line == error.lineno else len(text)
        start = max(0, column - _EXCERPT // 2)
        excerpt = text[start : start + _EXCERPT].replace("\t", " ")
        message = f"{error.msg}\n    {excerpt}\n    {' ' * (column - start)}^"
    return {"line": line, "column": column, "rule": "syntax", "message": f"Syntax error: {message}"}


def _lines(source: str) -> list[str]:
    # str.splitlines also splits at form feeds and Unicode separators, where Python sees no new line.
    return source.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _is_idle(statement: ast.stmt) -> bool:
    is_constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_constant or isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass)


# Line, offset in bytes and subject; then rule and remedy.
_Found = dict[tuple[int, int, str], tuple[str, str]]


def _render(found: _Found, lines: list[str], allowed: frozenset[str]) -> Iterator[Report]:
    keys = sorted(found)
    shown = len(keys) if len(keys) <= MOST_VIOLATIONS else MOST_VIOLATIONS - 1
    for index, (line, offset, subject) in enumerate(keys[: shown + 1]):
        rule, remedy = found[line, offset, subject]
        text = lines[min(line, len(lines)) - 1]
        column = len(text.encode(errors="replace")[:offset].decode(errors="ignore"))
        if index == shown:
            message = f"{len(keys) - shown} more violations are not listed."
        else:
            # The closest module costs milliseconds to find, so only what is shown pays for it.
            remedy = remedy or _remedy_for_unknown(subject, allowed)
            named = subject if len(subject) <= _EXCERPT else subject[:_EXCERPT] + "…"
            message = f"{_SUBJECTS[rule]} not allowed: {named}. {remedy}"
        yield {"line": line, "column": column, "rule": rule, "message": message}


def _remedy_for_unknown(module: str, allowed: frozenset[str]) -> str:
    import difflib

    top = module.partition(".")[0]
    imported = IMPORT_NAMES.get(top.lower())
    if imported in allowed:
        return f"Did you mean `{imported}`?"
    if top in REMEDIES:
        return REMEDIES[top]
    public = {name.lower(): name for name in sorted(allowed) if not name.startswith("_")}
    closest = difflib.get_close_matches(top.lower(), public, n=2, cutoff=0.7) if len(top) <= _EXCERPT else []
    if closest:
        return f"Did you mean {' or '.join(f'`{public[name]}`' for name in closest)}?"
    return "It is not available and nothing can be installed; use the libraries that are available."


def _path_remedy(text: str, is_caught: bool) -> str | None:
    is_absolute = text.startswith("/") and not any(f"{text}/".startswith(f"{root}/") for root in _OPEN_FOLDERS)
    if is_absolute or ".." in text.replace("\\", "/").split("/"):
        return _STAY_INSIDE
    return NO_NETWORK if text.lower().startswith(_ADDRESSES) and not is_caught else None


def _prefixes(path: str) -> list[str]:
    parts = path.split(".", _MOST_PARTS)[:_MOST_PARTS]
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


class _Scope:
    """What names mean in one block: a dotted path (an import), an expression (an alias) or None (anything else)."""

    __slots__ = ("bound", "is_class", "parent")

    def __init__(self, parent: "_Scope | None", *, is_class: bool = False) -> None:
        self.parent = parent
        self.is_class = is_class
        self.bound: dict[str, str | ast.expr | None] = {}

    def bind(self, name: str, meaning: str | ast.expr | None) -> None:
        known = self.bound.setdefault(name, meaning)
        if known is not meaning and not (isinstance(known, str) and isinstance(meaning, str)):
            self.bound[name] = None


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, *_COMPREHENSIONS)
# A node with its scope, and whether a failure there is caught.
_Visit = tuple[ast.AST, _Scope, bool]


class _Reader:
    """Reads a tree in two passes without recursion: names are bound first, then their uses are judged."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self.allowed = allowed
        self.found: _Found = {}
        self._pending: list[_Visit] = []
        self._uses: list[_Visit] = []

    def read(self, tree: ast.Module) -> None:
        self._push(tree.body, _Scope(None), False)
        while self._pending:
            visit = self._pending.pop()
            self._bind(*visit)
            self._enter(*visit)
        for node, scope, is_caught in self._uses:
            self._judge(node, scope, is_caught)

    def _push(self, nodes: Iterable[ast.AST], scope: _Scope, is_caught: bool) -> None:
        self._pending.extend((node, scope, is_caught) for node in nodes)

    def _add(self, node: ast.AST, rule: str, subject: str, remedy: str) -> None:
        place = (getattr(node, "lineno", 1), getattr(node, "col_offset", 0), subject)
        self.found.setdefault(place, (rule, remedy))

    # First pass: what names mean.

    def _bind(self, node: ast.AST, scope: _Scope, is_caught: bool) -> None:
        match node:
            case ast.Import():
                for alias in node.names:
                    passes = self._judge_import(node, alias.name, is_caught)
                    meaning = alias.name if alias.asname else alias.name.partition(".")[0]
                    scope.bind(alias.asname or meaning, meaning if passes else None)
            case ast.ImportFrom():
                self._import_from(node, scope, is_caught)
            case ast.Call() | ast.Attribute() | ast.Subscript():
                self._uses.append((node, scope, is_caught))
            case ast.Name(id=name, ctx=ast.Load()):
                if name in _BUILTINS:
                    self._uses.append((node, scope, is_caught))
            case ast.Name(id=name) | ast.arg(arg=name):
                scope.bind(name, None)
            case _:
                # Functions, classes, caught errors and patterns.
                name = getattr(node, "name", getattr(node, "rest", None))
                if isinstance(name, str):
                    scope.bind(name, None)

    def _enter(self, node: ast.AST, scope: _Scope, is_caught: bool) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                pass
            case _ if isinstance(node, _BLOCKS):
                inner = _Scope(scope, is_class=isinstance(node, ast.ClassDef))
                self._push(ast.iter_child_nodes(node), inner, is_caught)
            case ast.Try() | ast.TryStar():
                self._push([*node.body, *node.handlers], scope, is_caught or bool(node.handlers))
                self._push([*node.orelse, *node.finalbody], scope, is_caught)
            case ast.If() | ast.With():
                self._push(ast.iter_child_nodes(node), scope, is_caught or _is_guard(node))
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                scope.bind(name, value)
                self._push([value], scope, is_caught)
            case ast.Attribute():
                self._push([node.value], scope, is_caught)
            case ast.Call(func=ast.Attribute() as called):
                self._push([called.value, *node.args, *node.keywords], scope, is_caught)
            case _:
                self._push(ast.iter_child_nodes(node), scope, is_caught)

    def _import_from(self, node: ast.ImportFrom, scope: _Scope, is_caught: bool) -> None:
        module = node.module or ""
        if node.level:
            self._add(node, "import", "." * node.level + module, "The program is one file, in no package.")
        for alias in node.names:
            path = f"{module}.{alias.name}"
            judged = [] if node.level or path in _HARMLESS else [module, path]
            passes = not node.level and all(self._judge_import(node, name, is_caught) for name in judged)
            scope.bind(alias.asname or alias.name, path if passes else None)

    def _judge_import(self, node: ast.AST, name: str, is_caught: bool) -> bool:
        refusal = self._refusal(name)
        if refusal:
            self._add(node, "import", name, refusal[1])
            return False
        prefixes = _prefixes(name)
        is_known = not (self.allowed.isdisjoint(prefixes) and _HARMLESS.isdisjoint(prefixes))
        if not is_known and not is_caught:
            self._add(node, "import", name, "")
        return is_known

    def _refusal(self, path: str) -> tuple[str, str] | None:
        """Return the part of a dotted path that is refused, and what to do instead."""
        prefixes = _prefixes(path)
        if not _HARMLESS.isdisjoint(prefixes):
            return None
        for prefix in prefixes:
            name = prefix.removeprefix("builtins.")
            if name != prefix and name in _BUILTINS:
                return name, _BUILTINS[name]
            if prefix in REFUSED_IMPORTS and prefix not in self.allowed:
                return prefix, REFUSED_IMPORTS[prefix]
            if prefix.startswith(_PROGRAMS):
                return prefix, NO_PROGRAMS
        return None

    # Second pass: what is used.

    def _judge(self, node: ast.AST, scope: _Scope, is_caught: bool) -> None:
        if isinstance(node, ast.Call):
            self._judge_call(node, scope, is_caught)
        if isinstance(node, ast.expr):
            self._judge_use(node, self._resolve(node, scope), "call" if isinstance(node, ast.Name) else "attribute")

    def _judge_call(self, node: ast.Call, scope: _Scope, is_caught: bool) -> None:
        called = self._resolve(node.func, scope)
        if isinstance(node.func, ast.Attribute):
            self._judge_use(node, called, "call")
        if called == "importlib.import_module" and node.args and (name := _text(node.args[0])):
            self._judge_import(node, name, is_caught)
        path = self._opened(node, called, scope)
        if path and (remedy := _path_remedy(path, is_caught)):
            self._add(node, "path", path, remedy)

    def _judge_use(self, node: ast.AST, path: str | None, rule: str) -> None:
        if path and (refusal := self._refusal(path)):
            self._add(node, rule, *refusal)

    def _opened(self, node: ast.Call, called: str | None, scope: _Scope) -> str | None:
        """Return the path, or its written start, that this call opens."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else (called or "").rpartition(".")[2]
        if called not in _OPENING and name not in _OPENING:
            return None
        named = (keyword.value for keyword in node.keywords if keyword.arg in _PATH_KEYWORDS.split())
        path = node.args[0] if node.args else next(named, None)
        if isinstance(path, ast.Call) and path.args and self._resolve(path.func, scope) == "os.path.join":
            path = path.args[0]
        return _written_start(path)

    def _resolve(self, node: ast.expr, scope: _Scope, steps: int = _MOST_STEPS) -> str | None:
        """Return the dotted path that an expression stands for, such as `os.system` for `o.system`."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < _MOST_PARTS:
            parts.append(node.attr)
            node = node.value
        root = self._root(node, scope, steps - 1) if steps else None
        if root is None:
            return None
        path = [root, *reversed(parts)]
        for index, part in enumerate(path[1:], start=1):
            if part.strip("_") in _LEAKED:
                path = [part.strip("_"), *path[index + 1 :]]
                break
        return ".".join(path)

    def _root(self, node: ast.expr, scope: _Scope, steps: int) -> str | None:
        match node:
            case ast.Name(id=name):
                return self._meaning(name, scope, steps)
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(key))):
                path = self._resolve(owner, scope, steps)
                if path == "sys.modules":
                    return key
                is_namespace = path is not None and (path == "builtins" or path.endswith(".__dict__"))
                return f"{path.removesuffix('.__dict__')}.{key}" if path and is_namespace else None
            case ast.Call(func=func, args=[first, *rest]):
                called = self._resolve(func, scope, steps)
                if called == "builtins.getattr" and rest and (key := _text(rest[0])):
                    owner = self._resolve(first, scope, steps)
                    return f"{owner}.{key}" if owner else None
                name = _text(first) if called in ("importlib.import_module", "builtins.__import__") else None
                return name if name and not self._refusal(name) else None
            case _:
                return None

    def _meaning(self, name: str, scope: _Scope, steps: int) -> str | None:
        place: _Scope | None = scope
        while place is not None:
            if name in place.bound and (place is scope or not place.is_class):
                meaning = place.bound[name]
                return self._resolve(meaning, place, steps) if isinstance(meaning, ast.expr) else meaning
            place = place.parent
        return "builtins" if name == "__builtins__" else f"builtins.{name}"


def _is_guard(node: ast.If | ast.With) -> bool:
    """Whether the body is known not to run, or not to fail, where a module is missing."""
    heads = [node.test] if isinstance(node, ast.If) else [item.context_expr for item in node.items]
    names = {getattr(part, "id", getattr(part, "attr", None)) for head in heads for part in ast.walk(head)}
    return not names.isdisjoint({"TYPE_CHECKING", "find_spec", "suppress"})


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _written_start(node: ast.expr | None) -> str | None:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
        node = node.left
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    text = _text(node) if node else None
    return None if text and "\n" in text else text
