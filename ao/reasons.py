"""Why a segment or a message was dropped by authentication or key agreement."""

from __future__ import annotations

from enum import StrEnum


class AoDrop(StrEnum):
    """Drop reasons; the value is the name under which a drop is counted (RFC 5925 §2.2, §7.5).

    Those of TCP-MD5 (RFC 2385 §2.0) are Linux's TCPMD5NotFound, TCPMD5Unexpected and TCPMD5Failure.
    """

    ao_required = "ao_required"
    ao_unexpected = "ao_unexpected"
    ao_bad_mac = "ao_bad_mac"
    ao_bad_length = "ao_bad_length"
    ao_key_not_found = "ao_key_not_found"
    ao_md5_conflict = "ao_md5_conflict"
    md5_required = "md5_required"
    md5_unexpected = "md5_unexpected"
    md5_bad = "md5_bad"
    sne_underflow = "sne_underflow"
    ke_malformed = "ke_malformed"
    ke_repeated_differently = "ke_repeated_differently"
    clear_segment = "clear_segment"
