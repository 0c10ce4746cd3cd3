"""Following runs in a browser: their report, made anew while they train, at an address of this machine alone."""

import html
import http.server
import socketserver
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import check_whole, InputError
from .document import page, subjects_of
from .folders import tell

SECONDS = 5.0  # between two looks
_HEADERS = (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"))
_WAITING = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content={:g}><title>logpi</title>{}"
)


def serve(folders: Sequence[str | Path], port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server on 127.0.0.1 that makes the page anew whenever it is asked; `port` 0 is any that is free.

    The page loads itself anew while a training goes on, and no more when all have ended. Raises `InputError` for a
    folder without a run, or a port that is taken.
    """
    port = check_whole("port", port, 0, 65535)
    folders = subjects_of("folders", folders)
    for i, folder in enumerate(folders):
        tell(folder, i)
    try:
        server = _Server(("127.0.0.1", port), _Handler)
    except OSError as error:
        raise InputError(f"Port {port} cannot be had ({error.strerror}): give another, or 0 for any.") from None
    server.folders = tuple(folders)
    return server


class _Server(http.server.ThreadingHTTPServer):
    """Holds what its handlers, one for each request, show."""

    folders: tuple[str | Path, ...] = ()
    request_queue_size = 256  # browsers that ask at once

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that leaves early is no fault of anybody's."""
        if not isinstance(sys.exception(), OSError):
            socketserver.BaseServer.handle_error(self, request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers for `/` alone."""

    server: _Server
    timeout = 30.0  # seconds for a request: a connection that says nothing holds a thread

    def do_GET(self) -> None:
        """The page; other addresses are not there."""
        if self.path.partition("?")[0] != "/" or not self._local():
            self.send_error(404)
            return
        data = _now(self.server.folders).encode()
        self.send_response(200)
        for name, value in (*_HEADERS, ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: who looks at the page looks at the page."""

    def _local(self) -> bool:
        """Whether the address asked for is this machine's own: another name that leads here is somebody's trick."""
        return self.headers.get("Host", "").partition(":")[0] in ("127.0.0.1", "localhost")


def _now(folders: tuple[str | Path, ...]) -> str:
    """The page, or what is wrong for the moment, as when a training is being started over."""
    try:
        going = any(tell(folder).status == "running" for folder in folders)
        return page(list(folders), fresh=False, refresh=SECONDS if going else None)
    except InputError as error:
        return _WAITING.format(SECONDS, f"<p>{html.escape(str(error))}")
