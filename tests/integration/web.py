"""Git's smart protocol over http on loopback: https' younger sister."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _SmartHttp(BaseHTTPRequestHandler):
    """Hands every request to ``git http-backend``, as a web server does."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        environment = os.environ | {
            "GIT_PROJECT_ROOT": self.server.root,  # type: ignore[attr-defined]
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", "0"),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_ADDR": "127.0.0.1",
        }
        body = self.rfile.read(int(environment["CONTENT_LENGTH"]))
        if len(body) < int(environment["CONTENT_LENGTH"]):
            return  # the client is gone; git http-backend would wait for the rest for ever
        if status := self.server.refuses(f"{self.command} {self.path}"):  # type: ignore[attr-defined]
            self.send_response(status)
            self.send_header("WWW-Authenticate", 'Basic realm="here"')
            self.end_headers()
            return
        output = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        ).stdout
        head, _, content = output.partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(lines.pop("Status", "200 OK").split()[0]))
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing it waits for what it still does

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever hung up is told nothing."""


@contextmanager
def serve(root: Path, *, refuses: Callable[[str], int] = lambda _: 0) -> Iterator[int]:
    """Serve the repositories below ``root``; on which port.

    Args:
        root: Where they are.
        refuses: The status with which a request (its method and address) is turned down; 0 for not at all.
    """
    server = _Server(("127.0.0.1", 0), _SmartHttp)
    server.root = os.fspath(root)  # type: ignore[attr-defined]
    server.refuses = refuses  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
