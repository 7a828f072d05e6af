# SPDX-License-Identifier: MIT
"""Serves a folder to Chromium, and boards at its fake `navigator.serial` (fake_serial.js), in a thread."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from tests.web.dev_board import DevBoard

SCRIPT = Path(__file__).with_name("fake_serial.js")


class SerialServer:
    """What a test has of it.

    Attributes:
        url: of the folder's index.
        choice: the board that the user picks in the browser's dialogue; None: the user closes it.
        asked: the filters of every dialogue.
    """

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self.choice: DevBoard | None = None
        self.asked: list[list[dict[str, int]]] = []
        self._loop = loop
        self._boards: list[DevBoard] = []

    def call(self, action: Callable[[], Any]) -> Any:
        """Do something with a board in the thread that boards live in; returns what it returns."""
        done: Future[Any] = Future()

        def act() -> None:
            try:
                done.set_result(action())
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(act)
        return done.result(60)

    def plug(self, board: DevBoard) -> DevBoard:
        """Plug a board in, and choose it from now on."""
        self.choice = board
        self._boards.append(board)
        self.call(board.power_on)
        return board

    def unplug(self, board: DevBoard) -> None:
        """Pull a board's cable."""
        self._boards.remove(board)
        self.call(board.unplug)

    def unplug_all(self) -> None:
        """Leave nothing running."""
        while self._boards:
            self.unplug(self._boards[-1])

    async def answer(self, socket: WebSocket) -> None:
        """Serve one page from its load to its end."""
        await socket.accept()
        page = Page(self)
        sender = asyncio.create_task(page.send(socket))
        try:
            while (message := await socket.receive())["type"] != "websocket.disconnect":
                if message.get("bytes"):
                    page.write(message["bytes"])
                else:
                    page.ask(json.loads(message["text"]))
        finally:
            sender.cancel()
            page.leave()


class Page:
    """A page in the browser: the ports that its user has given it, by number, and the signals of those that are open."""

    def __init__(self, server: SerialServer) -> None:
        self._server = server
        self._ports: dict[int, DevBoard] = {}
        self._last_number = 0
        self._signals: dict[int, dict[str, bool]] = {}
        self._out: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def send(self, socket: WebSocket) -> None:
        """Send what there is for the page, for ever."""
        while True:
            item = await self._out.get()
            await (socket.send_text(item) if isinstance(item, str) else socket.send_bytes(item))

    def write(self, framed: bytes) -> None:
        """Bytes for a board, behind the number of its port."""
        if framed[0] in self._signals:
            self._ports[framed[0]].write(framed[1:])

    def ask(self, request: dict[str, Any]) -> None:
        """Do what the page asks for, and answer."""
        if request["do"] == "ports":
            answer: dict[str, Any] = {"granted": [self._described(number) for number in self._ports]}
        elif request["do"] == "choose":
            answer = {"chosen": self._choose(request["filters"])}
        elif request["port"] in self._ports:
            answer = self._act(request, request["port"], self._ports[request["port"]])
        else:
            answer = {"error": ["NetworkError", "The device has been lost."]}
        self._out.put_nowait(json.dumps(answer | {"request": request["request"]}))

    def leave(self) -> None:
        """The page ends: its ports close."""
        for number in list(self._signals):
            del self._signals[number]
            self._ports[number].close()

    def _act(self, request: dict[str, Any], number: int, board: DevBoard) -> dict[str, Any]:
        match request["do"]:
            case "open" if board.busy:
                return {"error": ["NetworkError", "Failed to open serial port."]}
            case "open":
                self._signals[number] = {"dtr": True, "rts": True}
                board.on_data = lambda data: self._out.put_nowait(bytes([number]) + data)
                board.open(request["baud"])
                board.signals(dtr=True, rts=True)
            case "signals":
                self._signals[number] |= {name: request[name] for name in ("dtr", "rts") if name in request}
                board.signals(**self._signals[number])
            case "close":
                del self._signals[number]
                board.close()
        return {}

    def _choose(self, filters: list[dict[str, int]]) -> dict[str, Any] | None:
        self._server.asked.append(filters)
        board = self._server.choice
        if board is None or not board.plugged:
            return None
        has = self._info(board)
        if filters and not any(wish.items() <= has.items() for wish in filters):
            return None
        for number, known in self._ports.items():
            if known is board:
                return self._described(number)
        self._last_number = number = self._last_number + 1
        self._ports[number] = board
        board.on_unplug = lambda: self._lose(number)
        return self._described(number)

    def _info(self, board: DevBoard) -> dict[str, int]:
        return dict(zip(("usbVendorId", "usbProductId"), board.info, strict=True))

    def _described(self, number: int) -> dict[str, Any]:
        return {"number": number, "info": self._info(self._ports[number])}

    def _lose(self, number: int) -> None:
        # Its USB chip has no number of its own: what the user allowed ends with the connection.
        del self._ports[number]
        self._signals.pop(number, None)
        self._out.put_nowait(json.dumps({"lost": number}))


@contextmanager
def serve(folder: Path) -> Iterator[SerialServer]:
    """Serve a folder for a `with` block."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://localhost:{listener.getsockname()[1]}/"
    loop = asyncio.new_event_loop()
    made = SerialServer(url, loop)
    routes = [WebSocketRoute("/fake-serial", made.answer), Mount("/", StaticFiles(directory=folder, html=True))]
    config = uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off", ws_max_size=2**26)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join()
        loop.close()
        listener.close()
