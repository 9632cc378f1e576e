"""TCP-AO: keys, MACs, key agreement and payload encryption; octets in, octets out, no sockets and no clock."""

import edotun_core as _core  # noqa: F401
