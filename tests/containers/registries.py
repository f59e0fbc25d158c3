"""A real registry of containers on loopback (Debian's docker-registry), open or behind a password."""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

USER, PASSWORD = "exporter", "c4n4ry-s3cr3t"
HASH = "$2b$05$abcdefghijklmnopqrstuuDoPu8avxK2ii.I0DXP7pajxXX./r.T2"
"""What the registry keeps of the password: bcrypt."""
PROGRAM = shutil.which("docker-registry")


@contextmanager
def running(folder: Path, *, password: bool = False) -> Iterator[str]:
    """Its host and port, as long as the block lasts; what it keeps is in ``folder``."""
    assert PROGRAM, "apt-get install docker-registry"
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    auth = ""
    if password:
        (folder / "htpasswd").write_text(f"{USER}:{HASH}\n")
        auth = f"auth:\n  htpasswd:\n    realm: models\n    path: {folder / 'htpasswd'}\n"
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {folder / 'data'}\n"
        f"  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n{auth}"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "serve", str(folder / "config.yml")], stdout=log, stderr=log, cwd=folder
        )
        try:
            _wait(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("it does not answer")


@contextmanager
def asking_for_tokens(registry: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Something before a registry that lets nobody through without a token, as most that are hosted do.

    Gives its host and port, and what it has been asked so far, with the ``Authorization``.
    """
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            shown = self.headers.get("Authorization", "")
            asked.append((f"{self.command} {self.path}", shown))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/token"):
                known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                token = "t0k3n" if shown == f"Basic {known}" else "nobody"
                self.reply(200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode())
            elif shown != "Bearer t0k3n":
                realm = f'Bearer realm="http://{place}/token",service="models",scope="repository:x:pull,push"'
                self.reply(401, {"WWW-Authenticate": realm}, b"no")
            else:
                behind = http.client.HTTPConnection(registry)
                headers = {key: value for key, value in self.headers.items() if key != "Authorization"}
                behind.request(self.command, self.path, body, headers)
                answer = behind.getresponse()
                self.reply(answer.status, dict(answer.getheaders()), answer.read())
                behind.close()

        do_GET = do_HEAD = do_POST = do_PUT = handle_one  # noqa: N815 (the base class calls them so)

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for key, value in headers.items():
                if key not in ("Content-Length", "Transfer-Encoding", "Connection", "Date"):
                    self.send_header(key, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = f"127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield place, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
