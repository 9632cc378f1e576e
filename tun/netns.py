"""Network namespaces: made, joined by veth pairs, entered by a helper thread, and cleaned up.

The calling thread never changes its own namespace; what must happen inside one happens in a thread of its own.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from pyroute2 import IPRoute, NetlinkError, netns

from .errors import TunError

ResultT = TypeVar("ResultT")

_FOLDER = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_NO_DUPLICATE_DETECTION = 0x02  # IFA_F_NODAD
_libc = ctypes.CDLL(None, use_errno=True)


class _Visit(threading.Thread, Generic[ResultT]):
    def __init__(self, descriptor: int | None, function: Callable[[], ResultT]) -> None:
        super().__init__(name="netns visit")
        self._descriptor = descriptor
        self._function = function
        self.error: BaseException | None = None
        self.result: ResultT | None = None

    def run(self) -> None:
        try:
            if self._descriptor is not None:
                enter(self._descriptor)
            self.result = self._function()
        except BaseException as error:
            self.error = error


def enter(descriptor: int) -> None:
    """Have the calling thread live in the namespace of ``descriptor`` from now on; raises TunError."""
    if _libc.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise TunError(f"cannot enter a network namespace: {os.strerror(number)}", number)


def open_namespace(name: str) -> int:
    """Return a descriptor of the namespace ``name`` in /run/netns; TunError where there is none."""
    if not name or "/" in name or name in (".", ".."):
        raise TunError(f"{name!r} is not the name of a network namespace")
    try:
        return os.open(_FOLDER / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TunError(f"no network namespace {name!r} in {_FOLDER} (ip netns add {name})", 2) from None
    except OSError as error:
        raise TunError(f"network namespace {name!r}: {error.strerror}", error.errno or 0) from None


def call_in(name: str | None, function: Callable[[], ResultT]) -> ResultT:
    """Return ``function()``, called inside the namespace ``name`` (None: right here).

    Descriptors that it opens stay in that namespace for good. Its exceptions come out; TunError is raised where
    the namespace does not exist or may not be entered.
    """
    descriptor = None if name is None else open_namespace(name)
    try:
        visit = _Visit(descriptor, function)
        visit.start()
        visit.join()
    finally:
        if descriptor is not None:
            os.close(descriptor)
    if visit.error is not None:
        raise visit.error
    return visit.result  # type: ignore[return-value]


class Namespace:
    """A network namespace made here; as a context manager it is deleted at the end, with all devices in it."""

    def __init__(self, name: str) -> None:
        """Make the namespace, with its loopback up; TunError where that is refused or the name is taken."""
        self.name = name
        if (_FOLDER / name).exists():
            raise TunError(f"network namespace {name!r} exists already", 17)
        try:
            netns.create(name)
        except OSError as error:
            raise TunError(f"cannot make network namespace {name!r}: {os.strerror(error.errno or 0)}") from None
        self.call(lambda: _configure("lo", (), None))

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()

    def delete(self) -> None:
        """Delete the name; the namespace goes when nothing uses it any more. Nothing where it is gone."""
        if (_FOLDER / self.name).exists():
            netns.remove(self.name)

    def call(self, function: Callable[[], ResultT]) -> ResultT:
        """Return ``function()``, called inside."""
        return call_in(self.name, function)

    def add_addresses(self, device: str, *addresses: str, mtu: int | None = None) -> None:
        """Set addresses ("ADDR/N") on ``device``, bring it up, and set its MTU (octets) where given."""
        self.call(lambda: _configure(device, addresses, mtu))

    def add_route(self, destination: str, via: str | None = None, device: str | None = None) -> None:
        """Add a route to ``destination`` ("ADDR/N" or "default") by a gateway address, a device or both."""
        add_route(self.name, destination, via, device)

    def forward(self) -> None:
        """Let the kernel forward packets between the devices inside, both families."""
        self.sysctl("net.ipv4.ip_forward", "1")
        self.sysctl("net.ipv6.conf.all.forwarding", "1")

    def sysctl(self, name: str, value: str) -> None:
        """Set a kernel setting inside, by its dotted name; TunError where it is unknown or refused."""
        path = Path("/proc/sys", *name.split("."))
        try:
            self.call(lambda: path.write_text(value))
        except OSError as error:
            raise TunError(f"{name} = {value}: {error.strerror}", error.errno or 0) from None

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start ``command`` inside; ``options`` are those of subprocess.Popen."""
        return self.call(lambda: subprocess.Popen(list(command), **options))

    def run(
        self, command: Sequence[str], *, check: bool = False, **options: Any
    ) -> subprocess.CompletedProcess[Any]:
        """Run ``command`` inside to its end; ``check`` and ``options`` are those of subprocess.run."""
        return self.call(lambda: subprocess.run(list(command), check=check, **options))


