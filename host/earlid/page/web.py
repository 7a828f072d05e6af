# SPDX-License-Identifier: MIT
"""Web application (ASGI) of the live page: its routes, and the access rules in front of them.

Access has whoever knows the random token in the address, and only under a name that is this computer's own. A page
of some other site can guess neither, and a name that its owner points at 127.0.0.1 (DNS rebinding) is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from earlid.errors import UserError
from earlid.ledger.store import Ledger
from earlid.page.document import document, policy
from earlid.page.feed import Feed

POLL_S = 0.7
HEARTBEAT_S = 15.0  # a browser that left is noticed when something is sent to it
LABEL_BYTES_MAX = 40_000
LABELS_MAX = 200
_Word = tuple[str, int, int, bool | None]  # board, boot, number, label
_LABEL_TEXTS = {True: "meant", False: "not meant", None: "no label"}


def allowed_host(host: str, listen: str) -> bool:
    """Whether a request's Host header names this computer.

    Args:
        host: the header, with or without a port.
        listen: the address listened on. Beyond loopback any address is let pass, as only names can be pointed elsewhere.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    name = name.removeprefix("[").removesuffix("]").lower()
    if name in ("localhost", listen.lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not ipaddress.ip_address(listen).is_loopback


class AccessGuard:
    """Middleware: refuses requests without token or of other sites, and adds the security headers to every response."""

    def __init__(self, app: ASGIApp, token: str, listen: str) -> None:
        self._app, self._token, self._listen = app, token, listen
        self._headers = [
            (b"content-security-policy", policy(served=True).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),  # the token is in the address
            (b"cache-control", b"no-store"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers]}
            await send(message)

        application = self._app
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        _, _, rest = scope["path"].partition("/")
        token, slash, name = rest.partition("/")
        if not allowed_host(headers.get(b"host", ""), self._listen) or _is_cross_site(headers):
            application = Response("This page is not for other sites.\n", 403)
        elif not slash or not hmac.compare_digest(token.encode(), self._token.encode()):
            application = Response("No such page: use the whole address that `earlid review --serve` printed.\n", 404)
        else:
            scope = {**scope, "path": f"/{name}", "raw_path": f"/{name}".encode()}
        await application(scope, receive, send_guarded)


def _is_cross_site(headers: dict[bytes, str]) -> bool:
    """Whether a browser says that another site asks; following a link or typing the address is not that."""
    origin = headers.get(b"origin")
    if origin is not None and origin.partition("://")[2] != headers.get(b"host"):
        return True
    return headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin") and (
        headers.get(b"sec-fetch-mode") != "navigate"
    )


class _Handlers:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waiting: set[asyncio.Event] = set()
        self._ledger: Ledger | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            watching.cancel()
            for event in self._waiting:
                event.set()
            if self._ledger:
                self._ledger.close()
            self._feed.close()

    async def _poll(self) -> None:
        known = self._feed.revision
        while True:
            await asyncio.sleep(POLL_S)
            if not self._waiting:
                continue
            with contextlib.suppress(UserError):  # busy or out of order for a moment: the next look tells
                known = await self._notify(known)

    async def _notify(self, known: int) -> int:
        revision = await asyncio.to_thread(self._feed.poll)
        if revision != known:
            for event in self._waiting:
                event.set()
        return revision

    async def page(self, request: Request) -> Response:
        return HTMLResponse(document(None))

    async def data(self, request: Request) -> Response:
        try:
            block = await asyncio.to_thread(self._feed.recent if "recent" in request.query_params else self._feed.block)
        except UserError as error:
            return JSONResponse({"say": str(error)}, 500)
        return Response(block, media_type="application/octet-stream")

    async def verdict(self, request: Request) -> Response:
        try:
            return JSONResponse(await asyncio.to_thread(self._feed.verdicts))
        except UserError as error:
            return JSONResponse({"say": str(error)}, 500)

    async def events(self, request: Request) -> Response:
        text = request.headers.get("last-event-id") or request.query_params.get("since", "")
        since = int(text) if text.isdecimal() and len(text) < 10 else -1
        return StreamingResponse(self._stream(since), media_type="text/event-stream")

    async def _stream(self, since: int) -> AsyncIterator[str]:
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield "retry: 1000\n\n"
            while True:
                event.clear()
                for revision, change in await asyncio.to_thread(self._feed.changes_since, since):
                    since = revision
                    yield f"id: {revision}\ndata: {json.dumps(change, separators=(',', ':'))}\n\n"
                try:
                    await asyncio.wait_for(event.wait(), HEARTBEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._waiting.discard(event)

    async def label(self, request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LABEL_BYTES_MAX:
                return JSONResponse({"say": f"{LABELS_MAX} labels need no more than {LABEL_BYTES_MAX} bytes."}, 413)
        words = _parse_labels(body) if request.headers.get("content-type") == "application/json" else None
        if words is None:
            say = f"labels are JSON: a list of up to {LABELS_MAX}, each with board, boot, seq, and label true, false or null."
            return JSONResponse({"say": say}, 400)
        try:
            for board, boot, seq, _ in words:
                if not await asyncio.to_thread(self._feed.can_label, board, boot, seq):
                    return JSONResponse({"say": f"record {seq} is no opening or near miss of this ledger."}, 404)
            await asyncio.to_thread(self._set_labels, words)
            await self._notify(-1)
        except UserError as error:
            return JSONResponse({"say": str(error)}, 500)
        say = f"Record {words[0][2]}: {_LABEL_TEXTS[words[0][3]]}." if len(words) == 1 else f"{len(words)} records are labelled."
        return JSONResponse({"say": say})

    def _set_labels(self, words: list[_Word]) -> None:
        if self._ledger is None:
            self._ledger = Ledger(self._feed.location)
        self._ledger.set_labels(words)


def _parse_labels(body: bytes) -> list[_Word] | None:
    try:
        found = json.loads(body)["labels"]
        if type(found) is not list or not 1 <= len(found) <= LABELS_MAX:
            return None
        words = [tuple(word[name] for name in ("board", "boot", "seq", "label")) for word in found]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return words if all(_is_word(*word) for word in words) else None


def _is_word(board: Any, boot: Any, seq: Any, label: Any) -> bool:
    numbers = all(type(number) is int and 0 <= number <= 0xFFFFFFFF for number in (boot, seq))
    return type(board) is str and numbers and (label is None or type(label) is bool)


def make_app(feed: Feed, token: str, listen: str) -> ASGIApp:
    """The application.

    Args:
        feed: the ledger; closed when the application ends.
        token: the first part of every address.
        listen: the address it is served on, without port.
    """
    handlers = _Handlers(feed)
    routes = [
        Route("/", handlers.page),
        Route("/data", handlers.data),
        Route("/verdict", handlers.verdict),
        Route("/events", handlers.events),
        Route("/label", handlers.label, methods=["POST"]),
    ]
    return AccessGuard(Starlette(routes=routes, lifespan=handlers.lifespan), token, listen)
