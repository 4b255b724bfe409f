"""View pages: a version of any type as a page that is safe in every client, and the headers that make it so.

The page around the content is ours and holds no script. The content is in a sandboxed frame, as a document in an
attribute, which has no origin, inherits the policy of the page, and cannot navigate, since the page frames no address.
What the frame holds is made by `rendering`; who may look was decided before.

Two headers do what no other can. `Connection-Allowlist` keeps WebRTC, early connections and navigations in where a
browser knows it: with a page that runs script none is allowed, not even back to this origin. `frame-src 'none'`
closes navigation in all browsers. Content without script gets no script at all, and its page may connect to this
origin, so that a download of any size can be offered; a page with script carries its download in itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from html import escape
from importlib.resources import files

from starlette.responses import Response

from handiwork.errors import ArtifactExpired, HandiworkError, UnknownType
from handiwork.executions.pictures import may_have_picture
from handiwork.model import MIB, Artifact
from handiwork.quantities import size_text
from handiwork.server.desk import Desk
from handiwork.server.guards import origins_of, spellings
from handiwork.server.refusals import PagesBusy
from handiwork.server.rendering import MOST_BYTES, Card, Rendered, data_url, kind_of, rendered
from handiwork.store.records import Filed
from handiwork.tasks import in_thread
from handiwork.types.image import SCHEME, is_reference, reference_in

FOLDER = "stylesheets"
# Reading markup takes a processor as long as it takes; requests that want more than this wait.
DRAWN_AT_ONCE = 2
LONGEST_WAIT_SECONDS = 20.0
LARGEST_CARRIED_BYTES = MIB

# Every feature that Chromium 156 knows, client hints included.
FEATURES = (
    *("accelerometer", "aria-notify", "autoplay", "browsing-topics", "camera", "captured-surface-control"),
    *("ch-device-memory", "ch-downlink", "ch-dpr", "ch-ect", "ch-prefers-color-scheme", "ch-prefers-reduced-motion"),
    *("ch-prefers-reduced-transparency", "ch-rtt", "ch-save-data", "ch-ua", "ch-ua-arch", "ch-ua-bitness"),
    *("ch-ua-form-factors", "ch-ua-full-version", "ch-ua-full-version-list", "ch-ua-high-entropy-values"),
    *("ch-ua-mobile", "ch-ua-model", "ch-ua-platform", "ch-ua-platform-version", "ch-ua-wow64", "ch-viewport-height"),
    *("ch-viewport-width", "ch-width", "clipboard-read", "clipboard-write", "compute-pressure"),
    *("cross-origin-isolated", "deferred-fetch", "deferred-fetch-minimal", "digital-credentials-create"),
    *("digital-credentials-get", "display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation"),
    *("gyroscope", "hid", "identity-credentials-get", "idle-detection", "interest-cohort", "keyboard-map"),
    *("language-detector", "language-model", "local-fonts", "local-network", "local-network-access"),
    *("loopback-network", "magnetometer", "media-playback-while-not-visible", "microphone", "midi"),
    *("on-device-speech-recognition", "otp-credentials", "payment", "picture-in-picture"),
    *("private-state-token-issuance", "private-state-token-redemption", "publickey-credentials-create"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "speaker-selection", "storage-access", "summarizer"),
    *("sync-xhr", "translator", "unload", "usb", "window-management", "xr-spatial-tracking"),
)
_CLOSED = (
    "connect-src 'none'; frame-src 'none'; worker-src 'none'; object-src 'none'; form-action 'none'; webrtc 'block'"
)
_SCRIPTED = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    f"media-src data: blob:; {_CLOSED}; base-uri about:; sandbox allow-scripts allow-downloads"
)
_SCRIPTLESS = (
    f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; {_CLOSED}; base-uri 'none'; sandbox allow-downloads"
)


def view_headers(*, runs_script: bool, embedders: Iterable[str]) -> dict[str, str]:
    """Return all headers of a view page but its length; `embedders` are the origins whose pages may frame it."""
    ancestors = " ".join(sorted(embedders)) or "'none'"
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": f"{_SCRIPTED if runs_script else _SCRIPTLESS}; frame-ancestors {ancestors}",
        "connection-allowlist": "()" if runs_script else "(response-origin)",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-dns-prefetch-control": "off",
        "cross-origin-resource-policy": "cross-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": ", ".join(f"{feature}=()" for feature in FEATURES),
        "cache-control": "private, no-store",
    }


class Views:
    """Makes the pages of one server."""

    def __init__(self, desk: Desk, *, patience_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        folder = files("handiwork.server").joinpath(FOLDER)
        self._desk = desk
        self._outer_style = folder.joinpath("wrapper.css").read_text(encoding="utf-8")
        self._inner_style = folder.joinpath("frame.css").read_text(encoding="utf-8")
        own = desk.origins
        # Checked where they were set; beside an origin `https://*.example.com` is possible here, which is none.
        self._embedders = origins_of((*spellings(own.public), *own.cors)) | set(own.embedders)
        self._turns = asyncio.Semaphore(DRAWN_AT_ONCE)
        self._patience_seconds = patience_seconds

    async def page(self, filed: Filed, *, download: str, is_head: bool = False) -> Response:
        """Return the page of a version that was found just now; `download` is the address of its bytes.

        Raises:
            ContentDamaged: there is nothing trustworthy to show.
            PagesBusy: other pages take so long that this one has no turn.
        """
        artifact = filed.artifact
        card = Card(picture=await self._picture(filed))
        shown: Filed | None = filed
        if is_reference(artifact):
            shown, card = await self._referred(filed)
        async with self._turn():
            data = b"" if shown is None else await self._beginning(shown)
            drawn = artifact if shown is None else replace(artifact, version=shown.artifact.version)
            body = await in_thread(self._drawn, artifact, drawn, data, card, download)
        headers = view_headers(runs_script=kind_of(drawn) == "page", embedders=self._embedders)
        headers["content-length"] = str(len(body))
        return Response(b"" if is_head else body, headers=headers)

    @asynccontextmanager
    async def _turn(self) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._turns.acquire()
        except TimeoutError:
            raise PagesBusy(self._patience_seconds) from None
        try:
            yield
        finally:
            self._turns.release()

    async def _referred(self, filed: Filed) -> tuple[Filed | None, Card]:
        """Return the picture that a reference means, in the scope of its artifact alone; None and why there is none."""
        async with aclosing(self._desk.engine.content(filed)) as chunks:
            reference = reference_in(b"".join([chunk async for chunk in chunks])) or ""
        told = f"{SCHEME}{reference}"
        try:
            found = await self._desk.engine.find(filed.artifact.scope, reference)
        except ArtifactExpired:
            return None, Card(why=f"It stands for {told}, which has expired.")
        except HandiworkError:
            return None, Card(why=f"It stands for {told}, which is not in this session.")
        if kind_of(found.artifact) != "picture":
            return None, Card(why=f"It stands for {told}, which is no picture that can be shown here.")
        return found, Card()

    async def _beginning(self, filed: Filed) -> bytes:
        most = MOST_BYTES[kind_of(filed.artifact)]
        if not most:
            return b""
        async with aclosing(self._desk.engine.content(filed, stop=most)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _picture(self, filed: Filed) -> bytes | None:
        """Return a small picture of what a page cannot show, if there is one to be had now."""
        if kind_of(filed.artifact) != "card" or not may_have_picture(filed.artifact.version):
            return None
        try:
            return await self._desk.engine.picture(filed)
        except HandiworkError:
            return None

    def _drawn(self, artifact: Artifact, drawn: Artifact, data: bytes, card: Card, download: str) -> bytes:
        shown = rendered(drawn, data, style=self._inner_style, card=card)
        if shown.runs_script:
            download = data_url("application/octet-stream", data) if len(data) <= LARGEST_CARRIED_BYTES else ""
        page = _wrapped(artifact, shown, style=self._outer_style, facts=self._facts(artifact), download=download)
        return page.encode("utf-8", "replace")

    def _facts(self, artifact: Artifact) -> str:
        try:
            label = self._desk.engine.types.named(artifact.type).label
        except UnknownType:
            label = artifact.type
        language = artifact.version.language if artifact.type == "code" else None
        told = (label, language, size_text(artifact.size), f"version {artifact.version.number}")
        return " · ".join(fact for fact in told if fact)


def _wrapped(artifact: Artifact, shown: Rendered, *, style: str, facts: str, download: str) -> str:
    title, name = escape(artifact.title), escape(artifact.name)
    link = f'<a href="{escape(download)}" download="{name}">Download</a>' if download else ""
    note = f'<p class="note">{escape(shown.note)}</p>' if shown.note else ""
    sandbox = "allow-scripts" if shown.runs_script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title}</title><style>{style}</style></head>'
        '<body id="bare">'
        f"<header><div><h1>{title}</h1><p>{escape(facts)}</p></div>{link}</header>{note}"
        f'<iframe sandbox="{sandbox}" title="{title}" referrerpolicy="no-referrer" '
        f'srcdoc="{escape(shown.markup)}"></iframe></body></html>'
    )
