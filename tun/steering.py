"""Which queue of a TUN a packet goes to: a program in the kernel (eBPF), so that a flow's packets stay together.

Without it the kernel chooses by a hash, and for three seconds by the queue that wrote last to the flow. So the
answer to a connection that is opened here, and what comes after a pause, may reach a queue that does not know it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import struct
from typing import Final

_TUNSETSTEERINGEBPF: Final = 0x800454E0
_PROG_LOAD: Final = 5
_SOCKET_FILTER: Final = 1
_SYSCALLS: Final = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_INSTRUCTION: Final = struct.Struct("=BBhi")

# Opcodes (RFC 9669 §4, §5.5: packet access is legacy, and is what a socket filter has).
_LOAD_OCTET: Final = 0x30
_LOAD_SHORT: Final = 0x28
_COPY: Final = 0xBF
_SET: Final = 0xB7
_AND: Final = 0x57
_SHIFT: Final = 0x77
_XOR: Final = 0xAF
_JUMP: Final = 0x05
_JUMP_EQUAL: Final = 0x15
_JUMP_UNEQUAL: Final = 0x55
_EXIT: Final = 0x95


def _make(opcode: int, registers: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return _INSTRUCTION.pack(opcode, registers, offset, value)


def _ports(at: int) -> bytes:
    """End with the exclusive or of both ports, which stand at offset ``at``."""
    return b"".join(
        (
            _make(_LOAD_SHORT, value=at),
            _make(_COPY, 0x07),
            _make(_LOAD_SHORT, value=at + 2),
            _make(_XOR, 0x70),
            _make(_EXIT),
        )
    )


# R6 is the packet, R7 the first port. The kernel takes what is returned modulo the number of queues; a load beyond
# the packet's end returns 0. What is not TCP behind a bare header of IP, or is a fragment, goes to queue 0.
PROGRAM: Final = b"".join(
    (
        _make(_COPY, 0x16),
        _make(_LOAD_OCTET, value=0),
        _make(_JUMP_EQUAL, 0, 5, 0x45),
        _make(_SHIFT, 0, 0, 4),
        _make(_JUMP_UNEQUAL, 0, 13, 6),
        _make(_LOAD_OCTET, value=6),
        _make(_JUMP_UNEQUAL, 0, 11, 6),
        _make(_JUMP, 0, 12),
        # IPv4: no fragment, TCP.
        _make(_LOAD_SHORT, value=6),
        _make(_AND, value=0x3FFF),
        _make(_JUMP_UNEQUAL, 0, 7, 0),
        _make(_LOAD_OCTET, value=9),
        _make(_JUMP_UNEQUAL, 0, 5, 6),
        _ports(20),
        _make(_SET, value=0),
        _make(_EXIT),
        _ports(40),
    )
)


def load() -> int:
    """Load the program and return its descriptor; raises OSError where the kernel, or who runs it, refuses."""
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        raise OSError(38, "no bpf system call is known for this machine")
    instructions = ctypes.create_string_buffer(PROGRAM, len(PROGRAM))
    licence = ctypes.create_string_buffer(b"")
    attributes = struct.pack(
        "=IIQQIIQII16s",
        _SOCKET_FILTER,
        len(PROGRAM) // _INSTRUCTION.size,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        0,
        0,
        0,
        0,
        0,
        b"edotun_queue",
    )
    given = ctypes.create_string_buffer(attributes, len(attributes))
    system = ctypes.CDLL(None, use_errno=True)
    descriptor = int(system.syscall(number, _PROG_LOAD, ctypes.byref(given), len(attributes)))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor


def steer(queue: int) -> bool:
    """Have the device of which ``queue`` is a descriptor use the program; whether it does."""
    try:
        program = load()
    except OSError:
        return False
    try:
        fcntl.ioctl(queue, _TUNSETSTEERINGEBPF, struct.pack("i", program))
    except OSError:
        return False
    finally:
        os.close(program)
    return True
