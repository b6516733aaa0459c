"""One try of one delivery over HTTPS: a body rendered once, signed and sent as the same bytes (R70).

An endpoint's address is a stranger's: it is resolved once, every address it has must be public, and the connection
goes to the one that was checked, so neither a redirect nor a changing name leads inside (R69).
"""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

import orjson
import urllib3
from urllib3.util import Timeout, Url, parse_url

from domain.delivery import TIMEOUT, Answer, Parcel, sign

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

_PORTS = {"https": 443, "http": 80}
_ANSWER_READ = 16 * 1024  # bytes: an answer's body tells us nothing; read, it lets the connection be used again
_AUTHORITY_END = re.compile("[/?#]")
_ALSO_INSIDE = tuple(
    ipaddress.ip_network(one) for one in ("192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10")
)  # what some versions of Python call global: protocol assignments (a cloud's metadata), local NAT64, site-local
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class ForbiddenTarget(ValueError):
    """A url that deliveries may not go to; the message says in one sentence what is wrong with it."""


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """JSON with each Decimal in its own digits: no float comes between (R34)."""
    return orjson.dumps(document, default=_digits)


def _digits(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def resolve(host: str, port: int) -> list[str]:
    """Every address of a host. Raises OSError."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def check_url(url: str, *, allow_insecure: bool = False) -> Url:
    """The parts of a url that deliveries may go to, by the parser that the connection uses too.

    `allow_insecure` lets plain HTTP through, for a receiver on the same machine. Raises ForbiddenTarget.
    """
    if not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        raise ForbiddenTarget("a url is written in printable ASCII, with no space and no backslash")
    try:
        parts = parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise ForbiddenTarget("this is no url") from error
    if parts.scheme not in ({"https", "http"} if allow_insecure else {"https"}):
        raise ForbiddenTarget("the scheme is https")
    if not parts.host:
        raise ForbiddenTarget("a url names a host")
    if "@" in _AUTHORITY_END.split(url.partition("//")[2])[0]:  # an empty user name too, which the parser drops
        raise ForbiddenTarget("a url carries no user name")
    if parts.fragment is not None:
        raise ForbiddenTarget("a url carries no fragment")
    return parts


def check_address(address: str) -> None:
    """Refuse an address that is not everyone's: private, loopback, link-local, metadata, multicast or reserved, also
    when it hides in an IPv6 one. Raises ForbiddenTarget."""
    for one in _embedded(ipaddress.ip_address(address)):
        if not one.is_global or one.is_multicast or any(one in network for network in _ALSO_INSIDE):
            raise ForbiddenTarget("the host has an address that is not public")


def _embedded(address: Address) -> list[Address]:
    """The address and every IPv4 one that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    hidden: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _COMPATIBLE:
        hidden.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    # an IPv4-mapped address is judged as the IPv4 one: Python calls all of ::ffff:0:0/96 reserved
    itself: list[Address] = [] if address.ipv4_mapped else [address]
    return itself + [one for one in hidden if one is not None]


@dataclass(frozen=True)
class Webhook:
    """Posts to endpoints. One for a process: connections are kept and used again (C30)."""

    allow_insecure: bool = False
    resolve: Resolve = resolve
    elapsed: Callable[[], float] = time.monotonic
    timeout: float = TIMEOUT.total_seconds()
    _pools: urllib3.PoolManager = field(default_factory=partial(urllib3.PoolManager, num_pools=50), repr=False)

    def post(
        self, url: str, secrets: Sequence[str], parcel: Parcel, document: Mapping[str, Any], *, at: datetime
    ) -> Answer:
        """Sign and send once. A redirect is an answer like any other; environment proxies are not asked.

        `at` is the time of the attempt. Never raises for what the other side does: Answer.error names it.
        """
        body = to_bytes(document)
        timestamp = int(at.timestamp())
        headers = parcel.headers | {
            "webhook-id": parcel.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(secrets, parcel.id, timestamp, body),
        }
        started = self.elapsed()
        try:
            status, retry_after = self._send(url, headers, body)
        except ForbiddenTarget:
            return Answer(None, self._ms(started), error="forbidden-target")
        except (urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            return Answer(None, self._ms(started), error=type(error).__name__)
        return Answer(status, self._ms(started), retry_after=retry_after)

    def _ms(self, started: float) -> int:
        return round((self.elapsed() - started) * 1000)

    def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        parts = check_url(url, allow_insecure=self.allow_insecure)
        scheme, host = str(parts.scheme), str(parts.host).strip("[]")
        port = parts.port or _PORTS[scheme]
        addresses = self.resolve(host, port)
        if not self.allow_insecure:
            for address in addresses:
                check_address(address)
        pool = self._pools.connection_from_host(
            addresses[0],
            port,
            scheme,
            {"server_hostname": host, "assert_hostname": host} if scheme == "https" else None,
        )
        answer = pool.urlopen(
            "POST",
            parts.request_uri,
            body=body,
            headers={**headers, "host": parts.netloc or host},
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=Timeout(total=self.timeout),
            preload_content=False,
        )
        answer.read(_ANSWER_READ, decode_content=False)
        answer.close()
        return answer.status, answer.headers.get("retry-after")
