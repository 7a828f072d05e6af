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
LABEL_BYTES_MAX = 1000
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
                return JSONResponse({"say": "a label needs no more than board, boot, seq and label."}, 413)
        request_values = _parse_label(body) if request.headers.get("content-type") == "application/json" else None
        if request_values is None:
            return JSONResponse({"say": "a label is JSON: board, boot, seq, and label true, false or null."}, 400)
        board, boot, seq, label_value = request_values
        try:
            if not await asyncio.to_thread(self._feed.can_label, board, boot, seq):
                return JSONResponse({"say": f"record {seq} is no opening or near miss of this ledger."}, 404)
            await asyncio.to_thread(self._set_label, board, boot, seq, label_value)
            await self._notify(-1)
        except UserError as error:
            return JSONResponse({"say": str(error)}, 500)
        return JSONResponse({"say": f"Record {seq}: {_LABEL_TEXTS[label_value]}."})

    def _set_label(self, board: str, boot: int, seq: int, label_value: bool | None) -> None:
        if self._ledger is None:
            self._ledger = Ledger(self._feed.location)
        self._ledger.set_label(board, boot, seq, label_value)


def _parse_label(body: bytes) -> tuple[str, int, int, bool | None] | None:
    try:
        body_values = json.loads(body)
        board, boot, seq, label_value = (body_values[name] for name in ("board", "boot", "seq", "label"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers = all(type(number) is int and 0 <= number <= 0xFFFFFFFF for number in (boot, seq))
    if type(board) is not str or not numbers or not (label_value is None or type(label_value) is bool):
        return None
    return board, boot, seq, label_value


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
