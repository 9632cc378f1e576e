"""Why the option space drops a segment."""

from __future__ import annotations

from enum import StrEnum


class EdoDrop(StrEnum):
    """Reasons of silent, counted drops (draft-ietf-tcpm-tcp-edo §5, §6.5)."""

    MALFORMED_OPTION = "malformed_option"
    """An option overruns its area, has Length 0 or 1, or there are two Extensions or one of a wrong Length."""

    EDO_MISSING = "edo_missing"
    """No Extension in a segment after EDO was confirmed (strict)."""

    EDO_HEADER_LENGTH = "edo_header_length"
    """Header_Length below Data Offset, past the segment's end, or not a whole number of words."""

    EDO_SEGMENT_LENGTH = "edo_segment_length"
    """Segment_Length is not the TCP length of the pseudo-header."""

    MALFORMED_SPACE = "malformed_space"
    """A rival's frame of options that contradicts itself (``edo.rivals``)."""

    PARAMETERS_MISSING = "parameters_missing"
    """A segment that comes before the options that its peer promised (``edo.rivals.aggregated``)."""

    STRAY_OOB = "stray_oob"
    """A segment without SYN, ACK and RST that carries SYN-EOS and belongs to no SYN that waits for it."""
