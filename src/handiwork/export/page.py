"""The page of an export: static, with no script and nothing from elsewhere, good in a folder with no server.

How a content looks is in `views`; when a piece of the page is made, in `bundle`.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime

from handiwork.export.views import escaped, file_link, one_line, view, warning
from handiwork.media.formats import format_of_media_type
from handiwork.model import Artifact, Version
from handiwork.quantities import counted, size_text

STYLE = """
:root {
  color-scheme: light dark;
  --ground: light-dark(#f7f8fa, #0f1114); --surface: light-dark(#ffffff, #171a1f);
  --wall: light-dark(#eff1f4, #1e2228); --ink: light-dark(#16181d, #f1f2f4); --soft: light-dark(#5b6270, #a2a9b6);
  --line: light-dark(#e3e6ea, #2a2f37); --accent: light-dark(#2f5fe0, #86a8ff);
  --sans: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace;
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 16px; }
body {
  margin: 0 auto; max-width: 1040px; padding: 32px clamp(14px, 3vw, 40px) 64px; background: var(--ground);
  color: var(--ink); font: 400 15px/1.55 var(--sans); font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1, h2, h3, p, ol, ul, dl, dd, pre { margin: 0; padding: 0; }
h1 { font-size: 26px; line-height: 1.25; letter-spacing: -0.02em; }
h2 { font-size: 19px; line-height: 1.3; letter-spacing: -0.01em; }
a { color: var(--accent); text-underline-offset: 2px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
header p { margin-top: 6px; color: var(--soft); }
nav { margin: 24px 0 8px; }
nav ol {
  list-style: none; display: grid; gap: 8px;
  grid-template-columns: repeat(auto-fill, minmax(min(230px, 100%), 1fr));
}
nav a {
  display: block; height: 100%; padding: 10px 14px; border: 1px solid var(--line); border-radius: 10px;
  background: var(--surface); color: inherit; text-decoration: none;
}
nav a:hover { border-color: var(--accent); }
nav b { display: block; font-weight: 600; }
nav span, .facts, .remark, footer { color: var(--soft); font-size: 13px; }
article {
  margin-top: 20px; padding: clamp(14px, 2.5vw, 24px);
  border: 1px solid var(--line); border-radius: 14px; background: var(--surface);
}
.facts { margin-top: 4px; }
.facts span + span::before { content: "·"; margin: 0 6px; }
.labels { margin-top: 8px; display: flex; flex-wrap: wrap; gap: 6px; list-style: none; }
.labels li { padding: 1px 9px; border-radius: 99px; background: var(--wall); font-size: 13px; }
.view { margin-top: 16px; }
.picture { display: block; padding: 12px; border-radius: 10px; background: var(--wall); text-align: center; }
.picture img {
  max-width: 100%; max-height: 70vh; height: auto; vertical-align: middle; background: #fff; border-radius: 4px;
}
pre {
  max-height: min(30rem, 70vh); overflow: auto; padding: 14px 16px; border-radius: 10px; background: var(--wall);
  font: 13px/1.55 var(--mono); white-space: pre-wrap; tab-size: 4;
}
.table { max-height: min(30rem, 70vh); overflow: auto; border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; min-width: 100%; font-size: 13px; overflow-wrap: normal; }
th, td {
  padding: 6px 12px; border-bottom: 1px solid var(--line); text-align: start; white-space: pre; vertical-align: top;
}
th { position: sticky; top: 0; background: var(--wall); font-weight: 600; }
tbody tr:last-child td { border-bottom: 0; }
.remark { margin-top: 8px; }
.file { margin-top: 12px; }
.path { font: 13px var(--mono); }
time { white-space: nowrap; }
details { margin-top: 12px; }
summary { cursor: pointer; color: var(--soft); font-size: 13px; }
details ol { margin-top: 8px; list-style: none; display: grid; gap: 6px; font-size: 14px; }
footer { margin-top: 32px; }
@media print {
  body { max-width: none; background: none; }
  pre, .table { max-height: none; }
  article { break-inside: avoid; }
}
"""

END = """<footer><p>Everything here is in the files beside this page; <span class="path">manifest.json</span> has the \
size and hash of each. <span class="path">handiwork verify</span> checks that all of it is as it \
was written.</p></footer>
</body>
</html>
"""
AFTER_LIST = "</ol></nav>\n<main>\n"
AFTER_ARTIFACTS = "</main>\n"
ANY_FILE = "file"


def beginning(session: str, *, artifacts: int, as_of: datetime | None) -> str:
    """Return the page up to the list of artifacts."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src 'self' file:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    told = "Nothing is in it." if as_of is None else f"{counted(artifacts, 'artifact')}, as of {_moment(as_of)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>{escaped(session)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{one_line(session)}</h1><p>{told}</p></header>\n<nav aria-label="Artifacts"><ol>\n'
    )


def entry(artifact: Artifact) -> str:
    """Return the place of an artifact in the list."""
    version = artifact.version
    return (
        f'<li><a href="#{escaped(artifact.handle)}"><b>{one_line(artifact.title or version.name)}</b>'
        f"<span>{escaped(_kind(artifact))}, {size_text(version.size)}</span></a></li>\n"
    )


def section(
    artifact: Artifact, versions: Sequence[tuple[Version, str]], start: bytes | None, *, shown: str | None = None
) -> str:
    """Return an artifact: what it is, its newest version with the first bytes of it, and the ones before.

    `shown` stands in the place of a view of the first bytes.
    """
    version, path = versions[0]
    facts = [
        f"<span>{escaped(_kind(artifact))}</span>",
        f"<span>{escaped(artifact.state)}</span>" if artifact.state else "",
        f"<span>{escaped(artifact.handle)}</span>",
        f"<span>version {version.number:,}</span>",
        f"<span>{_moment(version.created_at)}</span>",
        f"<span>{size_text(version.size)}</span>",
    ]
    reason = version.provenance.reason
    why = f'<p class="remark">{one_line(reason)}</p>\n' if reason else ""
    names = "".join(f"<li>{one_line(label)}</li>" for label in artifact.labels)
    labels = f'<ul class="labels">{names}</ul>\n' if names else ""
    return (
        f'<article id="{escaped(artifact.handle)}">\n<h2>{one_line(artifact.title or version.name)}</h2>\n'
        f'<p class="facts">{"".join(facts)}</p>\n{why}{labels}'
        f'<div class="view">{view(artifact, path, start) if shown is None else shown}</div>\n'
        f'<div class="file">File: {file_link(version, path)}{warning(version)}</div>\n'
        f"{_earlier(versions[1:])}</article>\n"
    )


def _earlier(versions: Sequence[tuple[Version, str]]) -> str:
    if not versions:
        return ""
    told = counted(len(versions), "earlier version")
    rows = "".join(f"<li>{_row(version, path)}</li>\n" for version, path in versions)
    return f"<details><summary>{told}</summary><ol>\n{rows}</ol></details>\n"


def _row(version: Version, path: str) -> str:
    reason = version.provenance.reason
    why = f"<br>{one_line(reason)}" if reason else ""
    facts = f"version {version.number:,}, {_moment(version.created_at)}, {size_text(version.size)}"
    return f'{file_link(version, path)} <span class="remark">{facts}{why}</span>'


def _kind(artifact: Artifact) -> str:
    found = format_of_media_type(artifact.media_type)
    return artifact.type if artifact.type != ANY_FILE or found is None else found.name


def _moment(moment: datetime) -> str:
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M} UTC</time>'
