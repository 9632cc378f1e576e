"""TCP-AO with configured keys: every segment is signed, the SYN under keys of its own (RFC 5925 §5.2, §7)."""

from __future__ import annotations

from collections.abc import Mapping

from ao.keys import Key, KeyRing, configured_key, syn_receive, syn_send
from ao.mkt import Mkt, MktTable
from ao.reasons import AoDrop
from ao.tally import Tally
from ao.traffic_keys import SocketPair
from edo.codepoints import Dialect
from edo.plan import Plan

from ..flow import Flow
from ..protection import Protection, Verdict, locate_ao, verify
from ..run import ACK, RST, SYN, Run
from ..sealer import Sealer
from ..segment import Segment
from .base import Handshake


class ConfiguredProtection(Protection):
    """TCP-AO by the MKTs of a socket pair, from the first SYN on.

    Before both ISNs are known a SYN is signed and verified under traffic keys of its own; after that a ring serves
    that holds a key for every MKT of the pair (RFC 5925 §4.4). A segment without TCP-AO is never accepted.
    """

    __slots__ = ("_dialect", "_local_isn", "_mkt", "_pair", "_remote_isn", "_ring", "_table", "_tallies")

    def __init__(self, table: MktTable, mkt: Mkt, pair: SocketPair, local_isn: int, dialect: Dialect) -> None:
        super().__init__()
        self._table = table
        self._mkt = mkt
        self._pair = pair
        self._local_isn = local_isn
        self._remote_isn = 0
        self._ring: KeyRing | None = None
        self._tallies: dict[int, Tally] = {}
        self._dialect = dialect

    @property
    def ao_octets(self) -> int:
        ring = self._ring
        return (self._mkt.option_mac_octets if ring is None else ring.current.mac_octets) + 4

    @property
    def key_ids(self) -> tuple[int, int]:
        ring = self._ring
        if ring is None:
            return (self._mkt.send_id, self._mkt.recv_id)
        return (ring.current.send_id, ring.rnext.recv_id)

    @property
    def authenticates(self) -> bool:
        return True

    @property
    def tallies(self) -> Mapping[int, Tally]:
        return self._tallies

    def _key(self, mkt: Mkt, remote_isn: int) -> Key:
        """The connection's key of a tuple; what it verifies is counted with what its like did before."""
        tally = self._tallies.setdefault(mkt.recv_id, Tally())
        return configured_key(mkt, self._pair, self._local_isn, remote_isn, tally)

    @property
    def mac(self) -> str:
        """Name of the MAC that signs."""
        return self._signing.mac

    @property
    def cipher(self) -> str | None:
        """Name of the cipher that encrypts, None where the payload stays clear."""
        return self._signing.encrypt

    @property
    def _signing(self) -> Mkt:
        ring = self._ring
        if ring is not None:
            for mkt in self._table.matching(self._pair):
                if mkt.send_id == ring.current.send_id:
                    return mkt
        return self._mkt

    @property
    def table(self) -> MktTable:
        """The table that the keys come from."""
        return self._table

    @property
    def pair(self) -> SocketPair:
        """The connection's ends."""
        return self._pair

    @property
    def ring(self) -> KeyRing | None:
        """The keys of the connection, once both ISNs are known: to be asked for, used and removed."""
        return self._ring

    def add(self, mkt: Mkt) -> None:
        """Take a tuple that came after the connection began (RFC 5925 §3.1).

        Its traffic keys are those of the connection's ISNs. Raises ValueError where an id is in use; nothing
        happens before both ISNs are known: the table has it then.
        """
        if self._ring is not None:
            self._ring.add(self._key(mkt, self._remote_isn))

    @property
    def keys(self) -> KeyRing | None:
        return self._ring

    @property
    def knows_both(self) -> bool:
        """Whether both ISNs are known."""
        return self._ring is not None

    def open(self, segment: Segment, number: int) -> Verdict:
        place = locate_ao(segment)
        if place is None:
            return AoDrop.ao_required
        if not isinstance(place, tuple):
            return place
        offset, octets = place
        key_id = segment.tcp[offset + 2]
        ring = self._ring
        # A SYN, or its OOB, which has none of the three: there is no ACK to tell of the other ISN.
        alone = not segment.flags & (ACK | RST)
        if ring is None or alone:
            mkt = self._table.incoming(self._pair, key_id)
            if mkt is None:
                return AoDrop.ao_key_not_found
            if alone:
                syn_key = self._syn_key(mkt, segment, self._tallies.setdefault(mkt.recv_id, Tally()))
                return verify(segment, segment.seq, syn_key, offset, octets, self._dialect)
            # SYN-SENT: a SYN-ACK, and nothing else, tells the peer's ISN.
            if not segment.flags & SYN:
                return AoDrop.ao_key_not_found
            key = self._key(mkt, segment.seq)
            return verify(segment, segment.seq, key, offset, octets, self._dialect)
        found = ring.find(key_id)
        if found is None:
            return AoDrop.ao_key_not_found
        verdict = verify(segment, number, found, offset, octets, self._dialect)
        if verdict is found:
            ring.learn(found, segment.tcp[offset + 3])
        return verdict

    def succeeds(self, segment: Segment) -> bool:
        """Only with a good MAC; the connection that it begins counts it."""
        place = locate_ao(segment)
        mkt = self._table.incoming(self._pair, segment.tcp[place[0] + 2]) if isinstance(place, tuple) else None
        if mkt is None or not isinstance(place, tuple):
            return False
        key = self._syn_key(mkt, segment, Tally())
        return verify(segment, segment.seq, key, *place, self._dialect) is key

    def _syn_key(self, mkt: Mkt, segment: Segment, tally: Tally) -> Key:
        """A tuple's Receive_SYN key for this SYN (RFC 5925 §5.2); it signs nothing."""
        check = syn_receive(mkt, self._pair, segment.seq)
        return Key(
            mkt.send_id,
            mkt.recv_id,
            mkt.option_mac_octets,
            check,
            check,
            cover_options=mkt.cover_options,
            tally=tally,
        )

    def both_known(self, remote_isn: int, key_id: int, rnext_key_id: int) -> None:
        """The peer's first segment verified: from now on a ring serves.

        Its RNextKeyID names the key to send under and its KeyID the one to ask for, where there are such keys
        (RFC 5925 §7.5; Linux does so on accepting).
        """
        self._remote_isn = remote_isn
        keys = [self._key(mkt, remote_isn) for mkt in self._table.matching(self._pair)]
        current = next((key for key in keys if key.send_id == rnext_key_id), None)
        current = current or next(key for key in keys if key.send_id == self._mkt.send_id)
        ring = KeyRing(current, *(key for key in keys if key is not current))
        ring.rnext = ring.find(key_id) or current
        self._ring = ring

    def limit(self, room: int) -> None:
        if self._ring is not None:
            self._ring.limit(room)

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        if not run.flags & (ACK | RST):
            sign = syn_send(self._mkt, self._pair, self._local_isn)
            sealer.seal(run, plan, room, out, sign, None, self._mkt.cover_options)
        elif self._ring is not None:
            key = self._ring.current
            # What an OOB carries is no text.
            encrypt = None if run.options.syn_eos else key.encrypt
            sealer.seal(run, plan, room, out, key.sign, encrypt, key.cover_options)
        # Without the peer's ISN nothing but a SYN can be signed, and an unsigned segment would be dropped.

    def wipe(self) -> None:
        if self._ring is not None:
            self._ring.wipe()


class ConfiguredHandshake(Handshake):
    """RFC 9293's handshake under configured keys."""

    __slots__ = ("_protection",)

    def __init__(self, flow: Flow, protection: ConfiguredProtection) -> None:
        mode = "ao" if protection.cipher is None else "ao-enc"
        super().__init__(flow, mode)
        self._protection = protection
        flow.protection = protection
        self.facts.mode = mode
        self.facts.mac = protection.mac
        self.facts.cipher = protection.cipher
        self.facts.authenticated = True

    def learn(self, segment: Segment) -> None:
        """Take ISN and key ids from the peer's SYN or SYN-ACK, whose MAC was good."""
        place = locate_ao(segment)
        assert isinstance(place, tuple)
        offset = place[0]
        self._protection.both_known(segment.seq, segment.tcp[offset + 2], segment.tcp[offset + 3])
        self.facts.mac = self._protection.mac
        self.facts.cipher = self._protection.cipher

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if segment.flags & SYN and not self._protection.knows_both:
            self.learn(segment)
        self.take_plain(segment, number, key, now)
