"""Constants that scripts name, as numbers: Linux's, which are those of ``stack.socket_core``."""

from __future__ import annotations

import errno
from typing import Final

from stack.socket_core import numbers
from stack.socket_core.info import STATES
from stack.states import State

_OWN: Final = {name: value for name, value in vars(numbers).items() if name.isupper() and not name.startswith("_")}
_MORE: Final = {
    "NULL": 0,
    "AF_UNSPEC": 0,
    "PF_INET": 2,
    "PF_INET6": 10,
    "IPPROTO_ICMP": 1,
    "SOL_TCP": 6,
    "SOL_IP": 0,
    "SOCK_NONBLOCK": 0o4000,
    "SOCK_CLOEXEC": 0o2000000,
    "O_RDWR": 2,
    "O_NONBLOCK": 0o4000,
    "F_GETFL": 3,
    "F_SETFL": 4,
    "F_SETFD": 2,
    "FD_CLOEXEC": 1,
    "MSG_EOR": 0x80,
    "MSG_ERRQUEUE": 0x2000,
    "MSG_CTRUNC": 0x8,
    "FIONREAD": 0x541B,
    "FIONWRITE": 0x5411,
    "POLLIN": 0x1,
    "POLLPRI": 0x2,
    "POLLOUT": 0x4,
    "POLLERR": 0x8,
    "POLLHUP": 0x10,
    "POLLNVAL": 0x20,
    "POLLRDNORM": 0x40,
    "POLLRDBAND": 0x80,
    "POLLWRNORM": 0x100,
    "POLLRDHUP": 0x2000,
    "EPOLLIN": 0x1,
    "EPOLLPRI": 0x2,
    "EPOLLOUT": 0x4,
    "EPOLLERR": 0x8,
    "EPOLLHUP": 0x10,
    "EPOLLRDNORM": 0x40,
    "EPOLLWRNORM": 0x100,
    "EPOLLRDHUP": 0x2000,
    "EPOLLONESHOT": 1 << 30,
    "EPOLLET": 1 << 31,
    "EPOLL_CTL_ADD": 1,
    "EPOLL_CTL_DEL": 2,
    "EPOLL_CTL_MOD": 3,
    "EPOLL_CLOEXEC": 0o2000000,
    "TCP_EXT_DATA_OFFSET": 44,
    **{f"IPTOS_DSCP_CS{number}": number << 5 for number in range(8)},
    **{f"IPTOS_DSCP_AF{row}{column}": row << 5 | column << 3 for row in range(1, 5) for column in range(1, 4)},
    "IPTOS_DSCP_VA": 0xB0,
    "IPTOS_DSCP_EF": 0xB8,
    "IPTOS_LOWDELAY": 0x10,
    "IPTOS_THROUGHPUT": 0x08,
    "IPTOS_RELIABILITY": 0x04,
    "IPTOS_MINCOST": 0x02,
    # FreeBSD's name of the option that holds small segments back.
    "TCP_NOPUSH": numbers.TCP_CORK,
}
# Some numbers have two names, of which errno.errorcode knows one.
_ERRORS: Final = {name: value for name, value in vars(errno).items() if name.startswith("E")}
_FREEBSD: Final = {"O_NONBLOCK": 4, "TCP_MD5SIG": 0x10}
# What code between %{ and }% may name everywhere.
INFO: Final = {
    "TCP_ESTABLISHED": 1,
    "TCP_SYN_SENT": 2,
    "TCP_SYN_RECV": 3,
    "TCP_FIN_WAIT1": 4,
    "TCP_FIN_WAIT2": 5,
    "TCP_TIME_WAIT": 6,
    "TCP_CLOSE": 7,
    "TCP_CLOSE_WAIT": 8,
    "TCP_LAST_ACK": 9,
    "TCP_LISTEN": 10,
    "TCP_CLOSING": 11,
    "TCP_CA_Open": 0,
    "TCP_CA_Disorder": 1,
    "TCP_CA_CWR": 2,
    "TCP_CA_Recovery": 3,
    "TCP_CA_Loss": 4,
    "TCPI_OPT_TIMESTAMPS": 1,
    "TCPI_OPT_SACK": 2,
    "TCPI_OPT_WSCALE": 4,
    "TCPI_OPT_ECN": 8,
    "TCPI_OPT_ECN_SEEN": 16,
    "TCPI_OPT_SYN_DATA": 32,
    "True": 1,
    "False": 0,
}
# FreeBSD's names of states, which stand for its own numbers of them.
_FREEBSD_STATES: Final = {
    State.CLOSED: "CLOSED",
    State.LISTEN: "LISTEN",
    State.SYN_SENT: "SYN_SENT",
    State.SYN_RECEIVED: "SYN_RECEIVED",
    State.ESTABLISHED: "ESTABLISHED",
    State.CLOSE_WAIT: "CLOSE_WAIT",
    State.FIN_WAIT_1: "FIN_WAIT_1",
    State.CLOSING: "CLOSING",
    State.LAST_ACK: "LAST_ACK",
    State.FIN_WAIT_2: "FIN_WAIT_2",
    State.TIME_WAIT: "TIME_WAIT",
}
_FREEBSD_INFO: Final = {f"TCPI_{name}": number for number, name in enumerate(_FREEBSD_STATES.values())}


def info_constants(system: str) -> dict[str, int]:
    """What code between %{ and }% may name besides the facts of a connection; ``system`` is a profile's name."""
    return INFO | _FREEBSD_INFO if system == "freebsd" else INFO


def state_number(state: State, system: str) -> int:
    """``tcpi_state``: Linux's number of a state, or FreeBSD's."""
    return list(_FREEBSD_STATES).index(state) if system == "freebsd" else STATES[state]


# What is known and not there, by the names that ask for it: constants, and system calls.
_TIMESTAMPING: Final = "SO_TIMESTAMPING"
NOT_THERE: Final = {
    "SO_ZEROCOPY": "MSG_ZEROCOPY",
    "MSG_ZEROCOPY": "MSG_ZEROCOPY",
    "SO_EE_ORIGIN_ZEROCOPY": "MSG_ZEROCOPY",
    "TCP_ZEROCOPY_RECEIVE": "TCP_ZEROCOPY_RECEIVE",
    "SO_TIMESTAMPING": _TIMESTAMPING,
    "SO_TIMESTAMPING_NEW": _TIMESTAMPING,
    "SCM_TIMESTAMPING": _TIMESTAMPING,
    "TCP_FUNCTION_BLK": "TCP_FUNCTION_BLK",
    "TCP_REMOTE_UDP_ENCAPS_PORT": "encapsulation in UDP",
    "TCP_MD5SIG": "TCP_MD5SIG with a key (a switch in FreeBSD's scripts, whose keys are setkey's)",
    "IPPROTO_MPTCP": "MPTCP",
    "IPPROTO_UDP": "UDP",
    "IPPROTO_SCTP": "SCTP",
    "TCP_RX_FLAG_PSP": "PSP",
    "splice": "splice",
    "sendfile": "sendfile",
    "pipe": "splice",
}


def number_of(name: str, system: str) -> int | None:
    """The number that a script's ``name`` has, None where it is not known; ``system`` is a profile's name."""
    if system == "freebsd" and name in _FREEBSD:
        return _FREEBSD[name]
    number = _OWN.get(name, _MORE.get(name))
    return number if number is not None else _ERRORS.get(name)
