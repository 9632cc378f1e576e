"""Lines for a shell: read for what they mean, never executed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from stack.socket_core.info import STATES

from . import evaluate, setkey
from .faults import Place, Refused


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A setting of the system, by its dotted name."""

    place: Place
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class StateCount:
    """An assertion: so many connections are in a state."""

    place: Place
    state: str
    count: int


@dataclass(frozen=True, slots=True)
class DropState:
    """Every connection in a state is dropped (tcpdrop)."""

    place: Place
    state: str


@dataclass(frozen=True, slots=True)
class Pacing:
    """The queue of the device spreads packets over time (fq), or takes them as they come."""

    place: Place
    on: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """What is remembered of other hosts is erased."""

    place: Place


@dataclass(frozen=True, slots=True)
class StateSeen:
    """An assertion: at least one socket of a local port is in a state."""

    place: Place
    state: str
    port: int


@dataclass(frozen=True, slots=True)
class Counted:
    """An assertion: a counter rose by so much (None: at all) since it was last begun."""

    place: Place
    reason: str
    count: int | None


@dataclass(frozen=True, slots=True)
class BeginCount:
    """Counters are counted from now on."""

    place: Place


Meaning = Counted | BeginCount | Sysctl | StateCount | DropState | Pacing | Forget | StateSeen | setkey.SetKey

_ARITHMETIC = re.compile(r"\$\(\(([0-9+*/ ()-]+)\)\)")
_REDIRECT = re.compile(r"\s+(?:[012&]?>{1,2}\s*(?:/dev/null|&[12])|</dev/null)")
_SEPARATOR = re.compile(r"\s*(?:;|&&|\n)\s*")
_STATES = re.compile(
    r"(?:sockstat|netstat)\b[^|]*(?:\|\s*grep\s+[^|]*?)*?\|\s*grep\s+-c\s+['\"]?(?P<state>[A-Z0-9_-]+)['\"]?"
    r"\s*\|\s*grep\s+(?:-[qwx]\s+)*['\"]?\^?(?P<count>[0-9]+)\$?['\"]?$"
)
# Parameters of Linux's modules, as settings by these names.
_MODULE = re.compile(r"echo\s+['\"]?(\w+)['\"]?\s*>\s*/sys/module/(\w+)/parameters/(\w+)$")
_ECHO = re.compile(r"echo\s+(?:-n\s+)?['\"]?([^'\">]*?)['\"]?\s*>\s*(/proc/sys/\S+)$")
# No sysctl of a shell can set FreeBSD's key of Fast Open, which is octets: a program does, made where missing.
_SET_KEY = re.compile(r"(?:if \[ ! -e \./setkey \] ?; ?then cc -o setkey setkey\.c ?; ?fi ?; ?)?\./setkey$")
_RESTORE = re.compile(r"/tmp/sysctl_restore_\S*")
# Commands without an effect on a stack that is made anew for every script and whose link is no device.
_WITHOUT_EFFECT = re.compile(
    r"(?:true|:|sync|set\s+-\w+|ethtool\s+-K\s.*|kldload\s+(?:-n\s+)?(?:cc_(?:newreno|cubic)|tcpmd5|ipsec)"
    r"|tc\s+qdisc\s+del(?:ete)?\s+[^|;]*)(?:\s*\|\|\s*(?:true|:))?$"
)
_QUEUE = re.compile(
    r"tc\s+qdisc\s+(?:add|replace|change)\s+dev\s+\S+\s+(?:root\s+)?(pfifo_fast|pfifo|fq)\b(?!.*\blimit\s+0\b)"
)
# Linux's table of connections: the number of a state, and a port in hexadecimal.
_TABLE = re.compile(
    r"grep\s+['\"] ?([0-9A-F]{2}) ?['\"]\s+/proc/net/tcp(?:\s+/proc/net/tcp6)?\s*"
    r"\|\s*grep\s+['\"]:([0-9A-F]{4})['\"]$"
)
_COUNTER = re.compile(
    r"nstat\b[^|]*\|\s*grep\s+(?:-q\s+)?['\"]?(?P<name>\w+)['\"]?"
    r"(?:\s*\|\s*grep\s+-q\s+['\"] *(?P<count>[0-9]+) *['\"])?$"
)
# Linux's counters that count what the stack counts as dropped, under another name.
_COUNTERS = {
    "TcpExtOutOfWindowIcmps": "icmp_out_of_window",
    "TcpExtBeyondWindow": "out_of_window",
    "TcpExtPAWSEstab": "paws",
}
_NUMBERED = {number: state.name for state, number in STATES.items()}
_STATE_NAMES = {"SYN_RCVD": "SYN_RECEIVED", "SYN_RECV": "SYN_RECEIVED", "LISTENING": "LISTEN"}


