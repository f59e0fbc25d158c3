"""A real S3 server on loopback, which counts what it is asked for and sends, and can be told to refuse, stall or hang up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RDWR
from threading import Thread
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

KEY, SECRET = "AKIAMODELREGISTRY", "c4n4ry-s3cr3t"
PIECE = 1 << 16
"""Bytes that are sent at once; between two pieces the server may be stopped."""


@dataclass
class Request:
    """What one request asked for, and what it was given."""

    method: str
    path: str
    range: str
    key: str
    """The access key that it was signed with; empty for nobody's."""
    sent: int = 0
    """Bytes of the body that the connection took."""

    @property
    def start(self) -> int:
        """The first byte that it wants."""
        found = re.match(r"bytes=(\d+)-", self.range)
        return int(found[1]) if found else 0


class S3:
    """The server.

    Attributes:
        requests: All of them since ``reset``, in the order in which they came.
        refuses: The status with which a request is turned down; 0 for not at all.
        before: Called before each piece of an answer's body. It may take its time; a ``ConnectionError`` hangs up.
        after: Called when a piece was sent.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self.reset()
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.client = boto3.client(
            "s3", endpoint_url=self.address, region_name="us-east-1", aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
        )  # fmt: skip

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Have these objects, by key."""
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda key: self.client.put_object(Bucket=bucket, Key=key, Body=objects[key]), objects
                )
            )

    def reset(self) -> None:
        """Forget the requests, and answer all that come."""
        self.requests: list[Request] = []
        self.refuses: Callable[[Request], int] = lambda _: 0
        self.before: Callable[[Request], object] = lambda _: None
        self.after: Callable[[Request], object] = lambda _: None

    def stop(self) -> None:
        """Hang up for ever."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def gets(self, name: str = "") -> list[Request]:
        """The requests for the bytes of objects whose key ends so."""
        return [each for each in self.requests if each.method == "GET" and each.path.endswith(name)]

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        signed = re.search(r"Credential=([^/]*)/", environ.get("HTTP_AUTHORIZATION", ""))
        request = Request(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ.get("HTTP_RANGE", ""),
            signed[1] if signed else "",
        )
        self.requests.append(request)
        if status := self.refuses(request):
            code = {403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}[status]
            body = b"" if request.method == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
            start_response(
                f"{status} {code}", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
            )
            return [body]
        return self._pieces(request, self._app(environ, start_response))

    def _pieces(self, request: Request, body: Iterable[bytes]) -> Iterator[bytes]:
        for data in body:
            for start in range(0, len(data), PIECE):
                self.before(request)
                piece = data[start : start + PIECE]
                yield piece
                request.sent += len(piece)
                self.after(request)


class _Quiet(MotoRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: object = None) -> None:
        """Hang up, so that the other side knows."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(SHUT_RDWR)


@contextmanager
def running() -> Iterator[S3]:
    """A server, as long as the block lasts."""
    server = S3()
    try:
        yield server
    finally:
        server.stop()
