"""Runs a script's events in virtual time against the stack, and compares what happens with what it expects."""

from __future__ import annotations

import ast
import errno
from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stack import pacing
from stack.config import TcpConfig
from stack.socket_core import Blocked
from stack.socket_core.info import information
from stack.states import State

from . import constants, evaluate, fastopen, icmp, matching, setkey, settings, shell
from .calls import Calls
from .evaluate import AssertionFalse, CodeRefused
from .faults import Failed, Place, Refused
from .ground import Ground
from .header import Header, read_header
from .machine import EPOCH, Machine
from .octets import OptionFault, build
from .polling import Done, Try
from .profiles import Profile
from .segments import follows, joined
from .syntax import CallSpec, CodeSpec, CommandSpec, Event, IcmpSpec, Script, TcpSpec, Time, When
from .values import Resolver

# How long a packet without a time is waited for, seconds.
_PATIENCE: Final = 86_400.0
# Times are compared to the microsecond, as scripts write them.
_ROUNDING: Final = 1.5e-6
_INFO: Final = information(None, State.CLOSED, 0.0)


@dataclass(slots=True)
class _Pending:
    """A blocking call that has not returned: ``end`` is when the script says that it does."""

    call: CallSpec
    place: Place
    attempt: Try
    end: float
    done: Done | None = None
    at: float = 0.0