@contextmanager
def namespaces(*names: str) -> Iterator[tuple[Namespace, ...]]:
    """Make several namespaces and delete all of them at the end."""
    made: list[Namespace] = []
    try:
        for name in names:
            made.append(Namespace(name))
        yield tuple(made)
    finally:
        for one in reversed(made):
            one.delete()


def join(
    first: Namespace, first_device: str, second: Namespace, second_device: str, *, mtu: int | None = None
) -> None:
    """Join two namespaces by a veth pair, both ends up, without addresses."""
    other = open_namespace(second.name)

    def pair() -> None:
        with IPRoute() as route:
            route.link("add", ifname=first_device, kind="veth", peer={"ifname": second_device, "net_ns_fd": other})

    try:
        first.call(pair)
    finally:
        os.close(other)
    first.add_addresses(first_device, mtu=mtu)
    second.add_addresses(second_device, mtu=mtu)


def add_route(name: str | None, destination: str, via: str | None = None, device: str | None = None) -> None:
    """Add a route inside the namespace ``name`` (None: right here), as ``Namespace.add_route`` does.

    Raises TunError where it is refused.
    """

    def add() -> None:
        with IPRoute() as route:
            wanted: dict[str, Any] = {}
            if destination == "default":
                family = ipaddress.ip_address(via).version if via else 4
            else:
                wanted["dst"] = destination
                family = ipaddress.ip_network(destination).version
            if via is not None:
                wanted["gateway"] = via
            if device is not None:
                wanted["oif"] = find_device(route, device)
            try:
                route.route("add", family=address_family(family), **wanted)
            except NetlinkError as error:
                why = "there is one already" if error.code == errno.EEXIST else os.strerror(error.code)
                raise TunError(f"cannot set a route to {destination}: {why}", error.code) from None

    call_in(name, add)


def address_family(version: int) -> int:
    """Return the kernel's number of IP version 4 or 6 (AF_INET, AF_INET6)."""
    return 10 if version == 6 else 2


def find_device(route: Any, name: str) -> int:
    """Return the index of device ``name`` seen by an open IPRoute; TunError where there is none."""
    found = route.link_lookup(ifname=name)
    if not found:
        raise TunError(f"no device {name!r}", 19)
    return int(found[0])


def add_address(route: Any, index: int, address: str) -> None:
    """Set one address ("ADDR/N") on a device, without duplicate detection; TunError where it is refused."""
    one = ipaddress.ip_interface(address)
    flags = {"flags": _NO_DUPLICATE_DETECTION} if one.version == 6 else {}
    try:
        route.addr("add", index=index, address=str(one.ip), prefixlen=one.network.prefixlen, **flags)
    except NetlinkError as error:
        raise TunError(f"cannot set address {one}: {os.strerror(error.code)}", error.code) from None


def _configure(device: str, addresses: Sequence[str], mtu: int | None) -> None:
    with IPRoute() as route:
        index = find_device(route, device)
        if mtu is not None:
            route.link("set", index=index, mtu=mtu)
        route.link("set", index=index, state="up")
        for address in addresses:
            add_address(route, index, address)
