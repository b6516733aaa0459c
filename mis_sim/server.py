"""The receiving end of the webhook: HTTP/1.1 with connections that stay open. TLS belongs to the proxy before it."""

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from mis_sim.receiving import Answer, receive
from mis_sim.store import Store

LARGEST_BODY = 5 * 1024 * 1024
"""Bytes. A larger delivery is answered 413 and comes again in parts."""

_IDLE = 30  # seconds


class Receiver:
    """A running MIS on loopback. `with start(...) as mis:` stops it; what it stored stays in its database."""

    def __init__(self, store: Store, secrets: Iterable[str], port: int) -> None:
        self.store = store
        self._secrets = list(secrets)
        receiver = self

        class Handler(_Handler):
            mis = receiver

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="mis-sim", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/pma"

    def trust(self, secret: str) -> None:
        """Accept this secret too: the one shown once when the endpoint was put, or a rotated one."""
        self._secrets.append(secret)

    def counts(self) -> dict[str, int]:
        """`delivered verified repeats problems gaps observations flags devices`."""
        return self.store.counts()

    def observations(self) -> list[dict[str, Any]]:
        return self.store.resources("Observation")

    def flags(self) -> list[dict[str, Any]]:
        return self.store.resources("Flag")

    def devices(self) -> list[dict[str, Any]]:
        return self.store.resources("Device")

    def problems(self) -> list[tuple[str, int, str, str]]:
        return self.store.problems()

    def receive(self, headers: dict[str, str], body: bytes) -> Answer:
        return receive(headers, body, secrets=tuple(self._secrets), store=self.store)

    def wait(self) -> None:
        """Until somebody stops it."""
        self._thread.join()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.store.close()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(*, secrets: Iterable[str] = (), database: Path | None = None, port: int = 0) -> Receiver:
    """Receive on `port` of loopback (0: a free one), into `database` (None: in memory). Raises OSError: port taken."""
    store = Store(database)
    try:
        return Receiver(store, secrets, port)
    except OSError:
        store.close()
        raise


class _Handler(BaseHTTPRequestHandler):
    mis: Receiver
    protocol_version = "HTTP/1.1"
    timeout = _IDLE

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self._answer(Answer(411, "content-length is missing"), close=True)
        elif int(length) > LARGEST_BODY:
            self._answer(Answer(413, "send it in parts"), close=True)
        else:
            body = self.rfile.read(int(length))
            self._answer(self.mis.receive({name.lower(): value for name, value in self.headers.items()}, body))

    def _answer(self, answer: Answer, *, close: bool = False) -> None:
        body = f"{answer.detail}\n".encode()
        self.send_response(answer.status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        if close:  # the body was not read, so nothing else can be read from this connection
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr: what was refused is in the store."""
