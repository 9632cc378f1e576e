"""``edotun gateway``: relays between the kernel's TCP and the stack's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ao.ends import endpoint
from ao.keyfile import KeyFileError

from ..gateway import run_gateway
from ..gateway_file import Forward, GatewayFileError, load
from . import options, running, several
from .box_keys import BoxKeys, with_box_keys

if TYPE_CHECKING:
    from tun.interface import Interface

EPILOG = r"""Example of FILE.toml:

\[tun] addr = ["10.9.0.2/24"], host = ["10.9.0.1"]

[\[forward]] listen = "kernel:127.0.0.1:8080", connect = "stack:10.8.0.2:80", protect = "ao-enc-dh"

One key a line in the file; listen and connect are kernel:ADDR:PORT and stack:ADDR:PORT, one of each.

Other keys of tun: name, netns, mtu, congestion, sack_blocks, offload.

Other keys of a forward: name, source (ADDR or ADDR:PORT), policy, placement, group, suite, order, simopen, confirm,
edo, edo_kind, edo_units, edo_form, keys, accept_icmps, syn_eos.

SIGINT or SIGTERM ends it with status 0."""


def gateway(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The device and the forwards.")],
    capture: options.Capture = None,
    qlog: options.Qlog = None,
    keylog: options.KeyLog = None,
    box_keys: BoxKeys = None,
    control: options.Control = None,
    workers: several.Option = 1,
    experiment: options.Experiments = None,
    json: options.Json = False,
) -> None:
    """Relay connections of the kernel's TCP through the stack, and the reverse: programs need no change."""
    try:
        content = load(file, capture, qlog, keylog, notice=options.notice)
    except (GatewayFileError, KeyFileError) as error:
        options.wrong(str(error))
    except OSError as error:
        options.wrong(running.describe(error))
    content = replace(content, link=with_box_keys(content.link, box_keys))
    declared = options.experiments(experiment)
    if declared:
        forwards = ((one, replace(one.security, experiments=declared)) for one in content.forwards)
        content = replace(content, forwards=tuple(replace(one, security=security) for one, security in forwards))
    running.require_device()
    show = running.printer(json, stream_is_output=True)

    def tell() -> None:
        for forward in content.forwards:
            running.say_ready(endpoint(forward.listen.address, forward.listen.port))

    async def body(
        network: Interface, ready: Callable[[], None], stop: asyncio.Event, more: Mapping[str, object]
    ) -> None:
        def relayed(forward: Forward, report: Mapping[str, object], error: str | None) -> None:
            show(report, error, forward=forward.name, **more)

        shared = workers > 1
        await run_gateway(network, content.forwards, ready=ready, relayed=relayed, stop=stop, shared=shared)

    securities = {forward.name: forward.security for forward in content.forwards}
    raise typer.Exit(several.run(workers, content.link, securities, control, body, tell))
