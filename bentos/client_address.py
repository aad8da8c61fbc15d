"""The network address of a client."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from starlette.types import Scope


def client_of(scope: Scope) -> str:
    """Return the address of the peer, which is the proxy's if there is one.

    Headers such as X-Forwarded-For are ignored, since any client can send them.
    """
    client = scope.get("client")
    # A Unix socket has no address.
    return client[0] if client else "127.0.0.1"


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Return whether an address belongs to this machine; of names, only localhost does."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
