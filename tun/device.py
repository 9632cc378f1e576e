"""A TUN device: made by pytun, configured by pyroute2, read and written by its descriptor."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pyroute2 import IPRoute, NetlinkError
from pytun import IFF_NO_PI, IFF_TUN, TunTapDevice

from stack.batch import Batch, Octets
from stack.offload import FIRST_OF_IP, HEADER

from . import offload as offloads
from .addresses import AddressPlan, plan_addresses
from .errors import TunError
from .netns import add_address, address_family, call_in, find_device
from .steering import steer

_NODE = "/dev/net/tun"
_QUEUE_PACKETS = 10_000  # a full queue drops silently, so it is long
_LARGEST = 65_536  # octets; a longer read buffer costs nothing, a short one truncates
_MOST_PENDING = 4_096  # packets kept for a device that takes no more at the moment
_SCOPE_LINK = 253
_SETTINGS_V6 = (("accept_ra", "0"), ("addr_gen_mode", "1"), ("router_solicitations", "0"))
_FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
_GONE = (errno.EBADFD, errno.EBADF, errno.ENODEV)
_FINISHED = bytes(HEADER.size)
_MULTI_QUEUE = 0x0100


class Tun:
    """One TUN device without packet information, not blocking, up.

    ``addresses`` are the stack's ("ADDR/N"), for which the device gets a route each; ``hosts`` the kernel's own
    on this device; ``netns`` names the namespace in /run/netns where the device appears; ``mtu`` in octets,
    68-65,535 (1,280 or more with IPv6). Without ``offload``, or where the kernel has no virtio-net header, packets
    are finished ones of at most ``mtu`` octets; else they are so until ``use_offload``. Raises TunError, one line.
    The device is gone after ``close``.

    With ``queues`` it has so many, of which this object uses the first until ``keep``; ``steered``: the kernel puts
    packets into the queue of their flow (``tun.steering``).

    ``written`` counts packets; ``dropped`` those that the kernel would not take: no room for longer than the
    queue here lasts, device down, or not an IP packet.
    """

    def __init__(
        self,
        name: str = "edotun0",
        addresses: Iterable[str] = (),
        hosts: Iterable[str] = (),
        *,
        netns: str | None = None,
        mtu: int = 1500,
        offload: bool = True,
        queues: int = 1,
    ) -> None:
        self.name = name
        self.netns = netns
        self.mtu = mtu
        self.written = 0
        self.dropped = 0
        self._pending: deque[Octets] = deque()
        plan = plan_addresses(addresses, hosts)
        _check(name, mtu, plan)
        self._reader: offloads.Reader | None = None
        devices, headed = call_in(netns, lambda: _create(name, offload, queues))
        self._device: TunTapDevice | None = devices[0]
        self._queues = devices
        self._descriptor = int(devices[0].fileno())
        try:
            self.steered = queues > 1 and steer(self._descriptor)
            if headed:
                self._reader = offloads.Reader(self._descriptor)
            os.set_blocking(self._descriptor, False)
            call_in(netns, lambda: _configure(name, plan, mtu))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Tun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor, readable when packets wait; TunError after ``close``."""
        if self._device is None:
            raise TunError(f"device {self.name} is closed", errno.EBADF)
        return self._descriptor

    @property
    def pending(self) -> int:
        """Packets that wait for the kernel to have room."""
        return len(self._pending)

    def keep(self, index: int) -> None:
        """Use queue ``index`` from now on; the others are other processes', which have them from before a fork."""
        for number, device in enumerate(self._queues):
            if number != index:
                device.close()
        self._queues = [self._queues[index]]
        self._device = self._queues[0]
        self._descriptor = int(self._device.fileno())
        if self._reader is not None:
            self._reader = offloads.Reader(self._descriptor)
        os.set_blocking(self._descriptor, False)

    def use_offload(self) -> bool:
        """From now on take packets from a stack with ``offload`` and give such, where the kernel can."""
        return self._reader is not None and offloads.use(self._descriptor, on=True)

    def read_batch(self, limit: int = 64) -> Batch:
        """Return the packets that wait, at most ``limit``; none where none wait; TunError once it is gone.

        Their memory is valid until the next call.
        """
        reader = self._reader
        packets: list[bytes] = []
        try:
            if reader is None:
                for _ in range(limit):
                    packets.append(os.read(self._descriptor, _LARGEST))
            else:
                reader.read(limit, packets)
        except BlockingIOError:
            pass
        except OSError as error:
            # A device that was set down reads as an error until it is up again.
            if error.errno in _GONE:
                raise self._gone(error) from None
        return Batch(packets) if reader is None else offloads.without_headers(packets)

    def write(self, packets: Sequence[Octets]) -> None:
        """Hand packets to the kernel, in order, behind those that wait; TunError where the device is gone.

        They are finished, or after ``use_offload`` have a header (``stack.offload``).
        Where the kernel has no room the rest waits for ``flush``, up to 4,096 packets; more are dropped.
        """
        if self._pending:
            self._keep(packets)
            self.flush()
            return
        descriptor = self._descriptor
        headed = self._reader is not None
        write = os.write
        done = 0
        while done < len(packets):
            try:
                for packet in packets[done:] if done else packets:
                    # As ``_write``, without another call for each packet.
                    if headed and (not packet or packet[0] >= FIRST_OF_IP):
                        os.writev(descriptor, (_FINISHED, packet))
                    else:
                        write(descriptor, packet)
                    done += 1
                    self.written += 1
            except OSError as error:
                if error.errno in _FULL:
                    self._keep(packets[done:])
                    return
                self._refused(error)
                done += 1

    def flush(self) -> None:
        """Hand over packets that wait, as far as there is room now; TunError where the device is gone."""
        pending = self._pending
        while pending:
            try:
                self._write(pending[0])
                self.written += 1
            except OSError as error:
                if error.errno in _FULL:
                    return
                self._refused(error)
            pending.popleft()

    def kernel_drops(self) -> tuple[int, int]:
        """Return how many packets the kernel dropped: (on their way to us, coming from us)."""

        def ask() -> tuple[int, int]:
            with IPRoute() as route:
                (link,) = route.get_links(find_device(route, self.name))
                numbers = link.get("stats64")
                return int(numbers["tx_dropped"]), int(numbers["rx_dropped"])

        return call_in(self.netns, ask)

    def close(self) -> None:
        """Remove the device; what waits is dropped. Nothing the second time."""
        if self._device is not None:
            self.dropped += len(self._pending)
            self._pending.clear()
            for device in self._queues:
                device.close()
            self._queues = []
            self._device = None
            self._descriptor = -1

    def _write(self, packet: Octets) -> None:
        if self._reader is None or (packet and packet[0] < FIRST_OF_IP):
            os.write(self._descriptor, packet)
        else:
            os.writev(self._descriptor, (_FINISHED, packet))

    def _keep(self, packets: Sequence[Octets]) -> None:
        room = _MOST_PENDING - len(self._pending)
        self._pending.extend(bytes(packet) for packet in packets[:room])
        self.dropped += max(0, len(packets) - room)

    def _refused(self, error: OSError) -> None:
        if error.errno in _GONE:
            raise self._gone(error) from None
        self.dropped += 1

    def _gone(self, error: OSError) -> TunError:
        return TunError(f"device {self.name} is gone", error.errno or 0)


