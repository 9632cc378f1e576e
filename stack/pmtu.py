"""The path's MTU as a connection learns it: from ICMP where that can be believed, else from what gets through.

A connection under TCP-AO ignores ICMP (RFC 5925 §7.8), and some paths send none: there segments are probes
(RFC 4821 §10.1, RFC 8899). A probe is the next octets of the stream in a segment larger than the others. Its loss
is found by the connection's own loss recovery, which stands for PROBE_TIMER; no timer runs, as without octets to
send nothing is probed (RFC 8899 §5.1.1): ``Tcb.probe_at`` is the time from which the sender may ask for a probe,
and ``Tcb.probe_end`` the number whose acknowledgment says that one arrived; both are infinite otherwise.
"""

from __future__ import annotations

from typing import Final

from .losses import OPEN
from .plpmtud import MAX_PROBES, PMTU_RAISE_TIMER, PathSearch, SearchState
from .tcb import NEVER, Tcb

# No router is believed to have less, octets: RFC 8200 §5; IPv4's 68 would let a forger cut everything to crumbs.
_LEAST: Final = {20: 552, 40: 1280}
# What an old router that names no MTU is taken to mean (RFC 1191 §5), octets.
_UNNAMED: Final = 576
# BASE_PLPMTU where none is set, and MIN_PLPMTU, to fall back to (RFC 8899 §5.1.2), octets of IP packet.
_BASE: Final = {20: 1200, 40: 1280}
_MIN: Final = {20: 576, 40: 1280}
# A probe needs this many segments behind it, or its loss would not be found in time (RFC 4821 §7.4).
_DUP_THRESH: Final = 3
# After a timeout it takes so many times longer to the next probe (RFC 4821 §7.6.3).
_TIMEOUT_FACTOR: Final = 5
# A raise is taken back if from loss to loss, so many times in a row, more than a tenth had to be sent again
# (RFC 4821 §7.8). Once may be the end of slow start.
_STRIKES: Final = 3


def established(tcb: Tcb, now: float) -> None:
    """Data may be sent: probing begins where it is on."""
    if tcb.config.mtu_probing == "on":
        _begin(tcb, now)


def rely_on_probes(tcb: Tcb, now: float) -> None:
    """From now on ICMP is not believed: probes alone tell of the path, unless they are not wanted."""
    if tcb.config.mtu_probing == "auto":
        _begin(tcb, now)


def _begin(tcb: Tcb, now: float) -> None:
    """Enter BASE: segments are no larger than BASE_PLPMTU until more is known (RFC 8899 §5.2, RFC 4821 §7.2)."""
    if tcb.path is not None:
        return
    search = _new_search(tcb)
    if search.max_plpmtu <= search.base_plpmtu:
        return
    tcb.path = search
    tcb.probe_at = now
    tcb.lower_path_mtu(search.plpmtu, now)


def _new_search(tcb: Tcb) -> PathSearch:
    config = tcb.config
    header = config.ip_header
    # MAX_PLPMTU: what both ends' links take.
    most = min(config.mtu, (min(config.mss, tcb.peer_mss) if config.mss else tcb.peer_mss) + header + 20)
    return PathSearch(_MIN[header], max(config.base_mtu or _BASE[header], _MIN[header]), most)


# --- probes ------------------------------------------------------------------------------------------------


def probe_octets(tcb: Tcb, nxt: int, available: int, usable: int, room: int) -> int:
    """How many octets the probe that goes now has, 0 for none; called while ``probe_at`` has passed.

    ``available`` octets from ``nxt`` on wait to be sent, of which the peer's window takes ``usable`` and the
    congestion window ``room``. The conditions are those of RFC 4821 §7.4; -1 says that only room is missing, for
    which the sender waits, as acknowledgments of what is under way will make it.
    """
    search = tcb.path
    board = tcb.scoreboard
    if search is None or tcb.recovery != OPEN or board.waiting or board.sacked or not tcb.sack_ok:
        return 0
    smss = tcb.segment_size
    if search.state is SearchState.BASE:
        # Any segment of the full size confirms it.
        if min(available, usable, room) >= smss:
            _watch(tcb, search, search.plpmtu, nxt, nxt + smss)
        return 0
    if search.state is not SearchState.SEARCHING and not search.next_size():
        # PMTU_RAISE_TIMER has expired.
        search.resume()
    size = search.next_size()
    if not size:
        tcb.probe_at = NEVER
        return 0
    octets = tcb.payload_room(size)
    if octets <= smss or min(available, tcb.snd_wnd, int(tcb.control.cwnd)) < octets + _DUP_THRESH * smss:
        return 0
    if min(usable, room) < octets:
        return -1
    _watch(tcb, search, size, nxt, nxt + octets)
    return octets


