"""A web server of files on loopback, with or without ranges, that counts what it sends and can refuse, stall or hang up."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR

PIECE = 1 << 16


@dataclass
class Request:
    """What one request asked for, and what it was given."""

    method: str
    path: str
    range: str
    sent: int = 0


class FileServer(ThreadingHTTPServer):
    """Serves the files below ``root``.

    Attributes:
        requests: All of them, in the order in which they came.
        ranges: Whether a part of a file can be asked for.
        refuses: The status with which a request is turned down; 0 for not at all.
        before: Called before each piece of a body. It may take its time; a ``ConnectionError`` hangs up.
    """

    daemon_threads = True

    def __init__(self, root: Path, *, ranges: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.ranges = ranges
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.reset()

    def reset(self) -> None:
        """Forget the requests, and answer all that come."""
        self.requests: list[Request] = []
        self.refuses: Callable[[Request], int] = lambda _: 0
        self.before: Callable[[Request], object] = lambda _: None

    def sent(self) -> int:
        """Bytes of bodies, all together."""
        return sum(each.sent for each in self.requests)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hung up is told nothing."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        request = Request(self.command, self.path, self.headers.get("Range", ""))
        self.server.requests.append(request)
        path = self.server.root / self.path.lstrip("/")
        status = self.server.refuses(request) or (200 if path.is_file() else 404)
        if status != 200:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = path.read_bytes()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range) if self.server.ranges else None
        start = int(wanted[1]) if wanted else 0
        end = min(int(wanted[2]) + 1 if wanted and wanted[2] else len(data), len(data))
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes" if self.server.ranges else "none")
        self.send_header("Content-Length", str(end - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for at in range(start, end, PIECE):
                self.server.before(request)
                piece = data[at : min(at + PIECE, end)]
                self.wfile.write(piece)
                request.sent += len(piece)
        except ConnectionError:
            self.close_connection = True
            self.connection.shutdown(SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        pass


@contextmanager
def serving(root: Path, *, ranges: bool = True) -> Iterator[FileServer]:
    """A server, as long as the block lasts."""
    with FileServer(root, ranges=ranges) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
