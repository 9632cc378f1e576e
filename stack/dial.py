"""Active opens: ports, the handshake that the security asks for, and the connection in another's place."""

from __future__ import annotations

import errno
from dataclasses import replace

from ao.traffic_keys import SocketPair

from .attempt import Attempt
from .config import TcpConfig
from .events import TcpError
from .experimental import beside
from .flow import Flow
from .ground import Ground
from .handshake import rivals
from .handshake.agreed import Agreed
from .handshake.agreed_a import AgreedA
from .handshake.base import Handshake
from .handshake.compact import CompactA
from .handshake.configured import ConfiguredHandshake, ConfiguredProtection
from .handshake.fast_open import FastOpener, offer
from .handshake.md5 import Md5Handshake, Md5Protection, NoMd5
from .handshake.stages import Stage
from .handshake.syn_eos import Opener
from .intent import Dial
from .ip import address_octets, is_one_host
from .ports import Carrier, FlowKey, Successor
from .security import Security
from .states import State
from .syn_space import SynSpace


def connect(
    stack: Ground,
    remote: tuple[str, int],
    local_port: int,
    local_address: str | None,
    security: Security,
    config: TcpConfig | None,
    text: bytes | None,
    now: float,
) -> Attempt:
    """Begin a connection; raises ValueError for an address that is none, OSError where no source fits
    or there is no memory for it.
    """
    remote_octets = address_octets(remote[0])
    if not 0 < remote[1] < 65536:
        raise ValueError(f"port {remote[1]} is not in 1-65535")
    if not is_one_host(remote_octets) or remote_octets in stack.broadcasts:
        raise OSError(errno.ENETUNREACH, f"{remote[0]} is not the address of one host")
    if local_address is not None:
        local = address_octets(local_address)
        if local not in stack.addresses:
            raise OSError(errno.EADDRNOTAVAIL, f"{local_address} is not an address of this stack")
        if len(local) != len(remote_octets):
            raise OSError(errno.EAFNOSUPPORT, f"{local_address} and {remote[0]} are of different IP versions")
    else:
        found = next((own for own in stack.addresses if len(own) == len(remote_octets)), None)
        if found is None:
            version = 4 if len(remote_octets) == 4 else 6
            raise OSError(errno.EAFNOSUPPORT, f"this stack has no IPv{version} address to reach {remote[0]} from")
        local = found
    steps = _worth_trying(stack, remote_octets, security, now) if security.agrees else ()
    dial = Dial(remote_octets, remote[1], local, security, config, text=text, steps=steps)
    flow = _open(stack, dial, local_port, now)
    attempt = Attempt(stack, flow, "connect", now, dial)
    flow.attempt = attempt
    # Who names a port means that one, which the second connection cannot have.
    if security.syn_space is not None and not local_port and rivals.wants_second(flow):
        _race(stack, dial, security.syn_space, attempt, flow, now)
    return attempt


def _race(stack: Ground, dial: Dial, settings: SynSpace, attempt: Attempt, ordinary: Flow, now: float) -> None:
    """Try an upgraded connection beside the ordinary one, if there is room for it (a dual handshake)."""
    try:
        key, iss = _key(stack, dial, 0, now)
    except OSError:
        return
    if not stack.memory.admits():
        return
    second = stack.new_flow(key, dial.security, active=True, now=now, iss=iss, config=dial.config)
    opening = rivals.race(attempt, ordinary, second, settings, now)
    second.connection.connect(now, *opening)
    stack.add_flow(second)


def fast_open_room(stack: Ground, remote: tuple[str, int], config: TcpConfig | None, now: float) -> int:
    """Octets of text that a SYN to ``remote`` would carry with what is known of it (RFC 7413 §4.1.3)."""
    octets = address_octets(remote[0])
    local = next((own for own in stack.addresses if len(own) == len(octets)), None)
    if local is None:
        return 0
    key = FlowKey((local, 0, octets, remote[1]))
    flow = stack.new_flow(key, Security(), active=True, now=now, config=config)
    opening = offer(flow, flow.connection.config.fast_open, now)
    return 0 if opening is None else opening.octets


def redial(stack: Ground, dial: Dial, flow: Carrier, error: TcpError, now: float) -> Successor | None:
    """The connection in place of one that failed, None where none may be (profile.md §2).

    It is one by the next placement, or under ``prefer`` a plain one.
    """
    handshake = flow.handshake
    if not isinstance(handshake, Agreed) or not stack.memory.admits():
        return None
    reason = str(error.strerror or error)
    failed = handshake.stage in (Stage.SYN_SENT, Stage.HELLO_SENT) and handshake.falls_through
    if failed and len(dial.steps) > 1:
        for placement in dial.steps[0]:
            stack.peers.placement_failed(dial.remote, placement, reason, now)
        stack.counters["placements_passed_over"] += 1
        following = replace(dial, steps=dial.steps[1:])
        return Successor(_open(stack, following, 0, now), following, None)
    if dial.security.policy != "prefer":
        return None
    if handshake.stage is not Stage.SYN_SENT:
        stack.peers.agreement_failed(dial.remote, reason, now)
        stack.downgrades[reason] += 1
        plain = replace(dial, security=Security())
        return Successor(_open(stack, plain, 0, now), None, reason)
    if isinstance(handshake, AgreedA | CompactA) and handshake.sent_plain_syn and error.errno == errno.ECONNREFUSED:
        # The reset may answer the plain SYN of a host that takes none: once more, with ENO in every SYN.
        again = replace(dial, plain_syn=False)
        return Successor(_open(stack, again, 0, now), again, None)
    return None


