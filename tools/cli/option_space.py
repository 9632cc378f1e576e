"""``edotun options``: where options stand, what fits, and what is left for payload."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edo.codepoints import Dialect, EdoKind, Units

from . import options

EPILOG = """Examples: edotun options --want mss,ws,ts,sackok,ao:hmac-sha256-128,sack:16 --method edo |
edotun options --want mss,ws,ts,sackok,eno,ke:x25519 --method syn-eos --mtu 1500 --svg layout.svg |
edotun options --want mss,sackok,ts,raw:64@syn+data --method all --json. Options: mss[:N] ws[:SHIFT] sackok ts
sack[:BLOCKS] ao[:MAC] md5 eno ke[:GROUP] uto[:SECONDS] tfo[:OCTETS] raw:OCTETS, the more important first, each with
@syn, @syn-ack or @data (joined by +) where it is not wanted in its usual segments."""

_WIDTH = 150
_ALL = "all"


def option_space(
    want: Annotated[str, typer.Option("--want", metavar="NAME[:ARG][@PART][,...]", help="The wanted options.")],
    method: Annotated[
        str, typer.Option("--method", metavar="NAME|all", help="How room is found; all compares them.")
    ] = "edo",
    mtu: Annotated[int, typer.Option("--mtu", metavar="N", help="The path's MTU, octets.")] = 1500,
    ip: Annotated[int, typer.Option("--ip", metavar="4|6", help="The version of IP.")] = 4,
    edo_kind: Annotated[
        str, typer.Option("--edo-kind", metavar="exid|79/80|237", help="EDO's numbering.")
    ] = "exid",
    edo_units: Annotated[
        str, typer.Option("--edo-units", metavar="words|octets", help="What Header_Length counts.")
    ] = "words",
    experiment: options.Experiments = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the layout to FILE.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Draw the header of every segment for a set of options and a method, and say what fits."""
    # Loaded only now: no other command needs them.
    from edo.rivals.base import Space
    from edo.rivals.registry import METHODS, find

    from ..option_space.draw import layout_text, method_table
    from ..option_space.layouts import lay_out, to_json
    from ..option_space.svg import layouts_svg, overview_svg
    from ..option_space.wants import WantError, parse, with_experiments

    if not 68 <= mtu <= 65_535:
        options.wrong(f"--mtu: {mtu} is not in 68-65535")
    if ip not in (4, 6):
        options.wrong(f"--ip: {ip} is not 4 or 6")
    dialect = Dialect(
        kind=options.member("edo-kind", edo_kind, EdoKind), units=options.member("edo-units", edo_units, Units)
    )
    ip_header = 20 if ip == 4 else 40
    try:
        kinds = with_experiments(options.experiments(experiment))
        asked = parse(want, Space(mtu=mtu, ip_header=ip_header, dialect=dialect), kinds)
        methods = list(METHODS.values()) if method == _ALL else [find(method)]
    except WantError as error:
        options.wrong(f"--want: {error}")
    except ValueError as error:
        options.wrong(f"--method: {error}, {_ALL}")
    space = Space(mtu=mtu, ip_header=ip_header, dialect=dialect, authenticated=asked.authenticated)
    layouts = [lay_out(one, asked.wanted, space) for one in methods]
    if svg is not None:
        picture = overview_svg(layouts) if method == _ALL else layouts_svg(layouts)
        try:
            svg.write_text(picture, "utf-8")
        except OSError as error:
            options.wrong(f"--svg: cannot write {svg}: {error.strerror}")
    if json_:
        typer.echo(json.dumps(to_json(layouts, asked.wanted, space)))
        return 0
    console = Console(highlight=False)
    if console.width < _WIDTH and not sys.stdout.isatty():
        console = Console(highlight=False, width=_WIDTH)
    if method == _ALL:
        console.print(method_table(layouts))
    else:
        console.print(layout_text(layouts[0]))
    return 0
