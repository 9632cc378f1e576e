"""An asyncio transport over an Attempt: what asyncio's socket transport is over a socket.

The kernel's part of a socket (its send buffer) is the Attempt's here: ``get_write_buffer_size`` counts only what
does not fit the connection's send buffer, as asyncio counts only what the kernel has not taken, so ``drain()``
lets a whole send buffer be in flight.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .events import Closed, Established, TcpError

if TYPE_CHECKING:
    from .attempt import Attempt
    from .runner import Runner

# Octets taken from the connection at a time, as asyncio takes from a socket.
READ_SIZE: Final = 1 << 18
_NO_EXTRAS: Final[dict[str, Any]] = {}
# Transports that the application is done with and whose connection has not ended yet (see ``drain_closing``).
_closing: Final[set[AttemptTransport]] = set()


def plain_error(error: OSError, unsent: int = 0) -> OSError:
    """Return ``error`` as the built-in class of its errno (ConnectionResetError, TimeoutError, ...).

    ``unsent`` octets that were written and never acknowledged are named in its text.
    """
    text = error.strerror or str(error)
    if unsent:
        text = f"{text}; {unsent} octets were not acknowledged"
    return OSError(error.errno, text) if error.errno else OSError(text)


def _socket_name(endpoint: tuple[str, int]) -> tuple[str, int] | tuple[str, int, int, int]:
    """An endpoint as a socket gives it: IPv6 with flow information and scope."""
    return (*endpoint, 0, 0) if ":" in endpoint[0] else endpoint


class AttemptTransport(asyncio.Transport):
    """asyncio.Transport over one Attempt; the Attempt's owner, so its ``on_ready`` is called after each event.

    ``opened`` is a future for the active opener: done once the connection stands and the protocol knows it, or
    with the OSError for which it failed. Without one the Attempt stands already and ``begin`` is to be called.
    ``ended`` is called with the transport right after the protocol's ``connection_lost``.
    """

    # What ``loop.start_tls`` asks of a transport; its protocol calls ``_force_close`` as well.
    _start_tls_compatible = True

    __slots__ = (
        "_attempt",
        "_begun",
        "_end",
        "_ended",
        "_eof_seen",
        "_eof_written",
        "_high",
        "_is_closing",
        "_loop",
        "_lost_scheduled",
        "_low",
        "_opened",
        "_paused",
        "_protocol",
        "_protocol_paused",
        "_runner",
    )

    def __init__(
        self,
        runner: Runner,
        attempt: Attempt,
        protocol: asyncio.BaseProtocol,
        loop: asyncio.AbstractEventLoop,
        *,
        opened: asyncio.Future[None] | None = None,
        ended: Callable[[AttemptTransport], None] | None = None,
    ) -> None:
        super().__init__(_NO_EXTRAS)
        self._runner = runner
        self._attempt = attempt
        self._loop = loop
        self._opened = opened
        self._ended = ended
        self._protocol = protocol
        self._begun = False
        self._paused = False
        self._eof_seen = False
        self._eof_written = False
        self._is_closing = False
        self._lost_scheduled = False
        self._end: Closed | None = None
        self._low = 1 << 14
        self._high = 1 << 16
        self._protocol_paused = False
        attempt.owner = self

    def __repr__(self) -> str:
        state = "closing" if self._is_closing else "open" if self._begun else "opening"
        return f"<{type(self).__name__} {state} {self._attempt.local} -> {self._attempt.peer}>"

    # --- the runner ----------------------------------------------------------------------------------------

    def on_ready(self) -> None:
        """Take the Attempt's events; called by the runner after each batch or timer that made one."""
        established = False
        while (event := self._attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self._end = event
                _closing.discard(self)
            elif isinstance(event, Established):
                established = True
        if self._lost_scheduled:
            return
        if not self._begun and (established or self._opened is None):
            self.begin()
        if not self._begun:
            if self._end is not None:
                self._fail_opening(self._end)
            return
        self._deliver()
        self._resume_writing()
        self._settle()

    def begin(self) -> None:
        """The connection stands: the protocol is told, then what has come already is delivered."""
        if self._begun:
            return
        self._begun = True
        if (
            self._call(self._protocol.connection_made, self)
            and self._opened is not None
            and not self._opened.done()
        ):
            self._opened.set_result(None)
            self._opened = None

    def _fail_opening(self, end: Closed) -> None:
        self._is_closing = self._lost_scheduled = True
        if self._opened is not None and not self._opened.done():
            error = end.error or OSError(errno.ECONNABORTED, "closed before it was established")
            self._opened.set_exception(plain_error(error))

    def _deliver(self) -> None:
        """Hand what can be read to the protocol, until it pauses."""
        attempt = self._attempt
        took = False
        while not self._paused and not self._is_closing:
            if attempt.readable:
                took = True
                if not self._hand_over(attempt):
                    break
            elif attempt.eof and not self._eof_seen:
                self._eof_seen = True
                if isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol):
                    try:
                        keep_open = self._protocol.eof_received()
                    except Exception as error:
                        self._fatal(error, "protocol.eof_received() failed")
                        break
                    if not keep_open:
                        self.close()
                break
            else:
                break
        if took:
            self._runner.wake()

    def _hand_over(self, attempt: Attempt) -> bool:
        protocol = self._protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            try:
                buffer = memoryview(protocol.get_buffer(-1))
                if not buffer:
                    raise RuntimeError("get_buffer() returned an empty buffer")
                data = attempt.read(min(len(buffer), READ_SIZE))
                buffer[: len(data)] = data
            except Exception as error:
                self._fatal(error, "protocol.get_buffer() failed")
                return False
            return self._call(protocol.buffer_updated, len(data))
        assert isinstance(protocol, asyncio.Protocol)
        return self._call(protocol.data_received, attempt.read_some(READ_SIZE))

    def _resume_writing(self) -> None:
        if self._protocol_paused and self.get_write_buffer_size() <= self._low:
            self._protocol_paused = False
            self._call(self._protocol.resume_writing)

    def _pause_writing(self) -> None:
        if not self._protocol_paused and self.get_write_buffer_size() > self._high:
            self._protocol_paused = True
            self._call(self._protocol.pause_writing)

    def _settle(self) -> None:
        """Tell the protocol that the connection is over, once nothing is left to be delivered or acknowledged."""
        if self._lost_scheduled:
            return
        end = self._end
        if self._is_closing:
            if end is not None:
                self._schedule_lost(end.error and plain_error(end.error, end.unsent))
            elif not self._attempt.unsent:
                self._schedule_lost(None)
        elif end is not None and end.error is not None:
            # As with a socket, what came before the failure is read first; a writer learns of it at once.
            if self._paused and self._attempt.readable and not self._protocol_paused:
                return
            self._schedule_lost(plain_error(end.error, end.unsent))

    def _schedule_lost(self, error: OSError | None) -> None:
        self._is_closing = self._lost_scheduled = True
        self._loop.call_soon(self._connection_lost, error)

    def _connection_lost(self, error: OSError | None) -> None:
        try:
            if self._begun:
                self._protocol.connection_lost(error)
        finally:
            if self._ended is not None:
                ended, self._ended = self._ended, None
                ended(self)

    def _call(self, method: Callable[..., object], *args: object) -> bool:
        """Call the protocol; an exception in it ends the connection, as in asyncio. False then."""
        try:
            method(*args)
        except Exception as error:
            self._fatal(error, f"protocol.{method.__name__}() failed")
            return False
        return True

    def _fatal(self, error: Exception, message: str) -> None:
        context = {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        self._loop.call_exception_handler(context)
        if self._opened is not None and not self._opened.done():
            self._opened.set_exception(error)
        self.abort()

    # --- asyncio.BaseTransport -----------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """``peername``, ``sockname`` (as of a socket); ``security``, ``report`` (dicts: the names of the line of a
        finished connection, as they are now); ``unsent`` (octets written and not yet acknowledged).
        """
        attempt = self._attempt
        match name:
            case "peername":
                return _socket_name(attempt.peer)
            case "sockname":
                return _socket_name(attempt.local)
            case "security":
                return attempt.security()
            case "report":
                return attempt.report()
            case "unsent":
                return attempt.unsent
        return default

    def rekey(self) -> None:
        """Have new keys agreed on (``Attempt.rekey``); raises OSError, EOPNOTSUPP, where that cannot be."""
        try:
            self._attempt.rekey()
        except OSError as error:
            raise plain_error(error) from None
        self._runner.wake()

    def vouch(self) -> None:
        """The peer is authenticated (``Attempt.vouch``); raises OSError, EOPNOTSUPP, where there is no session."""
        try:
            self._attempt.vouch()
        except OSError as error:
            raise plain_error(error) from None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Make ``protocol`` the one that is called from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol in use."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether the transport is closing or closed."""
        return self._is_closing

    def close(self) -> None:
        """Send what is unsent, then FIN; nothing more is delivered.

        ``connection_lost`` comes when all was acknowledged, with the OSError where that fails.
        """
        if self._is_closing:
            return
        self._is_closing = True
        if self._end is None:
            _closing.add(self)
            self._attempt.close()
            self._runner.wake()
        self._settle()

    def abort(self) -> None:
        """Give the connection up with RST; what is unsent is lost."""
        self._force_close(None)

    def _force_close(self, error: OSError | None) -> None:
        """Abort, and tell the protocol why."""
        if self._lost_scheduled:
            return
        if self._end is None:
            _closing.discard(self)
            self._attempt.abort()
            self._runner.wake()
        self._schedule_lost(error)

    # --- asyncio.ReadTransport -----------------------------------------------------------------------------

    def is_reading(self) -> bool:
        """Whether the protocol is handed what comes."""
        return not self._paused and not self._is_closing

    def pause_reading(self) -> None:
        """Leave what comes in the receive buffer, so that the window closes when it is full."""
        if not self._is_closing:
            self._paused = True

    def resume_reading(self) -> None:
        """Deliver again, beginning in the loop's next turn."""
        if self._is_closing or not self._paused:
            return
        self._paused = False
        self._loop.call_soon(self.on_ready)

    # --- asyncio.WriteTransport ----------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Queue ``data``; once the connection is over it is discarded, as in asyncio."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be a bytes-like object, not {type(data).__name__}")
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._is_closing:
            return
        if self._end is not None:
            self._schedule_lost(plain_error(self._end.error or OSError(errno.EPIPE, "the connection is closed")))
            return
        try:
            self._attempt.write(bytes(data))
        except TcpError as error:
            if error.errno == errno.ENOBUFS:
                # A stream with a gap is none.
                self._attempt.abort()
            # Otherwise the connection failed in this very moment, and its Closed event is on the way.
            self._schedule_lost(plain_error(error))
            return
        self._pause_writing()
        self._runner.wake()

    def can_write_eof(self) -> bool:
        """TCP has a half-close."""
        return True

    def write_eof(self) -> None:
        """Send FIN after what is queued; the peer may go on sending."""
        if self._is_closing or self._eof_written:
            return
        self._eof_written = True
        if self._end is None:
            self._attempt.write_eof()
            self._runner.wake()

    def get_write_buffer_size(self) -> int:
        """Octets that wait beyond those which a full send buffer holds."""
        return max(self._attempt.unsent - self._attempt.send_buffer, 0)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and high water marks, octets."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks (octets) at which writing is paused and resumed; ValueError as in asyncio."""
        if high is None:
            high = 1 << 16 if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high = high
        self._low = low
        self._pause_writing()


async def drain_closing(runner: Runner, timeout: float) -> int:
    """Wait until the connections of ``runner`` that were closed have ended, at most ``timeout`` seconds.

    A userspace stack ends with its process: without this the last FIN might never be sent. Returns how many
    connections have not ended.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    while waiting := [transport for transport in _closing if transport._runner is runner]:
        if loop.time() >= until:
            _closing.difference_update(waiting)
            return len(waiting)
        await asyncio.sleep(0.005)
    return 0
