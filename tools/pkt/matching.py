"""Whether a segment that the stack sent is the one that the script expects."""

from __future__ import annotations

from edo.codepoints import Dialect

from . import octets
from .segments import Ends, Segment
from .syntax import Ecn, IpInfo, Opt, TcpSpec, show_options

_NO_ENDS = Ends(b"", 0, b"", 0)


def difference(
    spec: TcpSpec, sent: Segment, dialect: Dialect, ts_tolerance: float | None, *, echoes: bool = True
) -> str | None:
    """What is other than expected, in a few words; None if nothing is.

    ``sent`` is in the script's numbers. ``ts_tolerance``: how far a timestamp may be off, in ticks; None: it is not
    looked at. ``echoes``: whether a timestamp's echo is.
    """
    if spec.ports is not None and spec.ports != (sent.ends.source_port, sent.ends.destination_port):
        return f"ports {sent.ends.source_port} > {sent.ends.destination_port}"
    if spec.flags != sent.flags:
        return "flags"
    if spec.seq not in (None, sent.seq) or spec.length != sent.length:
        return "stream numbers"
    if spec.ack is not None and spec.ack != sent.ack:
        return "ack"
    if spec.window is not None and spec.window != sent.window:
        return "window"
    if spec.urgent is not None and spec.urgent != sent.urgent:
        return "urgent pointer"
    ip = _ip_difference(spec, sent)
    if ip is not None:
        return ip
    if spec.options is None:
        return None
    return _option_difference(spec.options, sent, dialect, ts_tolerance, echoes=echoes)


def _ip_difference(spec: TcpSpec, sent: Segment) -> str | None:
    ip = spec.ip
    if ip.ecn is Ecn.ECT01:
        if sent.ecn not in (Ecn.ECT0, Ecn.ECT1):
            return f"ECN field {sent.ecn.value}"
    elif ip.ecn is not None and ip.ecn is not sent.ecn:
        return f"ECN field {sent.ecn.value}"
    if ip.tos is not None and ip.tos != sent.tos:
        return f"tos 0x{sent.tos:02x}"
    if ip.ttl is not None and ip.ttl != sent.ttl:
        return f"ttl {sent.ttl}"
    if ip.flow_label is not None and ip.flow_label != sent.flow_label:
        return f"flow label 0x{sent.flow_label:x}"
    return None


def _option_difference(
    expected: tuple[Opt, ...], sent: Segment, dialect: Dialect, ts_tolerance: float | None, *, echoes: bool
) -> str | None:
    inside = next((index for index, option in enumerate(expected, 1) if option.word == "edo"), len(expected))
    if len(expected) != len(sent.options) or inside != sent.inside:
        return "options"
    for wanted, found in zip(expected, sent.options, strict=True):
        if wanted.word == found.word == "TS":
            if echoes and wanted.numbers[1] != found.numbers[1]:
                return "timestamp's echo"
            off = abs((wanted.numbers[0] - found.numbers[0] + 0x80000000) % (1 << 32) - 0x80000000)
            if ts_tolerance is not None and not wanted.any_value and off > ts_tolerance:
                return "timestamp"
        elif wanted.word == found.word and wanted.word in {"md5", "FO", "FOEXP"} and wanted.octets is None:
            # A digest or cookie that the script does not give is whatever it is; a request for one has none.
            if wanted.word != "md5" and found.octets is not None:
                return "Fast Open cookie"
            if wanted.numbers and wanted.numbers != found.numbers:
                return "TCP-MD5 digest"
        elif octets.encode(wanted, dialect) != octets.encode(found, dialect):
            return "options"
    return None


def show_spec(spec: TcpSpec, sent: Segment | None = None) -> str:
    """What is expected as scripts write it; of a segment of ``sent`` what the script does not look at."""
    filler = sent.window if sent is not None else 0
    filler_seq = sent.seq if sent is not None else 0
    shown = Segment(
        sent.ends if sent is not None else _NO_ENDS,
        filler_seq if spec.seq is None else spec.seq,
        spec.ack or 0,
        spec.flags,
        filler if spec.window is None else spec.window,
        spec.urgent or 0,
        (),
        0,
        spec.length,
    ).show(ace=spec.ace)
    if spec.window is None and sent is None:
        shown = shown.replace(" win 0", "")
    ports = "" if spec.ports is None else f"{spec.ports[0]} > {spec.ports[1]} "
    options = "<...>" if spec.options is None else show_options(spec.options) if spec.options else ""
    return f"{spec.ip}{ports}{shown} {options}".strip()


def show_sent(sent: Segment, spec: TcpSpec) -> str:
    """What was sent, in the script's numbers, with ports and fields of the IP header if ``spec`` looks at them."""
    ip = spec.ip
    seen = IpInfo(
        None if ip.ecn is None else sent.ecn,
        None if ip.tos is None else sent.tos,
        None if ip.ttl is None else sent.ttl,
        None if ip.flow_label is None else sent.flow_label,
    )
    ports = "" if spec.ports is None else f"{sent.ends.source_port} > {sent.ends.destination_port} "
    return f"{seen}{ports}{sent.show(ace=spec.ace)}"
