"""A protection of one's own: TCP-AO with a MAC of 16 octets by HMAC-SHA-256, for which extended options make room.

edotun lab headers --with docs/examples/lab/protection.py --only mode=ao-sha256
"""

from __future__ import annotations

from ipaddress import ip_network

import edotun
from ao.mkt import Mkt, MktTable
from edotun import Security


@edotun.protection("ao-sha256")
def ao_sha256() -> tuple[Security, Security]:
    """TCP-AO with HMAC-SHA-256, cut to 16 octets, beside EDO."""
    client = Mkt("key", 1, 2, b"a long secret", peer=ip_network("10.0.0.2/32"), mac="hmac-sha256-128")
    server = Mkt("key", 2, 1, b"a long secret", peer=ip_network("10.0.0.1/32"), mac="hmac-sha256-128")
    return (
        Security("ao", edo="strict", keys=MktTable([client])),
        Security("ao", edo="strict", keys=MktTable([server])),
    )
