"""Ends that are the kernel's TCP: plain, with TCP-MD5, or with TLS 1.3 over it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from ..handshakes.certificate import NAME, Certificate
from ..job import Job
from .quota import CHUNK, CONNECT_PATIENCE, OCTETS, Quota, Received

# linux/tcp.h: TCP_MD5SIG and struct tcp_md5sig, its address a sockaddr_storage, its key of at most 80 octets.
_MD5SIG: Final = 14
_MD5_KEY: Final = struct.Struct("=HH4s120xBBHi80s")
SECRET: Final = b"a key that both ends have"


@cache
def certificate() -> Certificate:
    """The server's, which clients trust; made once, before there are processes for each end."""
    return Certificate()


def new_socket(job: Job) -> socket.socket:
    """A socket that sends as the job says; raises OSError."""
    one = socket.socket()
    # The machine's default may be one that paces, which would decide the figures.
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, job.congestion.encode())
    if job.protect == "md5":
        address = socket.inet_aton(job.peer)
        key = _MD5_KEY.pack(socket.AF_INET, 0, address, 0, 0, len(SECRET), 0, SECRET)
        one.setsockopt(socket.IPPROTO_TCP, _MD5SIG, key)
    return one


def send(job_: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Connect, send, and wait for the receiver's end of the stream."""
    job = Job.read(job_)
    one = new_socket(job)
    with contextlib.closing(one):
        one.settimeout(CONNECT_PATIENCE)
        one.connect((job.address, job.port))
        if job.protect == "tls":
            one = certificate().contexts("X25519")[0].wrap_socket(one, server_hostname=NAME)
        one.settimeout(None)
        quota = Quota(job)
        octets = memoryview(OCTETS)
        while count := quota.next():
            one.sendall(octets[:count])
        if isinstance(one, ssl.SSLSocket):
            # Its close_notify is the end of the stream.
            with contextlib.suppress(OSError):
                one.unwrap()
        else:
            one.shutdown(socket.SHUT_WR)
            while one.recv(CHUNK):
                pass
        return quota.result().to_json()


def receive(job_: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Accept one connection and read it to its end."""
    job = Job.read(job_)
    with new_socket(job) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Beside a stack the address appears only with the sender's TUN.
        listener.bind(("", job.port))
        listener.listen()
        ready()
        one, _ = listener.accept()
    if job.protect == "tls":
        one = certificate().contexts("X25519")[1].wrap_socket(one, server_side=True)
    with contextlib.closing(one):
        room = bytearray(1 << 20)
        one.recv_into(room)
        received = Received()
        while count := one.recv_into(room):
            received.add(count)
        return received.result().to_json()
