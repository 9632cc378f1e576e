"""An end of a connection as text."""

from __future__ import annotations

from ipaddress import ip_address


def endpoint(address: str | bytes, port: int) -> str:
    """Return ADDR:PORT, an IPv6 address in brackets (RFC 3986 §3.2.2); octets of an address: 4 or 16."""
    text = address if isinstance(address, str) else str(ip_address(address))
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