class Interpreter:
    """One run of one script; ``show`` gets what its code prints."""

    def __init__(self, script: Script, profile: Profile, show: Callable[[str], None] = lambda _text: None) -> None:
        self.script = script
        self.header: Header = read_header(script.options)
        self.profile = profile
        self.show = show
        self.folder = Path(script.file).parent
        mtu = self.header.mtu or (profile.ipv6_mtu if self.header.version == 6 else 1500)
        self.config: TcpConfig = replace(profile.config, mtu=mtu)
        dialect = profile.dialect
        if self.header.edo_pad is not None:
            dialect = replace(dialect, data_padding=self.header.edo_pad)
        local, remote = self.header.ends
        self.machine = Machine(local, remote, self.config, dialect, self.header.mss, self.header.md5_secret)
        self.machine.on_step = self._retry
        fastopen.prepare(self.machine.stack, profile.fast_open_tag, profile.fast_open_key)
        ground = Ground(self.header.family, local, remote, self.header.bind_port, self.header.connect_port)
        self.calls = Calls(self.machine, profile, ground)
        self.pending: _Pending | None = None
        self.last = EPOCH
        self._constants = constants.info_constants(profile.name)
        self._code: dict[Place, ast.Module] = {}
        # Names to which the script's code gives values; they stay from block to block.
        self._assigned: set[str] = set()
        self._variables: dict[str, evaluate.Value] = {}
        self._lines: dict[Place, list[shell.Meaning]] = {}

    # --- before ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """See that everything in the script is understood before any of it runs; raises Refused."""
        config = self.config
        for command in (self.script.init, self.script.cleanup):
            if command is not None:
                config = self._check_command(command[1], command[0], config)
        for event in self.script.events:
            action = event.action
            if isinstance(action, CommandSpec):
                config = self._check_command(action, event.place, config)
            elif isinstance(action, CallSpec):
                self.calls.check(action, Resolver(self.profile.name, event.place))
            elif isinstance(action, CodeSpec):
                self._check_code(action, event.place)
            elif isinstance(action, IcmpSpec):
                self._check_icmp(action, event.place)
            elif not self.header.md5_secret and any(
                option.word == "md5" and option.numbers for option in action.options or ()
            ):
                raise Refused(event.place, "md5 valid and md5 invalid need --tcp_md5_secret")
            elif action.inbound:
                try:
                    build(action.options or (), self.machine.dialect)
                except OptionFault as fault:
                    raise Refused(event.place, str(fault)) from None

    def _check_command(self, command: CommandSpec, place: Place, config: TcpConfig) -> TcpConfig:
        meanings = shell.read(command.text, place, self.folder)
        self._lines[place] = meanings
        for meaning in meanings:
            if isinstance(meaning, shell.Sysctl):
                config = settings.apply(meaning, config)
            elif (
                isinstance(meaning, shell.StateCount | shell.StateSeen | shell.DropState)
                and meaning.state not in State.__members__
            ):
                raise Refused(meaning.place, f"unknown state {meaning.state}")
        return config

    def _check_code(self, code: CodeSpec, place: Place) -> None:
        try:
            module = evaluate.check(code.text)
        except CodeRefused as refused:
            raise Refused(_within(place, refused), str(refused)) from None
        own = evaluate.assigned(module)
        for name in sorted(evaluate.names(module) - own - self._assigned):
            if name not in self._constants and name not in _INFO:
                raise Refused(place, f"nothing is known of {name!r}")
        self._assigned |= own
        self._code[place] = module

    def _check_icmp(self, spec: IcmpSpec, place: Place) -> None:
        if not spec.inbound:
            raise Refused(place, "not supported: ICMP messages that are expected of the stack")
        try:
            icmp.numbers(spec, self.header.version)
        except icmp.IcmpUnknown as unknown:
            raise Refused(place, str(unknown)) from None

    # --- the run ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run every event; raises Failed at the first that is not as expected, Refused for what is not there."""
        self.check()
        if self.script.init is not None:
            self._command(self.script.init[0])
        for event in self.script.events:
            self._event(event)
        self._await_pending(None)

    def _event(self, event: Event) -> None:
        action = event.action
        begin, end = self._window(event.time)
        if isinstance(action, TcpSpec) and not action.inbound:
            self._expect(event, action, begin, end)
            return
        assert begin is not None
        self.machine.advance(begin)
        self._late()
        self.last = begin
        if isinstance(action, TcpSpec):
            self._guard(event.place, lambda: self.machine.inject(action))
        elif isinstance(action, IcmpSpec):
            self._guard(event.place, lambda: self.machine.inject_icmp(action))
        elif isinstance(action, CallSpec):
            self._call(event, action, begin)
        elif isinstance(action, CommandSpec):
            self._command(event.place)
        else:
            self._run_code(event.place)

    def _window(self, time: Time) -> tuple[float | None, float]:
        """When an event is to happen: the earliest (None: any time) and the latest moment."""
        if time.when is When.ANY:
            return None, self.machine.now + _PATIENCE
        base = EPOCH if time.when is When.ABSOLUTE else self.last
        begin = base + time.seconds
        return begin, begin if time.until is None else base + time.until

    def _guard(self, place: Place, action: Callable[[], None]) -> None:
        try:
            action()
        except (OptionFault, icmp.IcmpUnknown) as fault:
            raise Refused(place, str(fault)) from None

    # --- packets that are expected ---------------------------------------------------------------------------

    def _expect(self, event: Event, spec: TcpSpec, begin: float | None, end: float) -> None:
        machine = self.machine
        tolerance = self.header.tolerance
        latest = self.profile.latest_socket and spec.ports is None
        while True:
            if latest:
                machine.forget_past()
            if machine.sent:
                break
            if not machine.step(end + tolerance):
                machine.advance(max(end + tolerance, machine.now) if begin is not None else machine.now)
                raise Failed(event.place, "timed out waiting for a packet", matching.show_spec(spec), "none")
        first = machine.sent.popleft()
        conversation = machine.conversation_of(first)
        whole = first
        while (
            whole.length < spec.length
            and not self.header.strict
            and machine.sent
            and follows(whole, machine.sent[0])
        ):
            whole = joined(whole, machine.sent.popleft())
        conversation.learn(spec, whole)
        seen = conversation.outbound(whole, plain_seq=spec.plain_seq)
        tick = self.header.tick
        off = tolerance / tick if tick else None
        found = matching.difference(spec, seen, machine.dialect, off, echoes=self.profile.echoes)
        if found is not None:
            raise Failed(
                event.place,
                f"bad outbound packet: {found}",
                matching.show_spec(spec, seen),
                matching.show_sent(seen, spec),
            )
        at = first.time
        early = begin is not None and at < begin - tolerance - _ROUNDING
        if early or at > end + tolerance + _ROUNDING:
            raise Failed(
                event.place,
                "bad time of a packet",
                f"{_span(begin, end)} s: {matching.show_spec(spec, seen)}",
                f"{at - EPOCH:.6f} s",
            )
        exact = event.time.when is not When.ANY and event.time.until is None
        self.last = begin if exact and begin is not None else at

    # --- calls -----------------------------------------------------------------------------------------------

    def _call(self, event: Event, call: CallSpec, begin: float) -> None:
        self._await_pending(event)
        attempt = self.calls.prepare(call, event.place)
        answer = attempt()
        self.machine.flush()
        if call.end is not None:
            end = call.end + (begin - event.time.seconds)
            self.pending = _Pending(call, event.place, attempt, end)
            if isinstance(answer, Done):
                self.pending.done, self.pending.at = answer, self.machine.now
                self._finish()
        elif isinstance(answer, Blocked):
            raise Failed(event.place, f"{call.name} blocks", event.source, "it has to wait")
        else:
            self._judge(call, event.place, answer)

    def _retry(self) -> None:
        """Something has happened: the call that waits may go on."""
        pending = self.pending
        if pending is None or pending.done is not None:
            return
        answer = pending.attempt()
        if isinstance(answer, Done):
            pending.done, pending.at = answer, self.machine.now
            self.machine.flush()

    def _finish(self) -> None:
        """The call that waited has returned: was it when, and with what, the script says?"""
        pending = self.pending
        assert pending is not None
        assert pending.done is not None
        self.pending = None
        if abs(pending.at - pending.end) > self.header.tolerance + _ROUNDING:
            raise Failed(
                pending.place,
                f"bad time at which {pending.call.name} returns",
                f"{pending.end - EPOCH:.6f} s",
                f"{pending.at - EPOCH:.6f} s",
            )
        self._judge(pending.call, pending.place, pending.done)

    def _late(self) -> None:
        """See that a call that waits is not overdue, and judge one that has returned."""
        pending = self.pending
        if pending is None:
            return
        if pending.done is not None:
            self._finish()
        elif self.machine.now > pending.end + self.header.tolerance + _ROUNDING:
            raise _overdue(pending)

    def _await_pending(self, event: Event | None) -> None:
        pending = self.pending
        if pending is None:
            return
        limit = pending.end + self.header.tolerance if event is None else self.machine.now
        while pending.done is None and self._step_pending(limit):
            pass
        if pending.done is not None:
            self._finish()
            return
        raise _overdue(pending)

    def _step_pending(self, limit: float) -> bool:
        """Go on to what may end the wait: the stack's next deadline, or the call's own."""
        pending = self.pending
        assert pending is not None
        answer = pending.attempt()
        own = answer.deadline if isinstance(answer, Blocked) else None
        if isinstance(answer, Done):
            pending.done, pending.at = answer, self.machine.now
            return False
        due = self.machine.stack.next_deadline
        if own is not None and own <= limit and (due is None or own < due):
            self.machine.advance(own)
            return True
        return self.machine.step(limit)

    def _judge(self, call: CallSpec, place: Place, done: Done) -> None:
        expected = self.calls.number_of_result(call, place)
        wanted_error = getattr(errno, call.error) if call.error is not None else None
        value_is = expected is None or expected == done.value
        error_is = wanted_error is None or wanted_error == done.error
        if value_is and error_is:
            return
        told = "any" if expected is None else str(expected)
        actual = f"{done.value}{' ' + _error_name(done.error) if done.error else ''}"
        raise Failed(
            place,
            f"bad result of {call.name}",
            f"{told}{' ' + call.error if call.error is not None else ''}",
            actual,
        )

    # --- the rest --------------------------------------------------------------------------------------------

    def _command(self, place: Place) -> None:
        for meaning in self._lines[place]:
            if isinstance(meaning, shell.Sysctl):
                self.config = settings.apply(meaning, self.config)
                self.machine.configure(self.config)
                fastopen.obey(meaning.name, meaning.value, self.machine.stack)
            elif isinstance(meaning, setkey.SetKey):
                self.machine.md5_keys.obey(meaning)
            elif isinstance(meaning, shell.Forget):
                self.machine.stack.peers.forget()
            elif isinstance(meaning, shell.Pacing):
                self.config = replace(self.config, pacing=pacing.DEFAULT if meaning.on else pacing.OFF)
                self.machine.configure(self.config)
            elif isinstance(meaning, shell.DropState):
                self.machine.drop(meaning.state)
            elif isinstance(meaning, shell.BeginCount):
                self.machine.begin_count()
            elif isinstance(meaning, shell.Counted):
                dropped = self.machine.dropped(meaning.reason)
                if dropped != meaning.count if meaning.count is not None else not dropped:
                    wanted = "some" if meaning.count is None else str(meaning.count)
                    raise Failed(meaning.place, f"bad number of drops as {meaning.reason}", wanted, str(dropped))
            elif isinstance(meaning, shell.StateSeen):
                if not self.machine.seen(meaning.state, meaning.port):
                    raise Failed(meaning.place, f"no socket of port {meaning.port} is in {meaning.state}")
            elif (count := self.machine.count(meaning.state)) != meaning.count:
                raise Failed(
                    meaning.place,
                    f"bad number of connections in {meaning.state}",
                    str(meaning.count),
                    str(count),
                )

    def _run_code(self, place: Place) -> None:
        core = self.calls.under_test
        known: dict[str, evaluate.Value] = dict(self._constants)
        known.update(_INFO if core is None else core.info())
        state = State.CLOSED if core is None else core.state
        known["tcpi_state"] = constants.state_number(state, self.profile.name)
        try:
            evaluate.run(self._code[place], ChainMap(self._variables, known), self.show)
        except AssertionFalse as false:
            raise Failed(place, f"assertion does not hold: {false}") from None
        except CodeRefused as refused:
            raise Refused(_within(place, refused), str(refused)) from None


def _overdue(pending: _Pending) -> Failed:
    return Failed(pending.place, f"{pending.call.name} does not return", f"{pending.end - EPOCH:.6f} s", "later")


def _within(place: Place, refused: CodeRefused) -> Place:
    return place._replace(line=place.line + refused.line - 1)


def _span(begin: float | None, end: float) -> str:
    if begin is None:
        return "any"
    return f"{begin - EPOCH:.6f}" if begin == end else f"{begin - EPOCH:.6f}~{end - EPOCH:.6f}"


def _error_name(number: int) -> str:
    return errno.errorcode.get(number, str(number))
