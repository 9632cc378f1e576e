"""The options that commands share, and how a wrong value becomes one line and exit status 2."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from ao.keyfile import KeyFileError
from edo.experiments import Experiment
from stack.congestion import CONTROLLERS
from stack.security import CONFIRMS, ORDERS, PLACEMENTS, PROTECTIONS, SIMOPENS, Security
from stack.syn_space import METHODS

from ..link import Fault, Link, check_link
from ..protect import check_security

_Choice = TypeVar("_Choice", bound=Enum)

_DEVICE = "Device"
_PROTECTION = "Protection"
_SPACE = "Option space"
# Not one of METHODS, since it serves under keys as well.
SYN_EOS = "syn-eos"

Tun = Annotated[str, typer.Option("--tun", metavar="NAME", help="The TUN device to make.", rich_help_panel=_DEVICE)]
Addr = Annotated[
    list[str],
    typer.Option("--addr", metavar="CIDR", help="An address of the stack; repeatable.", rich_help_panel=_DEVICE),
]
Host = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="ADDR",
        help="An address of the kernel's side of the device; repeatable.",
        rich_help_panel=_DEVICE,
    ),
]
Netns = Annotated[
    str | None,
    typer.Option(
        "--netns",
        metavar="NS",
        help="The network namespace (it exists already) where the device appears.",
        rich_help_panel=_DEVICE,
    ),
]
Mtu = Annotated[int, typer.Option("--mtu", metavar="N", help="The device's MTU, octets.", rich_help_panel=_DEVICE)]
Control = Annotated[
    Path | None,
    typer.Option(
        "--control",
        metavar="PATH",
        help="The socket that edotun keys and edotun peers ask; default /run/edotun/TUN.sock.",
        rich_help_panel=_DEVICE,
    ),
]
Capture = Annotated[
    Path | None,
    typer.Option("--capture", metavar="FILE.pcapng", help="Write every packet to FILE.", rich_help_panel=_DEVICE),
]
Qlog = Annotated[
    Path | None,
    typer.Option("--qlog", metavar="FILE", help="Write the connections' events to FILE.", rich_help_panel=_DEVICE),
]
KeyLog = Annotated[
    Path | None,
    typer.Option(
        "--keylog",
        metavar="FILE",
        help="Append the secrets of agreed keys to FILE, for edotun decrypt.",
        rich_help_panel=_PROTECTION,
    ),
]
Congestion = Annotated[
    str,
    typer.Option(
        "--congestion",
        metavar="NAME",
        help=f"How the connections control congestion: {', '.join(CONTROLLERS)}.",
        rich_help_panel=_DEVICE,
    ),
]
SackBlocks = Annotated[
    int,
    typer.Option(
        "--sack-blocks",
        metavar="N",
        help="SACK blocks of a segment at most (1-31); more than four have room with EDO only.",
        rich_help_panel=_DEVICE,
    ),
]
NoOffload = Annotated[
    bool,
    typer.Option("--no-offload", help="The kernel neither cuts nor sums segments.", rich_help_panel=_DEVICE),
]
Protect = Annotated[
    str,
    typer.Option(
        "--protect", metavar="MODE", help=f"One of {', '.join(PROTECTIONS)}.", rich_help_panel=_PROTECTION
    ),
]
Policy = Annotated[
    str,
    typer.Option(
        "--policy",
        metavar="require|prefer|never",
        help="Whether plain TCP is accepted where the protection cannot be had.",
        rich_help_panel=_PROTECTION,
    ),
]
EdoOption = Annotated[
    str | None,
    typer.Option(
        "--edo",
        metavar="off|strict|lenient",
        help="The Extended Data Offset; default off, strict where the protection needs it.",
        rich_help_panel=_PROTECTION,
    ),
]
EdoKindOption = Annotated[
    str | None,
    typer.Option(
        "--edo-kind",
        metavar="exid|79/80|237",
        help="EDO's option: by ExID, or as native kinds.",
        rich_help_panel=_PROTECTION,
    ),
]
EdoUnits = Annotated[
    str | None,
    typer.Option(
        "--edo-units", metavar="words|octets", help="What Header_Length counts.", rich_help_panel=_PROTECTION
    ),
]
EdoForm = Annotated[
    str | None,
    typer.Option(
        "--edo-form",
        metavar="auto|short|long",
        help="The form of the Extension; auto: short under a MAC.",
        rich_help_panel=_PROTECTION,
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FILE.toml",
        help="The keys of --protect ao, ao-enc and md5.",
        rich_help_panel=_PROTECTION,
    ),
]
Placement = Annotated[
    str | None,
    typer.Option(
        "--placement",
        metavar="NAME[,...]",
        help=f"Where the key exchange travels: {', '.join(PLACEMENTS)}.",
        rich_help_panel=_PROTECTION,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group", metavar="NAME[,...]", help="Groups in order of preference.", rich_help_panel=_PROTECTION
    ),
]
SuiteOption = Annotated[
    str | None,
    typer.Option(
        "--suite",
        metavar="MAC[+CIPHER][,...]",
        help="Suites in order of preference; without cipher for ao-dh.",
        rich_help_panel=_PROTECTION,
    ),
]
Order = Annotated[
    str,
    typer.Option(
        "--order",
        metavar="|".join(ORDERS),
        help="Whose order of groups and suites decides when the peer opens the connection.",
        rich_help_panel=_PROTECTION,
    ),
]
SimOpen = Annotated[
    str,
    typer.Option(
        "--simopen",
        metavar="|".join(SIMOPENS),
        help="Whether keys are agreed on where both ends open at the same time, or as RFC 8547 has it.",
        rich_help_panel=_PROTECTION,
    ),
]
Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="|".join(CONFIRMS),
        help="When a connection counts as open: once keys exist, or after the peer's first good MAC.",
        rich_help_panel=_PROTECTION,
    ),
]
Rekey = Annotated[
    str | None,
    typer.Option(
        "--rekey",
        metavar="off|seconds=N,octets=N,most=N",
        help="When agreed keys are made anew (default 3600 seconds, 2^36 octets either way), and the most octets "
        "under one key (2^40): then the connection ends.",
        rich_help_panel=_PROTECTION,
    ),
]
Resume = Annotated[
    str,
    typer.Option(
        "--resume",
        metavar="off|plain|fresh",
        help="Resume agreed sessions: without asymmetric work, or with a fresh share beside the ticket.",
        rich_help_panel=_PROTECTION,
    ),
]
StrictSyn = Annotated[
    bool,
    typer.Option(
        "--strict-syn",
        help="Complete nothing before the peer has told under the MAC what it saw of our SYN; end where that was "
        "altered.",
        rich_help_panel=_PROTECTION,
    ),
]
RestartTimeout = Annotated[
    float,
    typer.Option(
        "--restart-timeout",
        metavar="SECONDS",
        help="How long a peer that seems to have been restarted may answer no probe; 0 for the user timeout.",
        rich_help_panel=_PROTECTION,
    ),
]
AcceptIcmps = Annotated[
    bool,
    typer.Option(
        "--accept-icmps",
        help="Believe ICMP errors under TCP-AO too; by default they are ignored and counted.",
        rich_help_panel=_PROTECTION,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help=f"How options find room that do not fit a SYN, if the peer does so too: {', '.join(METHODS)}, "
        f"{SYN_EOS} (as --syn-eos).",
        rich_help_panel=_SPACE,
    ),
]
SynOption = Annotated[
    list[str] | None,
    typer.Option(
        "--syn-option",
        metavar="HEX",
        help="An option of your own for the SYN or SYN-ACK, Kind and Length first; repeatable; with --method or "
        "--syn-eos.",
        rich_help_panel=_SPACE,
    ),
]
SynEosOption = Annotated[
    bool,
    typer.Option(
        "--syn-eos",
        help="Send what a SYN has no room for in a segment beside it (SYN-EOS), or take it; brings EDO.",
        rich_help_panel=_SPACE,
    ),
]
Experiments = Annotated[
    list[Path] | None,
    typer.Option(
        "--experiment",
        metavar="FILE.py",
        help="Carry the options that this Python file declares by edotun.experiment; repeatable.",
        rich_help_panel=_SPACE,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON line per finished connection.")]


class UsageFault(Exception):
    """What the caller did wrong, in one line."""


def wrong(text: str) -> NoReturn:
    """End the command with exit status 2 and ``text`` on standard error."""
    raise UsageFault(text)


def notice(text: str) -> None:
    """Print what should be known and stops nothing."""
    print(f"edotun: {text}", file=sys.stderr, flush=True)


def link(
    tun: str,
    addr: list[str],
    host: list[str] | None,
    netns: str | None,
    mtu: int,
    capture: Path | None,
    qlog: Path | None,
    congestion: str,
    keylog: Path | None = None,
    sack_blocks: int = 16,
) -> Link:
    """Return the checked device options."""
    try:
        return check_link(
            name=tun,
            addresses=addr,
            hosts=host or (),
            netns=netns,
            mtu=mtu,
            capture=capture,
            qlog=qlog,
            congestion=congestion,
            keylog=keylog,
            sack_blocks=sack_blocks,
        )
    except Fault as fault:
        wrong(f"--{fault.option.replace('_', '-')}: {fault}")


def security(
    protect: str,
    policy: str,
    edo: str | None,
    dialect: tuple[str | None, str | None, str | None],
    keys: Path | None,
    placement: str | None,
    group: str | None,
    suite: str | None,
    confirm: str | None,
    accept_icmps: bool,
    *,
    rekey: str | None = None,
    resume: str = "plain",
    strict_syn: bool = False,
    restart_timeout: float = 30.0,
    order: str = "peer",
    simopen: str = "tiebreak",
    syn_eos: bool = False,
) -> Security:
    """Return the checked protection options; ``dialect`` is kind, units and form of EDO."""
    edo_kind, edo_units, edo_form = dialect
    try:
        return check_security(
            protect=protect,
            policy=policy,
            edo=edo,
            edo_kind=edo_kind,
            edo_units=edo_units,
            edo_form=edo_form,
            keys=keys,
            placement=placement,
            group=group,
            suite=suite,
            confirm=confirm,
            accept_icmps=accept_icmps,
            rekey=rekey,
            resume=resume,
            strict_syn=strict_syn,
            restart_timeout=restart_timeout,
            order=order,
            simopen=simopen,
            syn_eos=syn_eos,
            notice=notice,
        )
    except Fault as fault:
        wrong(f"--{fault.option.replace('_', '-')}: {fault}")
    except KeyFileError as error:
        wrong(str(error))


def experiments(paths: list[Path] | None) -> tuple[Experiment, ...]:
    """Return what the files of ``--experiment`` declare."""
    if not paths:
        return ()
    # Loaded only now: few runs need it.
    from ..experiments import ExperimentFileError, load_all

    try:
        return load_all(paths)
    except ExperimentFileError as error:
        wrong(f"--experiment: {error}")


def port(value: int | None, least: int) -> None:
    """Check ``--port`` against ``least``-65535."""
    if value is not None and not least <= value <= 65_535:
        wrong(f"--port: {value} is not in {least}-65535")


def member(option: str, text: str, values: type[_Choice], *others: str) -> _Choice:
    """Return the member of ``values`` that ``text`` is the value of; ``others`` are words that serve as well."""
    try:
        return values(text)
    except ValueError:
        wrong(f"--{option}: {text!r} is not one of {', '.join([*others, *(one.value for one in values)])}")
