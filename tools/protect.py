"""What the command line and a gateway's file say of protection, made into a Security."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

from ao.groups import DEFAULT_GROUPS
from ao.keyfile import load, load_with_md5
from ao.md5 import Md5Table
from ao.mkt import MktTable
from edo.codepoints import Dialect, EdoKind, FormChoice, Units
from stack.renewal import DEFAULT, Renewal
from stack.security import PROTECTIONS, Security
from stack.syneos import SynEos

from .link import Fault

KEYED: Final = ("md5", "ao", "ao-enc")
# How EDO may be written: the field of Dialect, and what it may be.
EDO_CHOICES: Final[tuple[tuple[str, type[Enum]], ...]] = (("kind", EdoKind), ("units", Units), ("form", FormChoice))


def _names(option: str, text: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    if text is None:
        return default
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise Fault(option, f"{text!r} has an empty name")
    if len(set(names)) < len(names):
        raise Fault(option, f"{text!r} names one twice")
    return names


def check_security(
    *,
    protect: str,
    policy: str,
    edo: str | None,
    keys: Path | None,
    edo_kind: str | None = None,
    edo_units: str | None = None,
    edo_form: str | None = None,
    placement: str | None = None,
    group: str | None = None,
    suite: str | None = None,
    confirm: str | None = None,
    accept_icmps: bool = False,
    rekey: str | None = None,
    resume: str = "plain",
    strict_syn: bool = False,
    restart_timeout: float = 30.0,
    order: str = "peer",
    simopen: str = "tiebreak",
    syn_eos: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Security:
    """Return the Security of these values.

    Lists are comma-separated, in order of preference; None is a default; ``notice`` gets what is to be said of the
    keys file. Raises Fault for the first value that is wrong, ``ao.keyfile.KeyFileError`` for the keys file.
    """
    if protect not in PROTECTIONS:
        raise Fault("protect", f"{protect!r} is not a mode; available: {', '.join(PROTECTIONS)}")
    if protect in KEYED and keys is None:
        raise Fault("keys", f"--protect {protect} needs a keys file")
    if protect not in KEYED and keys is not None:
        raise Fault("keys", f"--protect {protect} takes no keys file (modes that do: {', '.join(KEYED)})")
    table, md5_table = None, None
    if protect == "md5" and keys is not None:
        mkts, md5_keys = load_with_md5(keys, notice=notice)
        if not md5_keys:
            raise Fault("keys", f'{keys} has no key with mac = "md5": --protect ao is for what it has')
        # Keys of TCP-AO may be added while a command runs.
        table, md5_table = MktTable(mkts), Md5Table(md5_keys)
    elif keys is not None:
        table = MktTable(load(keys, notice=notice))
    dialect = _dialect(edo_kind, edo_units, edo_form)
    if (
        dialect is not None
        and (edo or ("strict" if protect in ("ao-dh", "ao-enc-dh") or syn_eos else "off")) == "off"
    ):
        option = next(name for name, text in _spoken(edo_kind, edo_units, edo_form) if text is not None)
        raise Fault(option, "EDO is off: --edo strict or --edo lenient")
    try:
        return Security(
            protect=protect,
            policy=policy,
            edo=edo,
            dialect=dialect,
            confirm=confirm,
            accept_icmps=accept_icmps,
            resume=resume,
            strict_syn=strict_syn,
            restart_timeout=restart_timeout,
            rekey=DEFAULT if rekey is None else Renewal.parse(rekey),
            order=order,
            simopen=simopen,
            syn_eos=SynEos() if syn_eos else None,
            placements=_names("placement", placement, ("auto",)),
            groups=_names("group", group, DEFAULT_GROUPS),
            suites=_names("suite", suite, ()) or None,
            keys=table,
            md5_keys=md5_table,
        )
    except Fault:
        raise
    except ValueError as error:
        option, colon, text = str(error).partition(": ")
        if not colon:
            raise
        raise Fault(option, text) from None


def _spoken(kind: str | None, units: str | None, form: str | None) -> tuple[tuple[str, str | None], ...]:
    return (("edo_kind", kind), ("edo_units", units), ("edo_form", form))


def _dialect(kind: str | None, units: str | None, form: str | None) -> Dialect | None:
    """How EDO is written where anything of it is named; raises Fault for a name that is none."""
    chosen: dict[str, Any] = {}
    for (option, text), (name, choices) in zip(_spoken(kind, units, form), EDO_CHOICES, strict=True):
        if text is not None:
            if text not in [choice.value for choice in choices]:
                names = ", ".join(choice.value for choice in choices)
                raise Fault(option, f"{text!r} is not one of {names}")
            chosen[name] = choices(text)
    return Dialect(**chosen) if chosen else None


def listed(values: Sequence[str] | str | None) -> str | None:
    """Return a list of names as the comma-separated text that it may also be written as."""
    return values if values is None or isinstance(values, str) else ",".join(values)
