"""``edotun serve``: a service on the stack."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ao.ends import endpoint

from .. import http, services
from ..serve import serve as run_service
from . import methods, options, running, several
from .box_keys import BoxKeys, with_box_keys

if TYPE_CHECKING:
    from tun.interface import Interface

_PORTS = {"echo": 7, "sink": 9, "source": 19, "http": 80}
EPILOG = """Examples:

edotun serve http:/srv/files --addr 10.9.0.2/24 --host 10.9.0.1

edotun serve echo --addr 10.9.0.2/24 --addr fd09::2/64 --host 10.9.0.1 --host fd09::1 --protect ao-enc-dh --json

Once connections are accepted, standard error has the line "listening on ADDR:PORT".

SIGINT or SIGTERM ends it with status 0."""


def _handler(service: str, octets: int | None) -> tuple[services.Handler, int]:
    name, colon, folder = service.partition(":")
    if name not in _PORTS:
        options.wrong(f"SERVICE: {service!r} is not one of echo, sink, source, http[:DIR]")
    if colon and name != "http":
        options.wrong(f"SERVICE: {name} takes no folder, only http does")
    if octets is not None and name != "source":
        options.wrong("--bytes: only source sends octets of its own")
    if octets is not None and octets < 0:
        options.wrong(f"--bytes: {octets} is below 0")
    if name == "http":
        root = Path(folder or ".")
        if not root.is_dir():
            options.wrong(f"SERVICE: there is no folder {root}")
        return http.http(root), _PORTS[name]
    handlers = {"echo": services.echo, "sink": services.sink, "source": services.source(octets)}
    return handlers[name], _PORTS[name]


def serve(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="echo, sink, source or http[:DIR].")],
    addr: options.Addr,
    tun: options.Tun = "edotun0",
    host: options.Host = None,
    netns: options.Netns = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", help="The port; default echo 7, sink 9, source 19, http 80."),
    ] = None,
    octets: Annotated[
        int | None,
        typer.Option("--bytes", metavar="N", help="How much source sends; default without end."),
    ] = None,
    mtu: options.Mtu = 1500,
    congestion: options.Congestion = "cubic",
    sack_blocks: options.SackBlocks = 16,
    no_offload: options.NoOffload = False,
    workers: several.Option = 1,
    protect: options.Protect = "none",
    policy: options.Policy = "require",
    edo: options.EdoOption = None,
    edo_kind: options.EdoKindOption = None,
    edo_units: options.EdoUnits = None,
    edo_form: options.EdoForm = None,
    keys: options.Keys = None,
    control: options.Control = None,
    placement: options.Placement = None,
    group: options.Group = None,
    suite: options.SuiteOption = None,
    confirm: options.Confirm = None,
    order: options.Order = "peer",
    accept_icmps: options.AcceptIcmps = False,
    rekey: options.Rekey = None,
    resume: options.Resume = "plain",
    strict_syn: options.StrictSyn = False,
    restart_timeout: options.RestartTimeout = 30.0,
    method: options.Method = None,
    syn_option: options.SynOption = None,
    syn_eos: options.SynEosOption = False,
    experiment: options.Experiments = None,
    capture: options.Capture = None,
    qlog: options.Qlog = None,
    keylog: options.KeyLog = None,
    box_keys: BoxKeys = None,
    json: options.Json = False,
) -> None:
    """Serve echo, sink, source or files on the stack's own addresses."""
    handler, default_port = _handler(service, octets)
    options.port(port, 1)
    link = with_box_keys(
        options.link(tun, addr, host, netns, mtu, capture, qlog, congestion, keylog, sack_blocks), box_keys
    )
    link = replace(link, offload=not no_offload)
    several.check(workers, link)
    dialect = (edo_kind, edo_units, edo_form)
    security = options.security(
        protect,
        policy,
        edo,
        dialect,
        keys,
        placement,
        group,
        suite,
        confirm,
        accept_icmps,
        rekey=rekey,
        resume=resume,
        strict_syn=strict_syn,
        restart_timeout=restart_timeout,
        order=order,
        syn_eos=syn_eos,
    )
    security = methods.with_method(security, method, syn_option)
    security = replace(security, experiments=options.experiments(experiment))
    running.require_device()
    number = port if port is not None else default_port
    first = str(ipaddress.ip_interface(link.addresses[0]).ip)

    async def body(
        network: Interface, ready: Callable[[], None], stop: asyncio.Event, more: Mapping[str, object]
    ) -> None:
        finished = partial(running.printer(json, stream_is_output=True), **more)
        await run_service(network, handler, number, security, ready=ready, finished=finished, stop=stop)

    def tell() -> None:
        running.say_ready(endpoint(first, number))

    raise typer.Exit(several.run(workers, link, {"keys": security}, control, body, tell))
