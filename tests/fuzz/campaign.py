"""``make fuzz SECONDS=n [TARGETS=...]``: every target for so many seconds, one behind the other.

What is found lies in build/fuzz: inputs that reach something new, and inputs that fail. One that fails is told with
what repeats it, and the exit status is 1.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.fuzz.corpus import WORK, unpack
from tests.fuzz.targets import TARGETS

# An input that takes longer than this, in seconds, hangs; one has at most so many octets; memory in MiB.
_LIMITS = ("-timeout=20", "-max_len=400", "-len_control=0", "-rss_limit_mb=2048")


def _have_atheris() -> bool:
    """Whether atheris is there, or can be had."""
    check = (sys.executable, "-c", "import atheris")
    if subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return True
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    wanted = project["project"]["optional-dependencies"]["fuzz"]
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *wanted)
    subprocess.run(command, capture_output=True, check=False)
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def _fuzz(name: str, seconds: int) -> list[Path]:
    """Run one target; the inputs that failed."""
    found, failed = WORK / name, WORK / f"{name}-failed"
    unpack(name, found)
    failed.mkdir(exist_ok=True)
    before = set(failed.iterdir())
    time = f"-max_total_time={seconds}"
    command = (
        sys.executable,
        "-m",
        "tests.fuzz.drive",
        name,
        time,
        *_LIMITS,
        f"-artifact_prefix={failed}/",
        str(found),
    )
    with (WORK / f"{name}.log").open("w") as log:
        subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    return sorted(set(failed.iterdir()) - before)


def main(arguments: list[str]) -> int:
    """``arguments``: the seconds for each target, and the targets (none: all)."""
    if not _have_atheris():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        print(
            f"atheris cannot be installed for Python {version} here, and nothing is fuzzed without it",
            file=sys.stderr,
        )
        return 2
    seconds, names = int(arguments[0]), arguments[1:] or list(TARGETS)
    bad = False
    for name in names:
        failed = _fuzz(name, seconds)
        log = (WORK / f"{name}.log").read_text(errors="replace").splitlines()
        last = next(
            (line for line in reversed(log) if "exec/s" in line or line.startswith("Done")), "nothing was run"
        )
        print(f"{name}: {last.strip()}")
        for file in failed:
            print(f"{name} fails: python -m tests.fuzz.again {name} {file.read_bytes().hex()}")
        bad = bad or bool(failed) or last == "nothing was run"
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
