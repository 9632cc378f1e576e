"""The plan of one segment's header: what the option space hands to whoever seals segments."""

from __future__ import annotations

from enum import Enum


class Form(Enum):
    """The two forms of the EDO Extension (draft-ietf-tcpm-tcp-edo §4)."""

    SHORT = "short"
    LONG = "long"


class Plan:
    """Option octets of a run of segments and where the fields to be patched stand.

    ``octets`` are the options that follow the 20 fixed header octets, those behind Data Offset included;
    ``data_offset`` (20-60) and ``header_octets`` (>= data_offset) count octets from the start of the TCP header.
    ``ao_offset``, ``extension_offset`` and ``segment_length_offset`` are offsets from the start of the TCP
    header, -1 where there is none; so is ``mac_offset``, that of TCP-AO's MAC or TCP-MD5's digest, which is zero in
    ``octets`` and filled by the sealer, as is Segment_Length. ``whole``: it is known of a SYN that no option
    yielded to others.
    """

    __slots__ = (
        "ao_octets",
        "ao_offset",
        "data_offset",
        "extension_octets",
        "extension_offset",
        "header_octets",
        "mac_offset",
        "octets",
        "segment_length_offset",
        "whole",
    )

    def __init__(
        self,
        octets: bytes,
        data_offset: int,
        *,
        ao_offset: int = -1,
        ao_octets: int = 0,
        mac_offset: int = -1,
        extension_offset: int = -1,
        extension_octets: int = 0,
        segment_length_offset: int = -1,
    ) -> None:
        self.octets = octets
        self.data_offset = data_offset
        self.header_octets = 20 + len(octets)
        self.ao_offset = ao_offset
        self.ao_octets = ao_octets
        self.mac_offset = mac_offset if ao_offset < 0 else ao_offset + 4
        self.extension_offset = extension_offset
        self.extension_octets = extension_octets
        self.segment_length_offset = segment_length_offset
        self.whole = False

    @property
    def repeats(self) -> bool:
        """Whether every segment may have these octets: nothing behind Data Offset, nothing of one segment alone."""
        return self.data_offset == self.header_octets and self.extension_offset < 0 and self.mac_offset < 0

    def with_octets(self, octets: bytes) -> Plan:
        """The same plan over other option values; ``octets`` are as many as before and laid out alike."""
        plan = Plan(octets, self.data_offset)
        plan.ao_offset = self.ao_offset
        plan.ao_octets = self.ao_octets
        plan.mac_offset = self.mac_offset
        plan.extension_offset = self.extension_offset
        plan.extension_octets = self.extension_octets
        plan.segment_length_offset = self.segment_length_offset
        plan.whole = self.whole
        return plan

    def kept(self) -> tuple[tuple[int, int], ...]:
        """(offset, length) of the options that stay in a MAC input from which options are excluded (octets)."""
        spans = []
        if self.ao_offset >= 0:
            spans.append((self.ao_offset, self.ao_octets))
        if self.extension_offset >= 0:
            spans.append((self.extension_offset, self.extension_octets))
        return tuple(sorted(spans))
