"""What an application asks of a connection's protection: profile.md §2 as one immutable value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ao.agreement import Suite
from ao.cipher import CIPHERS_BY_NAME, NO_CIPHER
from ao.groups import DEFAULT_GROUPS, GROUPS_BY_NAME, NAMES
from ao.macs import MACS
from ao.md5 import Md5Table
from ao.mkt import MktTable
from ao.traffic_keys import SocketPair
from edo.area import MOST_INSIDE
from edo.beside import SYN_EOS_OCTETS
from edo.codepoints import DEFAULT, POINTS, Dialect
from edo.experiments import Experiment
from edo.experiments import check as check_experiments
from edo.layout import AO_HEAD, MSS_OCTETS
from edo.negotiation import EdoPolicy

from .renewal import DEFAULT as RENEWAL
from .renewal import Renewal
from .syn_space import SynSpace
from .syneos import SynEos

PROTECTIONS: Final = ("none", "md5", "ao", "ao-enc", "ao-dh", "ao-enc-dh")
POLICIES: Final = ("require", "prefer", "never")
PLACEMENTS: Final = ("auto", "syn", "late", "compact")
RESUMES: Final = ("off", "plain", "fresh")
CONFIRMS: Final = ("early", "wait")
ORDERS: Final = ("peer", "own")
SIMOPENS: Final = ("tiebreak", "off")
DEFAULT_SUITES: Final = ("aes-128-cmac-96+aes-128-ctr", "hmac-sha-1-96+aes-128-ctr")
# Those of mode ``ao-dh``, which does not encrypt.
DEFAULT_MACS: Final = ("aes-128-cmac-96", "hmac-sha-1-96")


def _choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{what}: {value!r} is not one of {', '.join(choices)}")


def parse_suite(text: str) -> Suite:
    """Return the suite that ``MAC+CIPHER``, or ``MAC`` without a cipher, names.

    Raises ValueError naming the part that is not known.
    """
    mac, plus, cipher = text.partition("+")
    if mac not in MACS:
        raise ValueError(f"suite: MAC {mac!r} is not one of {', '.join(MACS)}")
    number = MACS[mac].number
    if number is None:
        raise ValueError(f"suite: MAC {mac!r} serves configured keys only")
    if not plus:
        return Suite(number, NO_CIPHER)
    if cipher not in CIPHERS_BY_NAME:
        raise ValueError(f"suite: cipher {cipher!r} is not one of {', '.join(CIPHERS_BY_NAME)}")
    return Suite(number, CIPHERS_BY_NAME[cipher].number)


@lru_cache(maxsize=64)
def _suites(names: tuple[str, ...]) -> tuple[Suite, ...]:
    return tuple(parse_suite(name) for name in names)


@dataclass(frozen=True, slots=True)
class Security:
    """How one connection, or each connection of a listener, is to be protected.

    ``protect`` is a mode of profile.md §2; ``policy`` says whether plain TCP is accepted where the mode cannot be
    had (prefer), or that keys are never agreed on; ``edo`` is off, strict or lenient (None: what the stack has, but
    strict where ``protect`` agrees on keys and off under TCP-MD5), ``dialect`` how it is written (None: as the
    stack does); ``confirm`` says when connect and accept return (None: early under require, wait under prefer);
    ``placements``, ``groups`` and ``suites`` are in order of preference (``suites`` None: the mode's own; with a
    cipher for ``ao-enc-dh``, without for ``ao-dh``); ``keys`` holds the configured keys of mode ``ao``, or of
    ``ao-enc``, all of which encrypt; ``md5_keys`` those of mode ``md5``, which may have ``keys`` too: a peer that
    matches both gets TCP-AO, and only that (RFC 5925 §8). TCP-MD5 covers no option, so EDO is off there.
    ``order`` own: as a listener, its own order of groups and suites decides, not the peer's. ``simopen`` tiebreak:
    keys are agreed on where SYNs cross, too; off: they are not (RFC 8547 §4.3).
    ``application_aware`` sets the bit of TCP-ENO by which applications tell each other that they know of it, and
    ``demand_aware`` takes it for a failure where the peer's is not set (RFC 8547 §4.2).
    Of agreed keys: ``nat`` lets addresses and ports count as zero in keys and MACs, so that a NAT may translate
    them, and ``cover_options`` False leaves options outside the MAC, both where the peer permits it too (§4 there);
    ``reports``: each side tells the other what it saw of its SYN; with ``strict_syn`` nothing is completed before
    the peer has, and what was altered of it ends the connection (profile.md §8). ``rekey``: when agreed keys are
    made anew, None for never; ``resume``: whether sessions are kept and resumed, off, plain (without asymmetric
    work) or fresh (with a share beside the ticket; profile.md §7).
    ``restart_timeout``: after so many seconds without an answer a peer that seems to have been restarted is given
    up, 0 for the user timeout (profile.md §8).
    ``accept_icmps``: ICMP errors are believed as far as RFC 5927 goes, which authenticated connections otherwise
    ignore (RFC 5925 §7.8). ``syn_eos``: SYN-EOS is used, or taken, in modes ``none``, ``ao`` and ``ao-enc``; it
    brings EDO with it, and the SYN offers EDO for the case that it fails only where ``edo`` is named as well; where
    keys are agreed on, ``placements`` say where SYN-EOS serves. ``syn_space``: options that do not fit a SYN find
    room by another method, without protection only. ``experiments``: options of the user's own
    (``edo.experiments``). ``exempt``: leave this one alone, the application encrypts itself: no ENO and no TCP-AO,
    whatever ``protect`` says. Raises ValueError, one line that names the fault.
    """

    protect: str = "none"
    policy: str = "require"
    edo: str | None = None
    confirm: str | None = None
    placements: tuple[str, ...] = ("auto",)
    groups: tuple[str, ...] = DEFAULT_GROUPS
    suites: tuple[str, ...] | None = None
    order: str = "peer"
    simopen: str = "tiebreak"
    keys: MktTable | None = None
    md5_keys: Md5Table | None = None
    accept_icmps: bool = False
    rekey: Renewal | None = RENEWAL
    resume: str = "plain"
    syn_eos: SynEos | None = None
    application_aware: bool = False
    demand_aware: bool = False
    nat: bool = True
    cover_options: bool = True
    reports: bool = True
    strict_syn: bool = False
    restart_timeout: float = 30.0
    dialect: Dialect | None = None
    syn_space: SynSpace | None = None
    experiments: tuple[Experiment, ...] = ()
    exempt: bool = False

    def __post_init__(self) -> None:
        _choice("protect", self.protect, PROTECTIONS)
        _choice("policy", self.policy, POLICIES)
        check_experiments(self.experiments)
        if self.policy == "never" and self.keyed:
            raise ValueError(f"policy: never is for agreed keys, and {self.protect!r} has configured ones")
        _choice("order", self.order, ORDERS)
        _choice("simopen", self.simopen, SIMOPENS)
        if self.edo is not None:
            _choice("edo", self.edo, tuple(policy.value for policy in EdoPolicy))
        if self.confirm is not None:
            _choice("confirm", self.confirm, CONFIRMS)
        for what, values, choices in (
            ("placement", self.placements, PLACEMENTS),
            ("group", self.groups, NAMES),
        ):
            if not values:
                raise ValueError(f"{what}: the list is empty")
            for value in values:
                _choice(what, value, choices)
        for group in self.groups:
            if group not in GROUPS_BY_NAME:
                raise ValueError(f"group: {group!r} is not available here: the library does not compute it")
        if "compact" in self.placements and "x25519" not in self.groups:
            raise ValueError("placement: compact agrees by x25519, which is not among the groups")
        self._check_suites()
        if self.agrees and self.edo == "off" and set(self.placements) != {"compact"}:
            raise ValueError(f"edo: {self.protect} needs extended options, so EDO cannot be off")
        if self.protect in ("ao", "ao-enc") and self.keys is None:
            raise ValueError(f"keys: protection {self.protect!r} needs configured keys")
        if self.edo_policy() is not EdoPolicy.OFF:
            self.check_room(self.dialect or DEFAULT)
        if self.protect == "md5" and not self.md5_keys:
            raise ValueError("keys: protection 'md5' needs keys of TCP-MD5")
        if self.protect == "md5" and self.edo not in (None, "off"):
            raise ValueError("edo: TCP-MD5 covers no option, so EDO has to be off")
        if self.protect != "md5" and self.md5_keys is not None:
            raise ValueError(f"keys: protection {self.protect!r} takes no keys of TCP-MD5")
        if self.syn_space is not None and self.protect != "none":
            raise ValueError(f"method: {self.syn_space.method} is not had with protection {self.protect!r}")
        if self.syn_space is not None and self.syn_space.needs_edo and self.edo == "off":
            raise ValueError(f"edo: {self.syn_space.method} builds on EDO, so it cannot be off")
        if self.syn_space is not None and self.syn_eos is not None:
            raise ValueError(f"method: one of {self.syn_space.method} and syn-eos, not both")
        if not self.keyed and self.keys is not None:
            raise ValueError(f"keys: protection {self.protect!r} takes no configured keys")
        if self.strict_syn and "compact" in self.placements:
            raise ValueError("strict_syn: placement compact has no reports")
        if self.strict_syn and not (self.agrees and self.reports):
            raise ValueError("strict_syn: it needs agreed keys and reports")
        if not self.restart_timeout >= 0:
            raise ValueError(f"restart_timeout: {self.restart_timeout:g} s is below 0")
        _choice("resume", self.resume, RESUMES)
        if self.resume != "plain" and not self.agrees:
            raise ValueError(f"resume: protection {self.protect!r} agrees on no keys")
        if self.rekey != RENEWAL and not self.agrees:
            raise ValueError(f"rekey: protection {self.protect!r} agrees on no keys")
        if self.keys is not None:
            # Keys that are added later are held to it too.
            self.keys.demand_encryption(self.protect == "ao-enc")
        if self.accept_icmps and (self.protect == "none" or (self.protect == "md5" and self.keys is None)):
            raise ValueError("accept_icmps: without protection no ICMP error is ignored")
        if self.syn_eos is not None:
            if self.protect == "md5" or self.agrees:
                raise ValueError(f"syn_eos: modes none, ao and ao-enc have it, not {self.protect}")
            if self.edo == "off":
                raise ValueError("syn_eos: it brings EDO with it, so EDO cannot be off")
            self.syn_eos.check(POINTS if self.dialect is None else self.dialect.points)

    def _check_suites(self) -> None:
        if self.suites is not None and not self.suites:
            raise ValueError("suite: the list is empty")
        for name in self.suites or ():
            bare = parse_suite(name).cipher == NO_CIPHER
            if bare and self.protect != "ao-dh":
                raise ValueError(f"suite: {name!r} names no cipher: write {name}+{next(iter(CIPHERS_BY_NAME))}")
            if not bare and self.protect == "ao-dh":
                raise ValueError(f"suite: {name!r} names a cipher, and protection 'ao-dh' does not encrypt")

    @property
    def agreed_suites(self) -> tuple[Suite, ...]:
        """The suites in order of preference."""
        default = DEFAULT_MACS if self.protect == "ao-dh" else DEFAULT_SUITES
        return _suites(self.suites or default)

    def check_room(self, dialect: Dialect, pair: SocketPair | None = None) -> None:
        """See that SYNs have room for each key's TCP-AO beside MSS and EDO Supported, which never yield (profile.md
        §1); of the keys that match ``pair`` only where one is given. Where EDO comes by SYN-EOS alone, that and
        the Extension need room. Raises ValueError.
        """
        ends = MSS_OCTETS + dialect.supported_octets
        if self.syn_eos is not None and self.edo is None:
            ends = max(SYN_EOS_OCTETS, dialect.short_octets)
        most = MOST_INSIDE - ends - AO_HEAD
        for mkt in (self.keys if pair is None else self.keys.matching(pair)) if self.keys is not None else ():
            if mkt.option_mac_octets > most:
                has = f"key {mkt.name!r} has a MAC of {mkt.option_mac_octets} octets"
                raise ValueError(f"keys: {has}, and beside EDO a SYN has room for {most}")

    @property
    def placement_steps(self) -> tuple[tuple[str, ...], ...]:
        """The placements in the order in which an active opener tries them, by attempt.

        ``syn`` followed by ``late`` is one attempt, as ``auto`` is: one SYN offers both (profile.md §5).
        """
        steps: list[tuple[str, ...]] = []
        for name in self.placements:
            step = ("syn", "late") if name == "auto" else (name,)
            if step == ("late",) and steps and steps[-1] == ("syn",):
                steps[-1] = ("syn", "late")
            elif step not in steps:
                steps.append(step)
        return tuple(steps)

    def in_force(self) -> Security:
        """What holds for a connection: plain TCP where the application encrypts itself (``exempt``)."""
        return Security(edo=self.edo, dialect=self.dialect) if self.exempt else self

    @property
    def agrees(self) -> bool:
        """Whether the mode agrees on keys within the connection, unless the policy is never to."""
        return self.protect in ("ao-dh", "ao-enc-dh") and self.policy != "never"

    @property
    def keyed(self) -> bool:
        """Whether the mode goes by configured keys."""
        return self.protect in ("ao", "ao-enc", "md5")

    def edo_policy(self, default: EdoPolicy = EdoPolicy.OFF) -> EdoPolicy:
        """The EDO policy that holds where the stack's is ``default``."""
        if self.edo is not None:
            return EdoPolicy(self.edo)
        if self.agrees or (self.syn_space is not None and self.syn_space.needs_edo):
            return EdoPolicy.STRICT
        if self.syn_eos is not None and default is EdoPolicy.OFF:
            return EdoPolicy.STRICT
        return EdoPolicy.OFF if self.protect == "md5" else default

    def offers_edo(self, default: EdoPolicy) -> bool:
        """Whether EDO is wanted without SYN-EOS too, where the stack's policy is ``default``."""
        return self.edo is not None or default is not EdoPolicy.OFF

    @property
    def waits(self) -> bool:
        """Whether connect and accept return only after the peer's first good MAC (profile.md §2)."""
        if self.strict_syn:
            return True
        return self.confirm == "wait" if self.confirm is not None else self.policy == "prefer"


PLAIN: Final = Security()