def _check(name: str, mtu: int, plan: AddressPlan) -> None:
    if (
        not 1 <= len(name) <= 15
        or "/" in name
        or "%" in name
        or name in (".", "..")
        or not (name.isascii() and name.isprintable())
    ):
        raise TunError(f"{name!r} cannot be a device's name (1-15 characters, no '/', no '%')")
    if any(character.isspace() for character in name):
        raise TunError(f"{name!r} cannot be a device's name: it has a space")
    least = 1280 if plan.has_ipv6 else 68
    if not least <= mtu <= 65_535:
        raise TunError(f"an MTU of {mtu} octets is not possible, {least} to 65535 are")


def _create(name: str, offload: bool, queues: int) -> tuple[list[TunTapDevice], bool]:
    """The device's queues, and whether packets have the virtio-net header."""
    flags = IFF_TUN | IFF_NO_PI | (_MULTI_QUEUE if queues > 1 else 0)
    if offload:
        # A kernel that does not know the flag refuses, and so does a device of that name without it.
        with suppress(OSError):
            return _open(name, flags | offloads.IFF_VNET_HDR, queues), True
    try:
        return _open(name, flags, queues), False
    except OSError as error:
        number = error.errno or 0
        raise TunError(_why(name, number), number) from None


def _open(name: str, flags: int, queues: int) -> list[TunTapDevice]:
    made: list[TunTapDevice] = []
    try:
        for _ in range(queues):
            made.append(TunTapDevice(name, flags))
    except OSError:
        for device in made:
            device.close()
        raise
    return made


def _why(name: str, number: int) -> str:
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return f"no {_NODE}: the kernel's tun module is missing, or the container was started without it"
    if number in (errno.EPERM, errno.EACCES):
        return f"no permission for device {name}: root or CAP_NET_ADMIN, and access to {_NODE}, are needed"
    if number == errno.EBUSY:
        return f"device {name} is in use by another process"
    if number == errno.EINVAL:
        return f"device name {name} is taken by a device of another kind"
    return f"cannot make device {name}: {os.strerror(number)}"


def _configure(name: str, plan: AddressPlan, mtu: int) -> None:
    _quiet_ipv6(name, plan.has_ipv6)
    with IPRoute() as route:
        index = find_device(route, name)
        try:
            route.link("set", index=index, mtu=mtu, txqlen=_QUEUE_PACKETS)
            route.link("set", index=index, state="up")
        except NetlinkError as error:
            raise TunError(f"cannot set up device {name}: {os.strerror(error.code)}", error.code) from None
        for one in plan.host:
            add_address(route, index, str(one))
        for address in plan.routes:
            scope = {"scope": _SCOPE_LINK} if address.version == 4 else {}
            try:
                route.route(
                    "add",
                    family=address_family(address.version),
                    dst=f"{address}/{address.max_prefixlen}",
                    oif=index,
                    **scope,
                )
            except NetlinkError as error:
                why = "there is one already" if error.code == errno.EEXIST else os.strerror(error.code)
                raise TunError(f"cannot set a route to {address} on {name}: {why}", error.code) from None


def _quiet_ipv6(name: str, wanted: bool) -> None:
    # No link-local address and no router solicitation: nobody on this link answers them.
    folder = Path("/proc/sys/net/ipv6/conf", name)
    for setting, value in (("disable_ipv6", "0"), *_SETTINGS_V6) if wanted else (("disable_ipv6", "1"),):
        try:
            (folder / setting).write_text(value)
        except OSError:
            continue  # a kernel without IPv6 or with read-only settings: only noise is at stake
