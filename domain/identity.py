"""Deterministic ids: the same facts always get the same id, so a retry is idempotent by name."""

import hashlib
import uuid

_SEPARATOR = "\x1f"  # cannot occur in a token, a serial or a number


def deterministic_id(*parts: str) -> str:
    """A lower-case UUID version 8 (RFC 9562) from the SHA-256 of `parts`, in their order.

    >>> deterministic_id("clinic-a", "alert", "S-1")
    '4cd764bf-a07b-8b96-b8e5-46e30d468827'
    """
    digest = bytearray(hashlib.sha256(_SEPARATOR.join(parts).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))
