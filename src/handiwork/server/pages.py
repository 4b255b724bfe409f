"""The gallery: the page where people see what was made, at `/`, with its files under `/gallery/`.

The page is static and holds nothing of any user; what it shows it asks from the API. Its files are part of the
package, and are read once, when the application is made.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from handiwork.server.callers import open_to_all
from handiwork.server.downloads import conditional, etag_of

FOLDER = "gallery"
INDEX = "index.html"
# What a machine takes a script for depends on its configuration, and a browser runs it as `text/javascript` alone.
TYPES: Mapping[str, str] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml; charset=utf-8",
    "woff2": "font/woff2",
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src {connect}; "
    "font-src 'self'; frame-src {content}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    content: bytes
    media_type: str
    etag: str


def router(*, content: str) -> APIRouter:
    """Return the routes with the files as they are now; `content` is the origin of the pages that they may frame."""
    folder = files("handiwork.server").joinpath(FOLDER)
    known = {entry.name: _read(entry) for entry in folder.iterdir() if _ending(entry.name) in TYPES}
    routes = APIRouter()

    @routes.api_route("/", methods=["GET", "HEAD"], **open_to_all())
    async def index(request: Request) -> Response:
        return _answer(request, known.get(INDEX), content=content)

    @routes.api_route(f"/{FOLDER}/{{name}}", methods=["GET", "HEAD"], **open_to_all())
    async def file(name: str, request: Request) -> Response:
        return _answer(request, known.get(name), content=content)

    return routes


def _read(entry: Traversable) -> _File:
    content = entry.read_bytes()
    etag = etag_of(hashlib.sha256(content).hexdigest())
    return _File(content=content, media_type=TYPES[_ending(entry.name)], etag=etag)


def _ending(name: str) -> str:
    return name.rpartition(".")[2]


def _answer(request: Request, found: _File | None, *, content: str) -> Response:
    if found is None:
        raise HTTPException(404, "There is no such page.")
    # Not every browser takes the WebSockets of the same host for `'self'`. That the host is ours, a guard has seen.
    host = request.headers.get("host", "")
    headers = {
        "content-security-policy": _POLICY.format(connect=f"'self' ws://{host} wss://{host}", content=content),
        "cache-control": "no-cache",
        "etag": found.etag,
    }
    if conditional(request.headers, etag=found.etag) == "not_modified":
        return Response(status_code=304, headers=headers)
    body = b"" if request.method == "HEAD" else found.content
    headers |= {"content-type": found.media_type, "content-length": str(len(found.content))}
    return Response(body, headers=headers)
