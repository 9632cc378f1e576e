"""Handshakes: how many a core makes, what they put on the wire and how long they take, beside TLS 1.3."""
