"""Habits of other systems: what their TCPs do otherwise than the RFCs' authors, or where these leave it open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """Settings of one connection's TCP beside those of the RFCs; times in seconds. None is the default.

    The window and the buffers:

    - ``round_buffers``: both buffers are rounded up to whole segments once the peer's MSS is known.
    - ``whole_window``: each segment advertises all the room that there is, without the steps of RFC 9293
      §3.8.6.2.2, but none where it is less than a segment and than a quarter of the buffer. As much is accepted,
      even where the field cannot tell it.
    - ``raise_window``: with it, a window that scaling would cut off is raised to the next unit instead.
    - ``close_forgets``: closing with unread octets sends a FIN, not the reset of RFC 9293 §3.6.1.
    - ``bsd_updates``: reading sends a window update where BSD does: for two segments and a quarter of the buffer
      more than was advertised, or half of it, unless an acknowledgment waits for its delay.
    - ``ack_second``: of two segments in order the second is acknowledged at once, however small they are.

    Opening:

    - ``open_timeout``: how long an active open may take in all (0: ``syn_retries`` alone decide).
    - ``syn_ack_retries``: repetitions of a SYN-ACK (-1: ``syn_retries``).
    - ``ecn_retries``: how many repetitions of a SYN still offer ECN.
    - ``plain_syn_after``: a SYN that was repeated so often carries its MSS alone from then on (0: never).
    - ``syn_cookies`` False: a SYN for which there is no room is dropped, not answered by a cookie (RFC 4987 §3.6).
    - ``path_mss``: a SYN that is repeated announces no more than the path is known to take, over IPv6 or both.
    - ``remember_path_mtu``: what ICMP says of a path holds for later connections over it (RFC 1191 §6.3).
    - ``no_options``: SYNs carry no options, and the peer's are not looked at.
    - ``hold_syn_text``: a SYN-ACK does not acknowledge the text of the SYN, which a listener leaves out.
    - ``ack_crossed``: where SYNs have crossed, ours without text, a SYN-ACK is acknowledged, as Linux does.
    - ``forgive_syn``: the initial window is not reduced for one repetition of a SYN or SYN-ACK (RFC 6928 §2).
    - ``crossed_text``: the text of a SYN that crosses ours is kept.

    Ending:

    - ``repeat_fin``: an acknowledgment repeats our FIN while that is not acknowledged.
    - ``late_resets``: a reset in CLOSING and LAST-ACK is an error for the application, as before.
    - ``bsd_time_wait``: TIME-WAIT ignores RST (RFC 1337 §3, F1) and whatever has no ACK, and acknowledges all else
      but the peer's last acknowledgment, without flags of ECN.

    What is not believed:

    - ``bsd_icmp``: which ICMP errors are hard, and their errno, is as in BSD; ``icmp_resets`` off: none is hard.
    - ``drop_syn_fin``: a segment with SYN and FIN is dropped.
    - ``blackhole``: no RST is sent, for a SYN or for all that no connection takes, as if no host were there.
    - ``tolerate_missing_timestamps``: RFC 7323 §3.2's drop of segments without them is not done.
    - ``check_echo``: a SYN-ACK that echoes no timestamp of ours is reset.
    - ``whole_sacks``: a SACK block counts for the whole segments in it.

    Retransmission:

    - ``rto_slop``: added to each RTO that was measured or doubled, not doubled itself.
    - ``cwr_on_resent``: retransmissions may carry CWR, too.

    ECN:

    - ``ecn_plus``: which segments but new octets are ECN-capable, too: SYN-ACKs (RFC 5562), or all but resets.
    - ``marks_on_acks``: a mark on a segment without octets is echoed, too.
    """

    round_buffers: bool = False
    whole_window: bool = False
    raise_window: bool = False
    close_forgets: bool = False
    bsd_updates: bool = False
    ack_second: bool = False
    open_timeout: float = 0.0
    syn_ack_retries: int = -1
    ecn_retries: int = 0
    plain_syn_after: int = 0
    syn_cookies: bool = True
    path_mss: Literal["off", "ipv6", "both"] = "off"
    remember_path_mtu: bool = False
    no_options: bool = False
    hold_syn_text: bool = False
    ack_crossed: bool = False
    crossed_text: bool = True
    forgive_syn: bool = False
    repeat_fin: bool = False
    late_resets: bool = False
    bsd_time_wait: bool = False
    bsd_icmp: bool = False
    icmp_resets: bool = True
    drop_syn_fin: bool = False
    blackhole: Literal["off", "syn", "all"] = "off"
    tolerate_missing_timestamps: bool = False
    check_echo: bool = False
    whole_sacks: bool = False
    rto_slop: float = 0.0
    cwr_on_resent: bool = False
    ecn_plus: Literal["off", "syn-ack", "all"] = "off"
    marks_on_acks: bool = False
