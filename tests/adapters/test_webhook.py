"""One try over HTTP: the bytes that are signed, where they may go, and what comes back."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook as Reference

from adapters.secrets import generate
from adapters.webhook import ForbiddenTarget, Webhook, check_address, check_url, resolve
from domain.delivery import Answer, Lane, parcel

PARCEL = parcel(Lane("clinic-a", "mis-1", "alerts-0"), 7)
SECRET = generate()
PUBLIC = "93.184.216.34"


class Endpoint:
    """A server on loopback that answers as told and keeps what it was sent."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.body = b""
        self.silent = threading.Event()
        self.connections: set[Any] = set()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                endpoint.connections.add(self.client_address)
                endpoint.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                if endpoint.silent.is_set():
                    self.close_connection = True
                    return
                self.send_response(endpoint.status)
                for name, value in endpoint.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(endpoint.body)))
                self.end_headers()
                self.wfile.write(endpoint.body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/pma?x=1"


@contextmanager
def running() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.server.shutdown()
        endpoint.server.server_close()
        thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running() as endpoint:
        yield endpoint


def post(webhook: Webhook, url: str) -> Answer:
    return webhook.post(url, [SECRET], PARCEL, {"resourceType": "Bundle", "type": "transaction"}, at=datetime.now(UTC))


def test_r70_the_bytes_that_were_signed_are_the_bytes_that_arrive(endpoint: Endpoint) -> None:
    answer = post(Webhook(allow_insecure=True), endpoint.url)
    assert (answer.status, answer.error) == (204, None)
    ((path, headers, body),) = endpoint.got
    assert path == "/pma?x=1"
    assert Reference(SECRET).verify(body, headers) == {"resourceType": "Bundle", "type": "transaction"}
    assert headers["webhook-id"] == PARCEL.id
    assert headers["host"] == f"127.0.0.1:{endpoint.port}"
    assert headers["content-type"] == "application/fhir+json"
    assert headers["pma-sequence"] == "7"


def test_c30_connections_are_used_again(endpoint: Endpoint) -> None:
    webhook = Webhook(allow_insecure=True)
    endpoint.status, endpoint.body = 200, b"thank you" * 100
    for _ in range(3):
        assert post(webhook, endpoint.url).status == 200
    assert len(endpoint.connections) == 1


def test_a_long_answer_is_not_read_to_its_end(endpoint: Endpoint) -> None:
    webhook = Webhook(allow_insecure=True)
    endpoint.status, endpoint.body = 500, b"x" * 5_000_000
    assert post(webhook, endpoint.url).status == 500
    endpoint.body = b""
    assert post(webhook, endpoint.url).status == 500


def test_r69_a_redirect_is_an_answer_and_is_not_followed(endpoint: Endpoint) -> None:
    with running() as other:
        endpoint.status, endpoint.headers = 307, {"location": other.url}
        assert post(Webhook(allow_insecure=True), endpoint.url).status == 307
        assert other.got == []


def test_retry_after_comes_back_as_it_was(endpoint: Endpoint) -> None:
    endpoint.status, endpoint.headers = 503, {"Retry-After": "120"}
    assert post(Webhook(allow_insecure=True), endpoint.url).retry_after == "120"


def test_no_proxy_of_the_environment_is_asked(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(Webhook(allow_insecure=True), endpoint.url).status == 204


def test_no_answer_is_an_error_with_a_name(endpoint: Endpoint) -> None:
    endpoint.silent.set()
    assert post(Webhook(allow_insecure=True), endpoint.url).error == "ProtocolError"


def test_r74_an_endpoint_that_is_silent_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook(allow_insecure=True, timeout=0.05)
        answer = post(webhook, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        assert (answer.status, answer.error) == (None, "ReadTimeoutError")


def test_a_port_that_nobody_listens_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert post(Webhook(allow_insecure=True), f"http://127.0.0.1:{port}/").error == "NewConnectionError"


def test_a_host_that_cannot_be_resolved() -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such host")

    assert post(Webhook(resolve=nowhere), "https://mis.example/").error == "gaierror"


def test_a_name_that_is_too_long_for_a_resolver() -> None:
    assert post(Webhook(), f"https://{'a' * 70}.example/").error is not None


def test_the_time_of_a_try_is_measured(endpoint: Endpoint) -> None:
    ticks = iter([10.0, 10.25])
    answer = post(Webhook(allow_insecure=True, elapsed=lambda: next(ticks)), endpoint.url)
    assert answer.ms == 250


# R69: where deliveries may not go. Nothing here asks the network: names are resolved by the test.

INSIDE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0",  # noqa: S104
    "10.0.0.8", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "169.254.170.2", "100.64.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "::169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:a9fe:a9fe::1", "2002:7f00:1::", "2002:c0a8:101::1",
    "2001:0:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:5601:5601",
]  # fmt: skip

OUTSIDE = [
    "93.184.216.34",
    "8.8.8.8",
    "2606:2800:220:1::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", INSIDE)
def test_r69_no_address_that_is_not_everyones(address: str) -> None:
    with pytest.raises(ForbiddenTarget):
        check_address(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_r69_public_addresses_are_fine(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("address", INSIDE)
def test_r69_a_name_that_leads_inside_is_refused_before_anything_is_sent(address: str) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC, address]

    answer = post(Webhook(resolve=rebinding), "https://mis.example/pma")
    assert (answer.status, answer.error) == (None, "forbidden-target")
    assert asked == ["mis.example"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "127.1", "017700000001", "0", "[::1]",
     "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a9fe:a9fe]", "0xa9fea9fe", "2852039166",
     "0251.0376.0251.0376",
     "[fe80::1]", "[64:ff9b::169.254.169.254]"],
)  # fmt: skip
def test_r69_numbers_in_any_spelling_are_resolved_and_then_judged(host: str) -> None:
    answer = post(Webhook(resolve=resolve), f"https://{host}/latest/meta-data/")
    assert answer.status is None
    assert answer.error in {"forbidden-target", "gaierror"}


FORBIDDEN = {
    "plain http": "http://mis.example/",
    "no scheme": "mis.example/pma",
    "another scheme": "ftp://mis.example/",
    "file": "file:///etc/passwd",
    "gopher": "gopher://mis.example/",
    "user": "https://mis.example@169.254.169.254/",
    "user and password": "https://a:b@mis.example/",
    "empty user": "https://@mis.example/",
    "no host": "https:///pma",
    "nothing": "",
    "scheme alone": "https://",
    "backslash": "https://mis.example\\@169.254.169.254/",
    "space": "https://mis.example /",
    "tab": "https://mis\t.example/",
    "line feed": "https://mis.example/\r\nhost: inside",
    "null": "https://mis.example\x00.inside/",
    "full-width letters": "https://ｍis.example/",
    "cyrillic letters": "https://мис.рф/",
    "enclosed digits": "https://①②⑦.⓪.⓪.①/",
    "fragment": "https://mis.example/#@inside",
    "bad port": "https://mis.example:99999999/",
    "port that is none": "https://mis.example:https/",
    "open bracket": "https://[::1/",
}


@pytest.mark.parametrize("url", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_r69_urls_that_are_no_place_to_deliver_to(url: str) -> None:
    with pytest.raises(ForbiddenTarget):
        check_url(url)
    assert post(Webhook(resolve=lambda host, port: [PUBLIC]), url).error == "forbidden-target"


@pytest.mark.parametrize(
    "url",
    ["https://mis.example/pma", "https://mis.example:8443/a?b=c", "https://xn--h1aen.xn--p1ai/", "HTTPS://MIS.example"],
)
def test_urls_that_are(url: str) -> None:
    assert check_url(url).scheme == "https"


def test_plain_http_is_let_through_only_where_the_stage_says_so() -> None:
    assert check_url("http://127.0.0.1:8080/pma", allow_insecure=True).port == 8080
    with pytest.raises(ForbiddenTarget):
        check_url("ftp://127.0.0.1/", allow_insecure=True)


def test_r69_the_connection_goes_to_the_address_that_was_checked_under_the_hosts_name() -> None:
    hello = b""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            nonlocal hello
            connection, _ = server.accept()
            with connection:
                hello = connection.recv(4096)

        thread = threading.Thread(target=listen)
        thread.start()
        webhook = Webhook(allow_insecure=True, resolve=lambda host, port: ["127.0.0.1"])
        answer = post(webhook, f"https://mis.example:{server.getsockname()[1]}/")
        thread.join()
    assert answer.status is None
    assert b"mis.example" in hello  # SNI
