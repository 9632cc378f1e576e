"""A script's text becomes its events: option lines, times, calls, packets, lines for a shell, assertions."""

from __future__ import annotations

import re

from .expressions import parse_call
from .faults import Place, Refused
from .packets import parse_packet
from .scanner import Scanner
from .syntax import (
    Action,
    CallSpec,
    CodeSpec,
    CommandSpec,
    Event,
    IcmpSpec,
    OptionLine,
    Script,
    TcpSpec,
    Time,
    When,
)

_OPTION = re.compile(r"--([A-Za-z0-9_]+)(?:=((?:`(?:\\.|[^`])*`|\"(?:\\.|[^\"])*\"|[^\s`\"])+))?")
_SECONDS = re.compile(r"[0-9]*\.[0-9]+|[0-9]+")
_COMMAND = re.compile(r"`((?:\\.|[^`])*)`", re.DOTALL)
_CODE = re.compile(r"%\{(.*?)\}%", re.DOTALL)


def parse(text: str, file: str = "script") -> Script:
    """Parse a whole script, in either dialect; raises Refused with the place of what is not understood."""
    scanner = Scanner(text, file)
    options = []
    while scanner.peek("--"):
        place = scanner.place
        found = scanner.take(_OPTION)
        if found is None:
            scanner.refuse(f"expected an option, found {scanner.ahead}")
        options.append(OptionLine(place, found.group(1), found.group(2)))
    init = _bare_command(scanner)
    events: list[Event] = []
    cleanup = None
    while not scanner.over:
        if scanner.peek("`"):
            cleanup = _bare_command(scanner)
            if not scanner.over:
                scanner.refuse(f"expected a time, found {scanner.ahead}: a line for a shell without one comes last")
            break
        events.append(_event(scanner))
    return Script(file, tuple(options), init, tuple(events), cleanup)


def _bare_command(scanner: Scanner) -> tuple[Place, CommandSpec] | None:
    place = scanner.place
    command = _command(scanner)
    return None if command is None else (place, command)


def _command(scanner: Scanner) -> CommandSpec | None:
    found = scanner.take(_COMMAND)
    if found is None:
        if scanner.peek("`"):
            scanner.refuse("a line for a shell that begins here does not end")
        return None
    return CommandSpec(found.group(1))


def _event(scanner: Scanner) -> Event:
    place = scanner.place
    start = scanner.at
    time = _time(scanner)
    action_place = scanner.place
    action = _action(scanner, place)
    source = " ".join(scanner.text[start : scanner.at].split())
    sent = isinstance(action, TcpSpec | IcmpSpec) and not action.inbound
    if not sent and (time.when is When.ANY or time.until is not None):
        raise Refused(action_place, "'*' and ranges of time are for outbound packets only")
    return Event(place, time, action, source)


def _time(scanner: Scanner) -> Time:
    if scanner.accept("*"):
        return Time(When.ANY)
    relative = scanner.accept("+")
    place = scanner.place
    seconds = _seconds(scanner)
    until = None
    if scanner.accept("~"):
        if relative:
            scanner.expect("+")
        until = _seconds(scanner)
        if until < seconds:
            raise Refused(place, f"the range of time {seconds:g}~{until:g} is backwards")
    return Time(When.RELATIVE if relative else When.ABSOLUTE, seconds, until)


def _seconds(scanner: Scanner) -> float:
    found = scanner.take(_SECONDS)
    if found is None:
        scanner.refuse(f"expected a time, found {scanner.ahead}")
    return float(found.group())


def _action(scanner: Scanner, place: Place) -> Action:
    if scanner.peek("<", ">"):
        return parse_packet(scanner)
    if scanner.peek("`"):
        command = _command(scanner)
        assert command is not None
        return command
    if scanner.peek("%{"):
        found = scanner.take(_CODE)
        if found is None:
            scanner.refuse("code that begins here does not end")
        return CodeSpec(found.group(1).strip(" \t"))
    end: float | None = None
    if scanner.accept("..."):
        scanner.accept("+")
        end = _seconds(scanner)
    if scanner.peek_word() is None:
        scanner.refuse(
            f"expected a packet, a system call, `a line for a shell` or %{{code}}%, found {scanner.ahead}"
        )
    name, arguments, result, error = parse_call(scanner)
    return CallSpec(name, arguments, result, error, end)
