"""The guest's program: TCP endpoints on the kernel's own TCP-AO, told what to do over a plain connection.

It is the init of a User Mode Linux kernel (``peer.py`` boots it). A command is one JSON object a line, answered by
one or, where a connection follows, two; the fields are those of ``Guest`` in peer.py. Options of the kernel's AO
socket interface are in its Documentation/networking/tcp_ao.rst and include/uapi/linux/tcp.h.
"""

import argparse
import ctypes
import ipaddress
import json
import os
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

CONTROL_PORT = 9
TCP_REPAIR, TCP_QUEUE_SEQ, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE = 19, 21, 20, 2
TCP_AO_ADD_KEY, TCP_AO_INFO = 38, 40
KEYF_EXCLUDE_OPT = 2
AO_INFO = struct.Struct("=IHBBQQQQQ")
SET_CURRENT, SET_RNEXT, AO_REQUIRED, ACCEPT_ICMPS = 1, 2, 4, 16
libc = ctypes.CDLL(None, use_errno=True)


def storage(address):
    ip = ipaddress.ip_address(address)
    if ip.version == 4:
        raw = struct.pack("=H", socket.AF_INET) + b"\0\0" + ip.packed
    else:
        raw = struct.pack("=H", socket.AF_INET6) + b"\0" * 6 + ip.packed
    return raw.ljust(128, b"\0")


def add_key(sock, key):
    secret = bytes.fromhex(key["secret"])
    network = ipaddress.ip_network(key["peer"])
    flags = key.get("current", 0) * SET_CURRENT | key.get("rnext", 0) * SET_RNEXT
    raw = (
        storage(str(network.network_address))
        + key["alg"].encode().ljust(64, b"\0")
        + struct.pack(
            "=iIHBBBBBB",
            0,
            flags,
            0,
            network.prefixlen,
            key["snd"],
            key["rcv"],
            key.get("maclen", 12),
            KEYF_EXCLUDE_OPT if key.get("exclude") else 0,
            len(secret),
        )
        + secret.ljust(80, b"\0")
    )
    sock.setsockopt(socket.IPPROTO_TCP, TCP_AO_ADD_KEY, raw)


def ao_info(sock):
    # Python's getsockopt passes memory that is not zero, which the kernel takes for reserved bits that are set.
    raw = ctypes.create_string_buffer(AO_INFO.size)
    size = ctypes.c_uint32(AO_INFO.size)
    if libc.getsockopt(sock.fileno(), socket.IPPROTO_TCP, TCP_AO_INFO, raw, ctypes.byref(size)):
        return {"error": os.strerror(ctypes.get_errno())}
    _, _, current, rnext, good, bad, no_key, required, icmp = AO_INFO.unpack(raw.raw)
    return {
        "current": current,
        "rnext": rnext,
        "good": good,
        "bad": bad,
        "key_not_found": no_key,
        "required": required,
        "dropped_icmp": icmp,
    }


def rotate(sock, snd, rnext):
    """Send under key ``snd`` from now on and ask the peer for ``rnext``."""
    flags = SET_CURRENT | SET_RNEXT
    sock.setsockopt(socket.IPPROTO_TCP, TCP_AO_INFO, AO_INFO.pack(flags, 0, snd, rnext, 0, 0, 0, 0, 0))


def netstat():
    lines = Path("/proc/net/netstat").read_text().splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        if names.startswith("TcpExt"):
            counters = dict(zip(names.split()[1:], map(int, values.split()[1:]), strict=True))
            return {name: value for name, value in counters.items() if name.startswith("TCPAO")}
    return {}