def _open(stack: Ground, dial: Dial, local_port: int, now: float) -> Flow:
    if not stack.memory.admits():
        raise OSError(errno.ENOBUFS, "the stack's memory is used up: no room for another connection")
    key, iss = _key(stack, dial, local_port, now)
    security = dial.security
    flow = stack.new_flow(key, security, active=True, now=now, iss=iss, config=dial.config)
    settings = flow.connection.config.fast_open
    opening = None
    if dial.text is not None and security.protect == "none":
        opening = offer(flow, settings, now)
    if opening is not None:
        handshake: Handshake = FastOpener(flow, opening, settings)
    else:
        handshake = _handshake(stack, flow, dial, now)
    flow.handshake = handshake
    if security.syn_eos is not None and flow.edo.possible:
        offers = security.offers_edo(stack.edo.policy)
        if not stack.peers.syn_eos_is_swallowed(dial.remote, now):
            Opener(handshake, beside(flow, security.syn_eos), edo_too=offers)
        else:
            handshake.facts.fallback = "remembered: SYNs with SYN-EOS met silence"
            if not offers:
                flow.edo.turn_off()
    flow.connection.connect(now, opening, dial.text or b"")
    stack.add_flow(flow)
    return flow


def _handshake(stack: Ground, flow: Flow, dial: Dial, now: float) -> Handshake:
    security = dial.security
    if security.agrees:
        step = dial.steps[0]
        prefers = security.policy == "prefer" and step != ("compact",)
        if prefers and stack.peers.eno_is_swallowed(dial.remote, now):
            handshake = Handshake(flow, security.protect)
            handshake.facts.fallback = "remembered: SYNs with TCP-ENO met silence"
            flow.edo.turn_off()
            return handshake
        agreed: AgreedA | CompactA
        if step == ("compact",):
            agreed = CompactA(flow, security, stack.random, plain_syn=dial.plain_syn)
        else:
            agreed = AgreedA(flow, security, stack.random, step, plain_syn=dial.plain_syn)
        if len(dial.steps) > 1:
            agreed.not_last(now)
        return agreed
    if security.keyed:
        return _configured(stack, flow, security)
    if security.syn_space is not None:
        return rivals.active(flow, security.syn_space)
    return Handshake(flow, security.protect)


def _worth_trying(stack: Ground, remote: bytes, security: Security, now: float) -> tuple[tuple[str, ...], ...]:
    """The placements by attempt, without those that failed with this peer a short while ago, unless all did."""
    steps = security.placement_steps
    fails = stack.peers.placement_fails
    left = (tuple(name for name in step if not fails(remote, name, now)) for step in steps)
    return tuple(filter(None, left)) or steps


def _configured(stack: Ground, flow: Flow, security: Security) -> Handshake:
    """The handshake under the keys that are configured for the peer, those of TCP-AO first (RFC 5925 §8)."""
    pair = SocketPair(*flow.key)
    if security.keys is not None:
        stack.edo.checked(security, pair)
        mkt = security.keys.outgoing(pair)
        if mkt is not None:
            protection = ConfiguredProtection(security.keys, mkt, pair, flow.connection.iss, flow.edo.dialect)
            return ConfiguredHandshake(flow, protection)
        if security.keys.required(pair):
            raise OSError(errno.ENOKEY, "no key of this peer may be sent under now (send_from, send_until)")
    if security.md5_keys is not None:
        key = security.md5_keys.find(pair)
        if key is not None:
            return Md5Handshake(flow, Md5Protection(key, flow.key))
        flow.protection = NoMd5()
    if security.policy == "require":
        raise OSError(errno.ENOKEY, "no configured key matches this peer, and protection is required")
    handshake = Handshake(flow, security.protect)
    handshake.facts.fallback = "no configured key matches this peer"
    return handshake


def _key(stack: Ground, dial: Dial, local_port: int, now: float) -> tuple[FlowKey, int | None]:
    """The pair of a new connection, and its ISN where it takes the place of one in TIME-WAIT (RFC 9293 §3.6.1)."""
    config = dial.config or stack.config
    own, shares = config.port_share
    if local_port:
        if (local_port ^ dial.remote_port) % shares != own:
            raise OSError(errno.EADDRNOTAVAIL, f"port {local_port} towards this peer is another process's")
        key = FlowKey((dial.local, local_port, dial.remote, dial.remote_port))
        free, iss = _free(stack, key, config, now, delay=0.0)
        if not free:
            raise OSError(errno.EADDRINUSE, f"port {local_port} is in use towards this peer")
        return key, iss
    first, last = config.local_ports
    ports = last + 1 - first
    start = int.from_bytes(stack.random(2), "big") % ports
    for step in range(ports):
        port = first + (start + step) % ports
        if (port ^ dial.remote_port) % shares != own:
            continue
        key = FlowKey((dial.local, port, dial.remote, dial.remote_port))
        free, iss = _free(stack, key, config, now, delay=config.time_wait_delay)
        if free:
            return key, iss
    raise OSError(errno.EADDRNOTAVAIL, "no free port towards this peer")


def _free(stack: Ground, key: FlowKey, config: TcpConfig, now: float, *, delay: float) -> tuple[bool, int | None]:
    """Whether a pair may be taken, and the ISN that it takes; a connection in TIME-WAIT goes if it may.

    The timestamps of the new connection tell its segments from those of the old one (RFC 6191 §2), and its numbers
    begin beyond theirs.
    """
    old = stack.flows.get(key)
    if old is None:
        return True, None
    connection = old.connection
    may = connection.state is State.TIME_WAIT and connection.timestamps and config.reuse_time_wait
    if not may or now < connection.ts_recent_at + delay or (delay and now == connection.ts_recent_at):
        return False, None
    old.leave()
    return True, (connection.snd_nxt + 0x10001) & 0xFFFFFFFF
