# SPDX-License-Identifier: MIT
"""Sends one request over HTTP and waits for the answer, within a limit of time and of size. Follows nobody elsewhere."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError

LIMIT_S = 20.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def check_url(url: str) -> str:
    """The same address; UserError code 2 for what is none of HTTP, or has a password in it."""
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or not url.isprintable() or " " in url:
        raise UserError(f"{plain(url)!r} is no address: those begin with http:// or https://.", USAGE)
    if parts.username is not None or parts.password is not None:
        raise UserError("no password belongs into that address: it is kept in the ledger.", USAGE)
    return url


def place_of(url: str) -> str:
    """An address as a ledger keeps it: without what stands behind a question mark, which may be somebody's secret."""
    return urllib.parse.urlunsplit((*urllib.parse.urlsplit(url)[:3], "", ""))


def post(url: str, body: bytes, kind: str, most_bytes: int, limit_s: float = LIMIT_S) -> tuple[int, bytes]:
    """Status and body of the answer.

    Args:
        kind: the media type of `body`.
        most_bytes: a longer answer is none.
        limit_s: for all of it, however slowly it drips.

    Raises:
        UserError: nobody answers, not in time, or too much.
    """
    done: queue.SimpleQueue[tuple[int, bytes] | Exception] = queue.SimpleQueue()
    asked = urllib.request.Request(
        check_url(url), data=body, headers={"Content-Type": kind, "User-Agent": "earlid"}, method="POST"
    )
    opener = urllib.request.build_opener(_NoRedirect)

    def ask() -> None:
        try:
            with opener.open(asked, timeout=limit_s) as response:
                done.put((response.status, response.read(most_bytes + 1)))
        except urllib.error.HTTPError as error:
            with error:
                done.put((error.code, error.read(most_bytes + 1)))
        except Exception as error:
            done.put(error)

    threading.Thread(target=ask, name="post", daemon=True).start()
    where = urllib.parse.urlsplit(url).netloc
    try:
        answer = done.get(timeout=limit_s)
    except queue.Empty:
        raise UserError(f"{where} did not answer within {limit_s:g} s.", FAILED) from None
    if isinstance(answer, TimeoutError):
        raise UserError(f"{where} did not answer within {limit_s:g} s.", FAILED) from answer
    if isinstance(answer, OSError | http.client.HTTPException | ValueError):
        reason = getattr(answer, "reason", answer)
        raise UserError(f"no answer of {where}: {plain(reason) or type(answer).__name__}.", FAILED) from answer
    if isinstance(answer, Exception):
        raise answer
    if len(answer[1]) > most_bytes:
        raise UserError(f"{where} answered with more than {most_bytes} bytes.", FAILED)
    return answer
