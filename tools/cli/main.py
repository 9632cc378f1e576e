"""The command ``edotun``."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from . import (
    bench,
    connect,
    decode,
    decrypt,
    demo,
    gateway,
    keys,
    lab,
    option_space,
    path,
    peers,
    pkt,
    serve,
    sim,
    verify,
)
from .options import UsageFault


class _OneLine(TyperGroup):
    """The group of commands; what is wrong with a call is told in one line, exit status 2."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command that the arguments name and exit with its status."""
        options["standalone_mode"] = False
        try:
            status = super().main(*args, **options)
        except UsageFault as fault:
            _refuse(str(fault))
        except (KeyboardInterrupt, typer.Abort):
            sys.exit(130)
        except Exception as error:
            # The class of usage errors is in click or in typer itself, depending on typer's version.
            describe = getattr(error, "format_message", None)
            if describe is None:
                raise
            _refuse(" ".join(describe().split()))
        sys.exit(status if isinstance(status, int) else 0)


def _refuse(text: str) -> None:
    print(f"edotun: {text}", file=sys.stderr, flush=True)
    sys.exit(2)


app = typer.Typer(
    name="edotun",
    cls=_OneLine,
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A userspace TCP on a TUN interface: extended option space, TCP-AO, key agreement, payload encryption.",
)
app.command("serve", epilog=serve.EPILOG)(serve.serve)
app.command("connect", epilog=connect.EPILOG)(connect.connect)
app.command("gateway", epilog=gateway.EPILOG)(gateway.gateway)
app.command("demo", epilog=demo.EPILOG)(demo.demo)
app.command("sim", epilog=sim.EPILOG)(sim.sim)
app.command("path", epilog=path.EPILOG)(path.path)
app.command("pkt", epilog=pkt.EPILOG)(pkt.pkt)
app.command("verify", epilog=verify.EPILOG)(verify.verify)
app.command("decode", epilog=decode.EPILOG)(decode.decode)
app.command("options", epilog=option_space.EPILOG)(option_space.option_space)
app.command("decrypt", epilog=decrypt.EPILOG)(decrypt.decrypt)
app.add_typer(bench.app, name="bench")
app.add_typer(keys.app, name="keys")
app.add_typer(lab.app, name="lab")
app.add_typer(peers.app, name="peers")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