def _watch(tcb: Tcb, search: PathSearch, size: int, start: int, end: int) -> None:
    search.sent(size, start, end)
    tcb.probe_at = NEVER
    tcb.probe_end = float(end)


def acknowledged(tcb: Tcb, now: float) -> None:
    """SND.UNA has reached ``probe_end``: the probe arrived, being neither lost nor sent again (RFC 4821 §7.6.1)."""
    tcb.probe_end = NEVER
    search = tcb.path
    if search is None:
        return
    search.acknowledged()
    if search.plpmtu > tcb.path_mtu_octets:
        # RFC 4821 §4: windows are octets and stay as they are.
        tcb.path_mtu_octets = search.plpmtu
        tcb.resize()
        tcb.raised = (-1, tcb.retransmissions, tcb.octets_out, now)
    _schedule(tcb, search, now, 0.0)


def _schedule(tcb: Tcb, search: PathSearch, now: float, wait: float) -> None:
    """When the next probe may go: ``wait`` seconds from now, or when PMTU_RAISE_TIMER expires."""
    if search.state is SearchState.BASE or search.next_size():
        tcb.probe_at = now + wait
    else:
        tcb.probe_at = now + PMTU_RAISE_TIMER


def _headway(tcb: Tcb) -> float:
    """RFC 4821 §4, §7.6.2: seconds from a loss that was no congestion to the next probe, which may be one more.

    One round trip for each segment of the window: rarer than the losses that congestion control lives on.
    """
    return tcb.rtt.srtt * max(int(tcb.control.cwnd) // tcb.segment_size, 1)


def isolated(tcb: Tcb, now: float) -> bool:
    """Is what was just found lost the probe and nothing else, and so no sign of congestion (RFC 4821 §7.6.2)?

    If so it is sent again in segments of the usual size; if not, the probe has told nothing (§7.6.4).
    """
    search = tcb.path
    if tcb.probe_end == NEVER or search is None:
        return False
    board = tcb.scoreboard
    index = board.next_waiting()
    alone = (
        search.state is not SearchState.BASE
        and index >= 0
        and board.records[index].start == search.start
        and board.waiting == search.end - search.start
    )
    if not alone:
        disturbed(tcb, now)
        return False
    _failed(tcb, search, now, _headway(tcb))
    return True


def isolated_head(tcb: Tcb, edge: int, now: float) -> bool:
    """As ``isolated``, where the first segment and what lies below ``edge`` would be lost (RFC 6675 §5)."""
    search = tcb.path
    if tcb.probe_end == NEVER or search is None or search.start != tcb.snd_una or edge > search.end:
        return False
    tcb.scoreboard.mark_head_lost(search.end - search.start)
    return isolated(tcb, now)


def _failed(tcb: Tcb, search: PathSearch, now: float, wait: float) -> None:
    tcb.probe_end = NEVER
    search.failed()
    _schedule(tcb, search, now, wait)
    tcb.fast_retransmit = True
    # Duplicates that follow are of this loss still.
    tcb.recover = max(tcb.recover, search.end)


def disturbed(tcb: Tcb, now: float) -> None:
    """Other octets were lost: a probe under way tells nothing (RFC 4821 §7.6.4); a raise is verified (§7.8)."""
    if tcb.probe_end != NEVER:
        tcb.probe_end = NEVER
        tcb.probe_at = now
    if tcb.raised is not None:
        _verify(tcb, tcb.raised, now)


def _verify(tcb: Tcb, raised: tuple[int, int, int, float], now: float) -> None:
    """RFC 4821 §7.8: a path of several widths lets a probe through and loses much of what follows."""
    strikes, resent, sent, since = raised
    search = tcb.path
    if now - since < tcb.rtt.rto or search is None:
        return
    lost = (tcb.retransmissions - resent) * tcb.segment_size
    if strikes >= 0 and 10 * lost <= tcb.octets_out - sent + lost:
        tcb.raised = None
    elif strikes + 1 < _STRIKES:
        tcb.raised = (strikes + 1, tcb.retransmissions, tcb.octets_out, now)
    else:
        _take_back(tcb, search, now)


def _take_back(tcb: Tcb, search: PathSearch, now: float) -> None:
    """The latest raise was wrong: the size before is kept until PMTU_RAISE_TIMER expires."""
    tcb.raised = None
    search.complete(search.before)
    tcb.probe_end = NEVER
    tcb.probe_at = now + PMTU_RAISE_TIMER
    tcb.lower_path_mtu(search.plpmtu, now)


# --- other signs -------------------------------------------------------------------------------------------


def too_big(tcb: Tcb, mtu: int, now: float) -> None:
    """ICMP says that the next hop takes ``mtu`` octets (0: it does not say); only less than before counts.

    Without a search it is taken at its word (RFC 1191, RFC 8201); a search takes it for a hint (RFC 8899 §4.6.2).
    """
    told = max(mtu or _UNNAMED, _LEAST[tcb.config.ip_header])
    search = tcb.path
    if told >= tcb.path_mtu_octets:
        if search is not None and tcb.probe_end != NEVER and told < search.probed_size:
            _probe_refused(tcb, search, told, now)
        return
    tcb.probe_end = NEVER
    tcb.raised = None
    if search is None:
        if tcb.config.mtu_probing != "off":
            search = tcb.path = _new_search(tcb)
            search.complete(told)
            _schedule(tcb, search, now, 0.0)
    elif told >= search.base_plpmtu:
        search.black_hole()
        search.refused(told)
        told = search.plpmtu
        tcb.probe_at = now
    else:
        search.error(told)
        tcb.probe_at = now + _headway(tcb)
    tcb.lower_path_mtu(told, now)


def _probe_refused(tcb: Tcb, search: PathSearch, told: int, now: float) -> None:
    """PLPMTU < PL_PTB_SIZE < PROBED_SIZE: the probe alone was too large."""
    board = tcb.scoreboard
    for record in board.records:
        if record.start >= search.end:
            break
        if record.start >= search.start:
            board.lose(record)
    search.lost += 1
    search.refused(told)
    tcb.probe_end = NEVER
    _schedule(tcb, search, now, _headway(tcb))
    tcb.fast_retransmit = True


def timed_out(tcb: Tcb, now: float) -> None:
    """One more timeout in a row: a probe has failed, and from the third on size is suspected (RFC 4821 §7.7).

    Three, as RFC 8899 §5.1.2 has it, so that mere loss is not taken for a black hole.
    """
    search = tcb.path
    probing = search is not None and search.state is not SearchState.BASE and tcb.probe_end != NEVER
    if search is not None and probing and search.start == tcb.snd_una:
        _failed(tcb, search, now, _TIMEOUT_FACTOR * _headway(tcb))
    disturbed(tcb, now)
    if tcb.config.mtu_probing != "off":
        _suspect(tcb, now)


def sent_again(tcb: Tcb, now: float) -> None:
    """The first segment goes out again and again while later ones arrive: it is not the path, it is the size."""
    if tcb.head != tcb.snd_una:
        tcb.head = tcb.snd_una
        tcb.head_sendings = 0
    tcb.head_sendings += 1
    if tcb.head_sendings > MAX_PROBES and tcb.config.mtu_probing != "off":
        search = tcb.path or _new_search(tcb)
        if tcb.path_mtu_octets > search.base_plpmtu:
            _black_hole(tcb, search, now)


def _suspect(tcb: Tcb, now: float) -> None:
    """One more timeout: a black hole for PLPMTU from the third on, then for BASE_PLPMTU (RFC 8899 §4.3, §5.2)."""
    search = tcb.path
    if search is not None and search.state is SearchState.BASE:
        if not search.base_lost():
            return
    elif tcb.retries < MAX_PROBES:
        return
    elif search is None or search.state is not SearchState.ERROR:
        _black_hole(tcb, search or _new_search(tcb), now)
        return
    if search.min_plpmtu < tcb.path_mtu_octets:
        search.error(search.min_plpmtu)
        tcb.probe_end = NEVER
        tcb.probe_at = now + _TIMEOUT_FACTOR * _headway(tcb)
        tcb.lower_path_mtu(search.plpmtu, now)


def _black_hole(tcb: Tcb, search: PathSearch, now: float) -> None:
    if tcb.raised is not None:
        _, resent, sent, _ = tcb.raised
        if 4 * (tcb.retransmissions - resent) * tcb.segment_size > tcb.octets_out - sent:
            # Not all of that size is lost, and another search would find it again.
            _take_back(tcb, search, now)
            return
    search.plpmtu = tcb.path_mtu_octets
    search.black_hole()
    tcb.path = search
    tcb.probe_at = now
    tcb.probe_end = NEVER
    tcb.raised = None
    tcb.lower_path_mtu(search.plpmtu, now)
