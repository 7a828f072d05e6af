# SPDX-License-Identifier: MIT
"""A witness for other hosts: an HTTP server that keeps what it said last of each board and signs what extends it."""

from __future__ import annotations

import json
import logging
import socket
import threading
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from earlid.errors import FAILED, UserError
from earlid.files import write_atomically
from earlid.host_clock import now_ms
from earlid.ledger.installation import Installation, locked
from earlid.ledger.location import DATA_DIR_STEP, data_dir
from earlid.witness import keeper, statement
from earlid.witness.statement import Statement

BOARDS_MAX = 1000


class Memory:
    """What this witness said last, of each board: a file of 121 bytes, written before the statement goes out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, board: str) -> Statement | None:
        """The newest statement on a board; UserError when it cannot be read."""
        path = self._folder / board
        try:
            return statement.read(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}.", FAILED) from error

    def keep(self, said: Statement) -> None:
        """Keep a statement, durably."""
        write_atomically(self._folder / said.board, said.data, private=True, sync=True, make_folder=True, next_step=DATA_DIR_STEP)

    def has_room(self) -> bool:
        """Whether there are fewer boards than it takes."""
        return not self._folder.is_dir() or sum(1 for _ in self._folder.iterdir()) < BOARDS_MAX


def make_app(key: Installation, memory: Memory) -> Starlette:
    """The web application (ASGI)."""
    turn = threading.Lock()

    def take(body: bytes) -> Response:
        try:
            asked = keeper.read_request(json.loads(body))
        except (ValueError, RecursionError) as error:
            return JSONResponse({"say": str(error) if type(error) is ValueError else "no JSON"}, 400)
        with turn:  # two requests at once must not both extend the same statement
            newest = memory.newest(asked.board)
            answer = keeper.answer(asked, newest, key, now_ms(), newest is not None or memory.has_room())
            if answer.fresh:
                memory.keep(answer.fresh)
        return JSONResponse(answer.body, answer.status)

    async def post(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > keeper.REQUEST_MAX_BYTES:
                return JSONResponse({"say": "too long"}, 413)
        try:
            return await run_in_threadpool(take, body)
        except UserError as error:
            return JSONResponse({"say": str(error)}, 500)

    async def get(_: Request) -> Response:
        return PlainTextResponse(f"A witness of Earlid: {key.name}\nkey {key.public_key.hex()}\n")

    return Starlette(routes=[Route("/", post, methods=["POST"]), Route("/", get, methods=["GET"])])


def serve(key: Installation, listening: socket.socket) -> None:
    """Answer until interrupted.

    Raises:
        UserError: another program is this witness already.
    """
    folder = data_dir() / "witness"
    folder.mkdir(0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file, locked(file.fileno(), wait=False) as first:
        if not first:
            raise UserError("another program is this witness already: two could sign what contradicts.", FAILED)
        config = uvicorn.Config(
            make_app(key, Memory(folder / "boards")),
            loop="asyncio", http="h11", ws="none", log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=1, limit_concurrency=64,
        )  # fmt: skip
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        uvicorn.Server(config).run(sockets=[listening])