def set_isn(sock, isn):
    """Begin at a sequence number of our choice (socket options of checkpointing; before connect)."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, struct.pack("=I", isn))
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)


def pattern(at, octets):
    """Octets of a stream that say where they stand: 64-bit numbers of the words."""
    first = at // 8
    words = b"".join(struct.pack(">Q", first + i) for i in range(octets // 8 + 2))
    return words[at % 8 : at % 8 + octets]


BLOCK = 1 << 15


def transfer(sock, order):
    """Play a role on a connected socket; return how many octets moved, or raise."""
    role, total, turn = order["role"], order.get("bytes", 0), order.get("rotate")
    moved = 0
    if role == "source":
        while moved < total:
            block = pattern(moved, min(BLOCK, total - moved))
            sock.sendall(block)
            moved += len(block)
            if turn and moved >= turn["at"]:
                rotate(sock, turn["snd"], turn["rnext"])
                turn = None
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(BLOCK):
            pass
    elif role == "client":
        # Writes blocks and reads each back.
        while moved < total:
            block = pattern(moved, min(4096, total - moved))
            sock.sendall(block)
            back = b""
            while len(back) < len(block):
                more = sock.recv(len(block) - len(back))
                if not more:
                    raise EOFError("the peer closed")
                back += more
            if back != block:
                raise ValueError(f"what came back differs at {moved}")
            moved += len(block)
            if turn and moved >= turn["at"]:
                rotate(sock, turn["snd"], turn["rnext"])
                turn = None
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(BLOCK):
            pass
    else:
        while data := sock.recv(BLOCK):
            if role == "sink" and data != pattern(moved, len(data)):
                raise ValueError(f"octets differ at {moved}")
            moved += len(data)
            if role == "echo":
                sock.sendall(data)
            if turn and moved >= turn["at"]:
                rotate(sock, turn["snd"], turn["rnext"])
                turn = None
        sock.shutdown(socket.SHUT_WR)
    return moved


def open_socket(order):
    family = socket.AF_INET6 if ":" in order["local"] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for key in order.get("keys", ()):
        add_key(sock, key)
    if order.get("required"):
        sock.setsockopt(socket.IPPROTO_TCP, TCP_AO_INFO, AO_INFO.pack(AO_REQUIRED, 0, 0, 0, 0, 0, 0, 0, 0))
    sock.settimeout(order.get("timeout", 20))
    return sock


def run(order, say):
    """Carry out one order; what went wrong is answered too."""
    moved, error, info = 0, None, {}
    started = time.monotonic()
    try:
        with open_socket(order) as sock:
            if order["do"] == "listen":
                sock.bind((order["local"], order["port"]))
                sock.listen(64)
                say({"event": "listening"})
                peer, _ = sock.accept()
                peer.settimeout(order.get("timeout", 20))
            else:
                peer = sock
                if "isn" in order:
                    set_isn(sock, order["isn"])
                sock.bind((order["local"], order.get("local_port", 0)))
                sock.connect((order["peer"], order["port"]))
            try:
                moved = transfer(peer, order)
            finally:
                if order.get("keys"):
                    info = ao_info(peer)
                if peer is not sock:
                    peer.close()
    except Exception as fault:
        error = f"{type(fault).__name__}: {fault}"
    say({"event": "done", "bytes": moved, "error": error, "ao": info, "seconds": time.monotonic() - started})


def pump(one, other):
    """Carry octets from one socket to the other, and the end of them."""
    try:
        while data := one.recv(BLOCK):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        for sock in (one, other):
            sock.close()


def relay(order, say):
    """Hold the keys for a daemon that cannot: accept under TCP-AO, connect to the daemon in clear, and carry."""
    with open_socket({**order, "timeout": None}) as listener:
        listener.bind((order["local"], order["port"]))
        listener.listen(8)
        say({"event": "listening"})
        while True:
            far, _ = listener.accept()
            near = socket.create_connection(tuple(order["to"]), source_address=(order["source"], 0))
            for pair in ((far, near), (near, far)):
                threading.Thread(target=pump, args=pair, daemon=True).start()


def execute(order, say):
    """Run a program of the guest, or with ``stay`` start it."""
    if order.get("stay"):
        subprocess.Popen(order["argv"])
        say({"event": "started"})
    else:
        done = subprocess.run(order["argv"], check=False, capture_output=True, text=True)
        say({"event": "ran", "status": done.returncode, "output": done.stdout + done.stderr})


def serve(control):
    lock = threading.Lock()
    out = control.makefile("w")

    def sayer(number):
        def say(answer):
            with lock:
                out.write(json.dumps({"id": number, **answer}) + "\n")
                out.flush()

        return say

    for line in control.makefile("r"):
        order = json.loads(line)
        say = sayer(order["id"])
        if order["do"] == "netstat":
            say({"event": "netstat", "counters": netstat()})
        elif order["do"] == "halt":
            return False
        else:
            work = {"relay": relay, "execute": execute}.get(order["do"], run)
            threading.Thread(target=work, args=(order, say), daemon=True).start()
    return True


def network(options):
    # All else is the host's, read-only.
    for kind, at in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run")):
        subprocess.run(["mount", "-t", kind, kind, at], check=True)

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    ip("link", "set", "lo", "up")
    ip("link", "set", options.dev, "up", "mtu", "1500")
    ip("addr", "add", options.addr, "dev", options.dev)
    ip("-6", "addr", "add", options.addr6, "dev", options.dev, "nodad")
    ip("route", "add", "default", "via", options.gateway)
    ip("-6", "route", "add", "default", "via", options.gateway6)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--dev", "--addr", "--addr6", "--gateway", "--gateway6"):
        parser.add_argument(name, required=True)
    # The kernel adds words of its own to ours.
    options, _ = parser.parse_known_args()
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    network(options)
    with socket.create_server(("0.0.0.0", CONTROL_PORT)) as listener:
        print("ready", flush=True)
        going = True
        while going:
            control, _ = listener.accept()
            with control:
                going = serve(control)


if __name__ == "__main__":
    try:
        main()
    finally:
        libc.sync()
        libc.reboot(0x4321FEDC)
        while True:
            time.sleep(1)
