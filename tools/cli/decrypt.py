"""``edotun decrypt``: a capture of encrypted connections becomes one with the plaintext."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ao.keyfile import KeyFileError, load_with_md5

from . import options

if TYPE_CHECKING:
    from ..decrypt.keybook import KeyBook

EPILOG = """Examples: edotun gateway near.toml --keylog keys.jsonl --capture sent.pcapng |
edotun decrypt sent.pcapng --keylog keys.jsonl --write plain.pcapng |
edotun decrypt bgp.pcap --keys keys.toml --write plain.pcapng --as-sent.
What is written holds the plaintext: keep it as you keep the keys. Exit status 0 every encrypted segment is
decrypted, 1 any is not, 2 capture or keys cannot be read."""


def decrypt(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="A pcap or pcapng file.")],
    write: Annotated[
        Path, typer.Option("--write", "-w", metavar="OUT.pcapng", help="The capture to be written: IP packets.")
    ],
    keylog: Annotated[
        Path | None, typer.Option("--keylog", metavar="FILE", help="What --keylog of either end wrote.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="The keys file of either end, for mode ao-enc.")
    ] = None,
    as_sent: Annotated[
        bool,
        typer.Option(
            "--as-sent",
            help="Leave headers as they were; else they become those of plain TCP, so that every reader finds the"
            " payload.",
        ),
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Write a capture anew with the payload decrypted, where the segment's MAC is good."""
    # Loaded only now: no other command needs them.
    from tun.capture import Capture
    from tun.capture_reader import CaptureError
    from tun.errors import TunError

    from ..decode.source import Packet, from_capture
    from ..decrypt.opening import Fate, Opener

    if keylog is None and keys is None:
        options.wrong("there is nothing to decrypt with: --keylog FILE, --keys FILE or both")
    opener = Opener(_book(keylog, keys), as_sent=as_sent)
    counts: Counter[str] = Counter()
    used: Counter[str] = Counter()
    try:
        packets = [packet for packet in from_capture(capture) if isinstance(packet, Packet)]
        with Capture(write, name=capture.name[:60]) as out:
            for opened in opener.open(packets):
                counts[opened.fate] += 1
                if opened.key is not None:
                    used[opened.key] += 1
                when = opened.reading.packet.when or 0.0
                out.add([opened.packet], when, outgoing=False, comments=[opened.comment])
    except (CaptureError, TunError) as error:
        options.wrong(str(error))
    if json_:
        report = {fate.value: counts[fate] for fate in Fate}
        typer.echo(json.dumps({**report, "keys": dict(used), "written": str(write)}))
    else:
        for name, number in sorted(used.items()):
            typer.echo(f"{name}: {number} segments")
        typer.echo(", ".join(f"{counts[fate]} {fate.value.replace('_', ' ')}" for fate in Fate if counts[fate]))
    return 1 if counts[Fate.NO_KEY] or counts[Fate.BAD_MAC] or counts[Fate.CUT] else 0


def _book(keylog: Path | None, keys: Path | None) -> KeyBook:
    from ..decrypt.keybook import KeyBook, KeyBookError, read_keylog

    try:
        logged = () if keylog is None else read_keylog(keylog)
        configured = () if keys is None else load_with_md5(keys, strict_permissions=False, notice=options.notice)[0]
    except (KeyBookError, KeyFileError) as error:
        options.wrong(str(error))
    except OSError as error:
        options.wrong(f"{error.filename}: {error.strerror}")
    return KeyBook(logged, configured)
