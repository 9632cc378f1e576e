"""The user timeout option (RFC 5482): what is told of ours, and what follows from the peer's.

Only where ``TcpConfig.timeout_option`` enables it. A timeout that the application has set (``user_timeout``) stays
what it is: CHANGEABLE is false then (§3).
"""

from __future__ import annotations

from edo.options import Options
from edo.usertimeout import decode, encode

from .run import RST, SYN, Run
from .tcb import Tcb


def advertised(tcb: Tcb) -> int | None:
    """The field of the option that a SYN carries (ADV_UTO, §3.3); None for none."""
    settings = tcb.config.timeout_option
    return encode(_advertised(tcb)) if settings.enabled else None


def _advertised(tcb: Tcb) -> float:
    return tcb.config.user_timeout or tcb.config.timeout_option.advertised


def established(tcb: Tcb) -> None:
    """The state is a synchronized one: what the SYNs said counts now, and the next segment says it again."""
    if tcb.config.timeout_option.enabled:
        tcb.tells_timeout = True
        _adapt(tcb)


def take(tcb: Tcb, field: int) -> None:
    """The option came; a field of zero is reserved and ignored (§3.4)."""
    if tcb.config.timeout_option.enabled and decode(field):
        tcb.remote_timeout = float(decode(field))
        _adapt(tcb)


def configured(tcb: Tcb) -> None:
    """Settings have changed: the peer is told with the next segment (§3)."""
    if tcb.config.timeout_option.enabled:
        tcb.tells_timeout = True
        _adapt(tcb)


def _adapt(tcb: Tcb) -> None:
    """USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT)) (§3.1); L_LIMIT exceeds the RTO."""
    settings = tcb.config.timeout_option
    if tcb.snd_una <= tcb.iss:
        # Before its SYN is acknowledged a connection has the usual timeouts (§3.3).
        return
    if tcb.remote_timeout and not tcb.config.user_timeout:
        least = max(settings.least, 2 * tcb.rtt.rto)
        tcb.user_timeout = min(settings.most, max(settings.advertised, tcb.remote_timeout, least))


def attach(tcb: Tcb, runs: list[Run]) -> None:
    """Have the first segment without SYN carry the option; ``runs`` are what is sent now (§3)."""
    for run in runs:
        if not run.flags & (SYN | RST):
            options = run.options
            # Options of such a run may be shared with others.
            run.options = Options(
                ts_val=options.ts_val,
                ts_ecr=options.ts_ecr,
                sack=options.sack,
                user_timeout=encode(_advertised(tcb)),
            )
            tcb.tells_timeout = False
            return