def read(text: str, place: Place, folder: Path, *, depth: int = 0) -> list[Meaning]:
    """What a line means, files that it names beside the script included; raises Refused by name."""
    meanings: list[Meaning] = []
    joined = text.replace("\\\n", " ")
    if (keys := setkey.find(joined)) is not None:
        before = read(joined[: keys.start()], place, folder, depth=depth)
        return [*before, *setkey.read(keys, place), *read(joined[keys.end() :], place, folder, depth=depth)]
    if _SET_KEY.match(joined.strip()) is not None:
        return [Sysctl(place, "net.inet.tcp.fastopen.setkey", "00" * 16)]
    for part in _SEPARATOR.split(joined):
        command = _REDIRECT.sub("", part.split(" #")[0]).strip()
        if command and not command.startswith("#"):
            meanings.extend(_command(command, place, folder, depth))
    return meanings


def _command(command: str, place: Place, folder: Path, depth: int) -> list[Meaning]:
    if (found := _STATES.search(command)) is not None:
        state = found.group("state").replace("-", "_")
        return [StateCount(place, _STATE_NAMES.get(state, state), int(found.group("count")))]
    if (found := _ECHO.match(command)) is not None:
        return [Sysctl(place, _dotted(found.group(2)), found.group(1).strip())]
    if (found := _MODULE.match(command)) is not None:
        return [Sysctl(place, f"module.{found.group(2)}.{found.group(3)}", found.group(1))]
    if re.match(r"ip\s+tcp_metrics\s+flush(?:\s+all)?\b[^|;]*$", command) is not None:
        return [Forget(place)]
    if _WITHOUT_EFFECT.match(command) is not None:
        return []
    if (found := _QUEUE.match(command)) is not None:
        return [Pacing(place, found.group(1) == "fq")]
    if re.match(r"nstat(?:\s+-\w+)*$", command) is not None:
        return [BeginCount(place)]
    if (found := _COUNTER.match(command)) is not None and found.group("name") in _COUNTERS:
        count = found.group("count")
        return [Counted(place, _COUNTERS[found.group("name")], None if count is None else int(count))]
    if (found := _TABLE.match(command)) is not None and int(found.group(1), 16) in _NUMBERED:
        return [StateSeen(place, _NUMBERED[int(found.group(1), 16)], int(found.group(2), 16))]
    try:
        words = shlex.split(_ARITHMETIC.sub(_computed, command))
    except ValueError as error:
        raise Refused(place, f"a line for a shell cannot be read: {error}") from None
    if not words:
        return []
    program = words[0].rsplit("/", 1)[-1]
    if program == "sysctl":
        return _sysctls(words[1:], place)
    if program == "set_sysctls.py":
        return [_setting(word, place) for word in words[1:]]
    if _RESTORE.match(words[0]) is not None:
        return []
    if program == "tcpdrop" and words[1:2] == ["-s"] and len(words) == 3:
        return [DropState(place, _STATE_NAMES.get(words[2], words[2]))]
    if program.endswith(".sh") and len(words) == 1:
        return _file(words[0], place, folder, depth)
    raise Refused(place, f"not understood: a line for a shell with {program!r}")


def _computed(found: re.Match[str]) -> str:
    value: list[str] = []
    evaluate.run(evaluate.check(f"print({found.group(1)})"), {}, value.append)
    return value[0]


def _sysctls(words: list[str], place: Place) -> list[Meaning]:
    settings: list[Meaning] = []
    for word in words:
        if word.startswith("-"):
            if set(word[1:]) - set("wqei"):
                raise Refused(place, f"not understood: sysctl with {word!r}")
        elif "=" in word:
            settings.append(_setting(word, place))
        else:
            raise Refused(place, f"not understood: sysctl that asks for {word!r}")
    return settings


def _setting(word: str, place: Place) -> Sysctl:
    name, equals, value = word.partition("=")
    if not equals:
        raise Refused(place, f"not understood: {word!r} sets nothing")
    return Sysctl(place, _dotted(name), value.strip())


def _dotted(name: str) -> str:
    return name.removeprefix("/proc/sys/").replace("/", ".")


def _file(name: str, place: Place, folder: Path, depth: int) -> list[Meaning]:
    path = folder / name
    if depth > 2:
        raise Refused(place, f"{name} is named by a file that a file names")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        if path.name == "defaults.sh":
            # What it is known to set is what the profile sets.
            return []
        raise Refused(place, f"{name} cannot be read") from None
    meanings: list[Meaning] = []
    line = 1
    for piece in re.split(r"(?<!\\)\n", text):
        meanings.extend(read(piece, Place(str(path), line), path.parent, depth=depth + 1))
        line += piece.count("\n") + 1
    return meanings
