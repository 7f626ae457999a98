"""Request ids: UUID version 7, so that an id says when its request was accepted.

Owns making one and reading its time. Source: RFC 9562 section 5.7.
"""

import hashlib
import secrets
import time
from datetime import UTC, datetime
from uuid import UUID


def new_request_id() -> str:
    """Return a new id: 48 bits of Unix milliseconds, then 74 random bits."""
    return _version_7(time.time_ns() // 1_000_000, secrets.randbits(80))


def derived_request_id(request_id: str, name: str) -> str:
    """Return the id of a request made from another one; the same names give the same id."""
    digest = hashlib.sha256(f"{request_id}.{name}".encode()).digest()
    return _version_7(UUID(request_id).int >> 80, int.from_bytes(digest[:10]))


def _version_7(milliseconds: int, random_bits: int) -> str:
    value = (milliseconds << 80) | random_bits
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(UUID(int=value))


def accepted_at(request_id: str) -> datetime:
    """Return the moment in a request id, to the millisecond.

    Raises: ValueError if it is none.
    """
    parsed = UUID(request_id)
    if parsed.version != 7:
        raise ValueError("not a request id")
    return datetime.fromtimestamp((parsed.int >> 80) / 1000, tz=UTC)
