"""The numbers that stand for options, flags and requests: Linux's, named as in Python's ``socket``."""

from __future__ import annotations

from typing import Final

AF_INET: Final = 2
AF_INET6: Final = 10
SOCK_STREAM: Final = 1

# Levels of options.
SOL_SOCKET: Final = 1
IPPROTO_IP: Final = 0
IPPROTO_TCP: Final = 6
IPPROTO_IPV6: Final = 41

# SOL_SOCKET.
SO_DEBUG: Final = 1
SO_REUSEADDR: Final = 2
SO_TYPE: Final = 3
SO_ERROR: Final = 4
SO_SNDBUF: Final = 7
SO_RCVBUF: Final = 8
SO_KEEPALIVE: Final = 9
SO_OOBINLINE: Final = 10
SO_LINGER: Final = 13
SO_REUSEPORT: Final = 15
SO_RCVLOWAT: Final = 18
SO_SNDLOWAT: Final = 19
SO_ACCEPTCONN: Final = 30
SO_PROTOCOL: Final = 38
SO_DOMAIN: Final = 39

# IPPROTO_IP and IPPROTO_IPV6.
IP_TOS: Final = 1
IP_TTL: Final = 2
IP_MTU_DISCOVER: Final = 10
IP_BIND_ADDRESS_NO_PORT: Final = 24
IP_LOCAL_PORT_RANGE: Final = 51
IPV6_UNICAST_HOPS: Final = 16
IPV6_V6ONLY: Final = 26
IPV6_TCLASS: Final = 67

# IPPROTO_TCP.
TCP_NODELAY: Final = 1
TCP_MAXSEG: Final = 2
TCP_CORK: Final = 3
TCP_KEEPIDLE: Final = 4
TCP_KEEPINTVL: Final = 5
TCP_KEEPCNT: Final = 6
TCP_SYNCNT: Final = 7
TCP_LINGER2: Final = 8
TCP_DEFER_ACCEPT: Final = 9
TCP_WINDOW_CLAMP: Final = 10
TCP_INFO: Final = 11
TCP_QUICKACK: Final = 12
TCP_CONGESTION: Final = 13
TCP_USER_TIMEOUT: Final = 18
TCP_FASTOPEN: Final = 23
TCP_NOTSENT_LOWAT: Final = 25
TCP_FASTOPEN_CONNECT: Final = 30
TCP_FASTOPEN_KEY: Final = 33
TCP_FASTOPEN_NO_COOKIE: Final = 34
TCP_INQ: Final = 36
TCP_CM_INQ: Final = TCP_INQ
# Of a prototype of EDO.
TCP_EXT_DATA_OFFSET: Final = 44
# TCP-ENO (draft-ietf-tcpinc-api-06 names them and has no numbers: these are ours).
TCP_ENO_ENABLED: Final = 0x4500
TCP_ENO_SESSID: Final = 0x4501
TCP_ENO_NEGTEP: Final = 0x4502
TCP_ENO_TEPS: Final = 0x4503
TCP_ENO_SELF_GOPT: Final = 0x4504
TCP_ENO_PEER_GOPT: Final = 0x4505
TCP_ENO_AA_MANDATORY: Final = 0x4506
TCP_ENO_TEP_MANDATORY: Final = 0x4507
TCP_ENO_ROLE: Final = 0x4508
TCP_ENO_SELF_NAME: Final = 0x4509
TCP_ENO_PEER_NAME: Final = 0x450A
TCP_ENO_TRANSCRIPT: Final = 0x450B
# FreeBSD's options that Linux has not: KEEPINIT has its number there, NOOPT's is another option's here.
TCP_KEEPINIT: Final = 128
TCP_NOOPT: Final = 136

# Flags of send and recv.
MSG_OOB: Final = 0x1
MSG_PEEK: Final = 0x2
MSG_TRUNC: Final = 0x20
MSG_DONTWAIT: Final = 0x40
MSG_EOR: Final = 0x80
MSG_WAITALL: Final = 0x100
MSG_NOSIGNAL: Final = 0x4000
MSG_MORE: Final = 0x8000
MSG_FASTOPEN: Final = 0x20000000

# shutdown.
SHUT_RD: Final = 0
SHUT_WR: Final = 1
SHUT_RDWR: Final = 2

# ioctl.
SIOCATMARK: Final = 0x8905
SIOCINQ: Final = 0x541B
SIOCOUTQ: Final = 0x5411
SIOCOUTQNSD: Final = 0x894B
