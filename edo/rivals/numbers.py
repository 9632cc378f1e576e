"""Code points of the rivals, none of them assigned: all are of our own choice, under the experimental kind.

An option that a document gives a Kind of its own and a Length has ExID or magic number behind them here (RFC 6994
§2), so it is two or four octets longer than in the document.
"""

from __future__ import annotations

from typing import Final

AGGREGATED: Final = 0xA66E
"""ExID of the aggregated option (draft-nishida-tcpm-agg-syn-ext-00 has a Kind to be assigned)."""

SYN_OP_SIS: Final = 0x5150B1A5
"""Magic number of SynOpSis (draft-briscoe-tcpm-syn-op-sis-02), a 32-bit ExID as RFC 6994 §3 has them."""

MAGIC_A: Final = 0x1A5BACE5
"""Magic Number A of an InSpace with SYN (draft-briscoe-tcpm-inner-space-01 §2)."""

MAGIC_B: Final = 0xE5CA
"""Magic Number B there."""

FOUR_WAY: Final = 0x08
"""The 4WAY bit (draft-borman-tcp4way-00): the first of the reserved bits, in the octet with Data Offset."""
