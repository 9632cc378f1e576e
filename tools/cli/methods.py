"""What the command line says of options that do not fit a SYN: the method, and the user's own."""

from __future__ import annotations

from dataclasses import replace

from stack.security import Security
from stack.syn_space import SynSpace
from stack.syneos import SynEos

from . import options
from .options import SYN_EOS


def with_method(security: Security, method: str | None, own: list[str] | None) -> Security:
    """The protection with a method for options that do not fit a SYN, if one was asked for."""
    if method is None and not own:
        return security
    beside = method == SYN_EOS or (method is None and security.syn_eos is not None)
    if method is None and not beside:
        options.wrong("--syn-option: needs --method or --syn-eos")
    found = []
    for text in own or ():
        try:
            found.append(bytes.fromhex(text))
        except ValueError:
            options.wrong(f"--syn-option: {text!r} is not hexadecimal")
    try:
        if beside:
            return replace(security, syn_eos=SynEos(tuple(found)))
        return replace(security, syn_space=SynSpace(method or "", tuple(found)))
    except ValueError as error:
        what, _, text = str(error).partition(": ")
        of_options = what.startswith("syn_option") or (what == "syn_eos" and found)
        options.wrong(f"--{'syn-option' if of_options else what.replace('_', '-')}: {text}")
