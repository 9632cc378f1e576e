"""tshark, with the dissector or without, and what it says of each packet."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "tools" / "wireshark" / "edotun.lua"
EXPERT = "_ws.expert.message"
_BETWEEN, _WITHIN = "\t", ";"


def fields(capture: Path, names: Sequence[str], *options: str, script: bool = True) -> list[dict[str, list[str]]]:
    """The values of each packet's fields by name, an expert's messages among them; an absent field has none."""
    names = [*names, EXPERT]
    command = ["tshark", "-n", "-r", str(capture), *options, "-T", "fields"]
    command += ["-E", f"separator={_BETWEEN}", "-E", f"aggregator={_WITHIN}"]
    if script:
        command += ["-X", f"lua_script:{SCRIPT}"]
    for name in names:
        command += ["-e", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    rows = []
    for line in done.stdout.splitlines():
        values = [value.split(_WITHIN) if value else [] for value in line.split(_BETWEEN)]
        row = dict(zip(names, values, strict=True))
        assert not any("Lua Error" in message for message in row[EXPERT]), row[EXPERT]
        rows.append(row)
    return rows
