"""The profile's arithmetic once more, straight down from docs/profile.md: it uses nothing of ``ao`` or ``edo``.

It reads the inputs of cases (fields as in tests/data/profile_vectors.json) and works out every octet that two ends
must agree on: messages, transcript, key schedule, traffic keys, whole segments. Whoever writes another
implementation can read it from top to bottom beside the document.

    python -m tests.vectors.profile_model CASES.json      print the cases with their results under "expect"
"""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from Crypto.Hash import KMAC256
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x448, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

Case = dict[str, Any]

# --- primitives ------------------------------------------------------------------------------------------------


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2)."""
    return hmac_sha256(salt, secret)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3)."""
    out = block = b""
    for n in range(1, 256):
        if len(out) >= length:
            break
        block = hmac_sha256(prk, block + info + bytes([n]))
        out += block
    return out[:length]


def aes_cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(data)
    return mac.finalize()


def kmac256(key: bytes, data: bytes, bits: int, custom: bytes) -> bytes:
    mac = KMAC256.new(key=key, mac_len=bits // 8, custom=custom)
    mac.update(data)
    return mac.digest()


def number(value: int, octets: int) -> bytes:
    return value.to_bytes(octets, "big")


# --- groups (§6) -----------------------------------------------------------------------------------------------


def e_digits(bits: int) -> int:
    """floor(2^bits * e), by the series of 1/n!."""
    guard = 64
    term = total = 1 << bits + guard
    n = 0
    while term:
        n += 1
        term //= n
        total += term
    return total >> guard


def ffdhe_prime(bits: int) -> int:
    """RFC 7919 appendix A: p = 2^b - 2^(b-64) + (floor(2^(b-130) e) + X) 2^64 - 1."""
    x = {2048: 560316, 3072: 2625351}[bits]
    return 2**bits - 2 ** (bits - 64) + (e_digits(bits - 130) + x) * 2**64 - 1


FFDHE = {256: 2048, 257: 3072}


def share(group: int, private: bytes, *, answers: bool) -> bytes:
    """The public half of ``private``; of the side that ``answers`` where that makes a difference."""
    if group == 29:
        return x25519.X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    if group == 30:
        return x448.X448PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    if group == 23:
        point = ec.derive_private_key(int.from_bytes(private), ec.SECP256R1()).public_key().public_numbers()
        return b"\x04" + number(point.x, 32) + number(point.y, 32)
    if group in FFDHE:
        bits = FFDHE[group]
        return number(pow(2, int.from_bytes(private), ffdhe_prime(bits)), bits // 8)
    assert group == 4588
    if answers:
        return private[:1088] + share(29, private[1088:], answers=True)
    key = mlkem.MLKEM768PrivateKey.from_seed_bytes(private[:64])
    return key.public_key().public_bytes_raw() + share(29, private[64:], answers=False)


def secret(group: int, private: bytes, peer_share: bytes, *, answers: bool, peer_private: bytes) -> bytes:
    """What both ends have in common. ``peer_private`` opens the ciphertext that an answering side sent."""
    if group == 29:
        peer = x25519.X25519PublicKey.from_public_bytes(peer_share)
        return x25519.X25519PrivateKey.from_private_bytes(private).exchange(peer)
    if group == 30:
        other = x448.X448PublicKey.from_public_bytes(peer_share)
        return x448.X448PrivateKey.from_private_bytes(private).exchange(other)
    if group == 23:
        curve = ec.SECP256R1()
        point = ec.EllipticCurvePublicKey.from_encoded_point(curve, peer_share)
        return ec.derive_private_key(int.from_bytes(private), curve).exchange(ec.ECDH(), point)
    if group in FFDHE:
        bits = FFDHE[group]
        return number(pow(int.from_bytes(peer_share), int.from_bytes(private), ffdhe_prime(bits)), bits // 8)
    assert group == 4588
    opener, ciphertext = (peer_private, private[:1088]) if answers else (private, peer_share[:1088])
    lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(opener[:64]).decapsulate(ciphertext)
    curve_private = private[1088:] if answers else private[64:]
    return lattice + secret(29, curve_private, peer_share[-32:], answers=answers, peer_private=b"")


# --- messages (§4) ---------------------------------------------------------------------------------------------


def hello_message(side: Case, group: int, own_share: bytes, tickets: list[bytes]) -> bytes:
    eno = bytes.fromhex(side["eno"])
    return b"".join(
        (
            bytes([1, side["flags"]]),
            bytes.fromhex(side["random"]),
            number(side["isn"], 4),
            bytes([len(eno)]),
            eno,
            bytes([len(side["suites"])]),
            *(bytes(suite) for suite in side["suites"]),
            bytes([len(side["groups"])]),
            *(number(code, 2) for code in side["groups"]),
            number(group, 2),
            number(len(own_share), 2),
            own_share,
            bytes([len(tickets)]),
            *tickets,
        )
    )


def answer_message(side: Case, group: int, own_share: bytes, ticket: int) -> bytes:
    eno = bytes.fromhex(side["eno"])
    return b"".join(
        (
            bytes([1, side["flags"]]),
            bytes.fromhex(side["random"]),
            number(side["isn"], 4),
            bytes([len(eno)]),
            eno,
            bytes(side["suite"]),
            number(group, 2),
            number(len(own_share), 2),
            own_share,
            bytes([ticket]),
        )
    )


def fragments(message: bytes) -> list[bytes]:
    """The KE options of a hello, each as large as it may be."""
    return [
        bytes([254, 9 + len(piece), 0xA0, 0xE1, 1]) + number(len(message), 2) + number(start, 2) + piece
        for start in range(0, len(message), 246)
        for piece in [message[start : start + 246]]
    ]


def entry(code: int, octets: bytes) -> bytes:
    return bytes([code]) + number(len(octets), 2) + octets


# --- keys (§7, ao.md 3) ----------------------------------------------------------------------------------------


def context(case: Case, sender: str, flags: int, ports: tuple[int, int], isns: tuple[int, int]) -> bytes:
    """The context of Send_other of ``sender``; ``ports`` and ``isns`` are A's and B's."""
    addresses = [ip_address(case[side]["addr"]).packed for side in "ab"]
    source, destination = (0, 1) if sender == "a" else (1, 0)
    octets = len(addresses[0])
    if flags & 1:
        identity = bytes(2 * octets + 4)
    else:
        identity = addresses[source] + addresses[destination]
        identity += number(ports[source], 2) + number(ports[destination], 2)
    return identity + number(isns[source], 4) + number(isns[destination], 4)


def mac_key(mac: int, master: bytes, ctx: bytes) -> bytes:
    if mac == 1:
        conditioned = master if len(master) == 16 else aes_cmac(bytes(16), master)
        return aes_cmac(conditioned, b"\x01TCP-AO" + ctx + number(128, 2))
    if mac == 2:
        return hmac.digest(master, b"\x01TCP-AO" + ctx + number(160, 2), "sha1")
    if mac == 3:
        return hmac_sha256(hmac_sha256(bytes(32), master), ctx + b"\x01")
    return kmac256(bytes(132), b"\0\0\0\1" + master + ctx, 256, b"KDF")


def tag(mac: int, key: bytes, data: bytes) -> bytes:
    if mac == 1:
        return aes_cmac(key, data)[:12]
    if mac == 2:
        return hmac.digest(key, data, "sha1")[:12]
    if mac == 3:
        return hmac_sha256(key, data)[:16]
    return kmac256(key, data, 128, b"")


MAC_OCTETS = {1: 12, 2: 12, 3: 16, 4: 16}
CIPHER_OCTETS = {1: (16, 8), 2: (32, 8), 3: (32, 12)}


def cipher_key(cipher: int, master: bytes, ctx: bytes) -> tuple[bytes, bytes]:
    """The E-KDF: key and salt."""
    if not cipher:
        return b"", b""
    octets, salt = CIPHER_OCTETS[cipher]
    okm = expand(extract(bytes(32), master), b"TCP-AO-ENC" + bytes([cipher]) + ctx, octets + salt)
    return okm[:octets], okm[octets:]


def encrypt(cipher: int, key: bytes, salt: bytes, position: int, octets: bytes) -> bytes:
    """Each octet by its 64-bit stream number (ao-enc.md 3.1 scheme C, section 5), one octet after the other."""
    if not cipher:
        return octets
    out = bytearray()
    size = 64 if cipher == 3 else 16
    stream = b""
    have = -1
    for octet in octets:
        block, within = divmod(position, size)
        if block != have:
            have = block
            if cipher == 3:
                high = bytes(4) + number(block >> 32, 8)
                nonce = bytes(x ^ y for x, y in zip(salt, high, strict=True))
                full = (block & 0xFFFFFFFF).to_bytes(4, "little") + nonce
                stream = Cipher(algorithms.ChaCha20(key, full), None).encryptor().update(bytes(64))
            else:
                # ECB of one block that never comes twice is the block cipher itself.
                stream = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(salt + number(block, 8))
        out.append(octet ^ stream[within])
        position += 1
    return bytes(out)


class Schedule:
    """What follows from a transcript and a secret."""

    def __init__(self, transcript: bytes, ikm: bytes, first: int) -> None:
        self.transcript = transcript
        self.prk = extract(hashlib.sha256(transcript).digest(), ikm)
        self.ao = expand(self.prk, b"edotun ao", 32)
        self.enc = expand(self.prk, b"edotun enc", 32)
        self.chain = expand(self.prk, b"edotun chain", 32)
        self.session = bytes([first]) + expand(self.prk, b"edotun session", 32)
        self.resume = expand(self.chain, b"edotun resume", 32)
        self.ticket = expand(self.resume, b"edotun ticket", 16)

    def row(self, *names: str) -> dict[str, str]:
        return {name: (self.transcript if name == "T" else getattr(self, name)).hex() for name in names}


def traffic(
    case: Case, schedule: Schedule, suite: list[int], flags: int, ports: tuple[int, int], isns: tuple[int, int]
) -> dict[str, tuple[bytes, bytes, bytes]]:
    """MAC key, cipher key and salt of each sender."""
    keys = {}
    for sender in "ab":
        ctx = context(case, sender, flags, ports, isns)
        keys[sender] = (mac_key(suite[0], schedule.ao, ctx), *cipher_key(suite[1], schedule.enc, ctx))
    return keys


def named(keys: tuple[bytes, bytes, bytes]) -> dict[str, str]:
    return dict(zip(("mac_key", "cipher_key", "salt"), (key.hex() for key in keys), strict=True))


# --- segments (§1, ao.md 4) ------------------------------------------------------------------------------------


def nops(octets: bytes) -> bytes:
    return octets + b"\x01" * (-len(octets) % 4)


def checksum(octets: bytes) -> int:
    octets += bytes(len(octets) % 2)
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    # A signed segment has the other zero of ones' complement (§7).
    return 0xFFFF - total or 0xFFFF


def pseudo_header(source: bytes, destination: bytes, length: int) -> bytes:
    if len(source) == 4:
        return source + destination + b"\0\6" + number(length, 2)
    return source + destination + number(length, 4) + b"\0\0\0\6"


def segment(case: Case, plan: Case, suite: list[int], flags: int, keys: tuple[bytes, bytes, bytes]) -> bytes:
    sender, receiver = case[plan["sender"]], case["b" if plan["sender"] == "a" else "a"]
    source, destination = (ip_address(side["addr"]).packed for side in (sender, receiver))
    stream = sender["isn"] + plan["position"]
    ack = receiver["isn"] + plan["ack_position"]
    mac, cipher = suite
    key, cipher_octets, salt = keys
    option = bytes([29, 4 + MAC_OCTETS[mac], 0, 0])
    extension = b""
    extended = nops(bytes.fromhex(plan["extended"]))
    if plan["edo"]:
        visible = nops(option + bytes(MAC_OCTETS[mac]) + bytes(6))
        words = (20 + len(visible) + len(extended)) // 4
        extension = bytes([254, 6, 0x0E, 0xD0]) + number(words, 2)
    visible = nops(option + bytes(MAC_OCTETS[mac]) + extension)
    fixed = struct.pack(
        "!IIBBHHH", stream % 2**32, ack % 2**32, (20 + len(visible)) // 4 << 4, plan["flags"], plan["window"], 0, 0
    )
    ports = number(sender["port"], 2) + number(receiver["port"], 2)
    payload = encrypt(cipher, cipher_octets, salt, stream, bytes.fromhex(plan["payload"]))
    length = 20 + len(visible) + len(extended) + len(payload)
    # What the MAC covers: translated addresses and ports count as zero, uncovered options are left out.
    hidden = bool(flags & 1)
    pseudo = pseudo_header(*(bytes(len(a)) if hidden else a for a in (source, destination)), length)
    covered = option + bytes(MAC_OCTETS[mac]) + extension if flags & 2 else visible
    data = number(stream >> 32, 4) + pseudo + (bytes(4) if hidden else ports) + fixed + covered + extended + payload
    seal = tag(mac, key, data)
    header = ports + fixed + option + seal + visible[4 + len(seal) :] + extended
    total = checksum(pseudo_header(source, destination, length) + header + payload)
    return header[:16] + number(total, 2) + header[18:] + payload


# --- a case ----------------------------------------------------------------------------------------------------


def expected(case: Case) -> dict[str, Any]:
    """Everything that follows from the inputs of a case."""
    a, b = case["a"], case["b"]
    private_a, private_b = bytes.fromhex(a["private"]), bytes.fromhex(b["private"])
    suite = b["suite"]
    flags = a["flags"] & b["flags"]
    group = b["group"]
    out: dict[str, Any] = {}
    if case["placement"] == "compact":
        option_a = bytes([29, 36, 0, 0]) + share(29, private_a, answers=False)
        option_b = bytes([29, 36, 0, 0]) + share(29, private_b, answers=True)
        entries = entry(0xF3, option_a) + entry(0xF4, option_b)
        ikm = secret(29, private_a, option_b[4:], answers=False, peer_private=private_b)
        schedule = Schedule(b"TCP-AO-ENC BTNS 1" + entries, ikm, 0x00)
    else:
        tickets = [bytes.fromhex(ticket) for ticket in a["tickets"]]
        hello = hello_message(a, a["group"], share(a["group"], private_a, answers=False), tickets)
        entries = entry(1, hello)
        out |= {"hello": hello.hex(), "fragments": [piece.hex() for piece in fragments(hello)]}
        if "retry" in case:
            eno = bytes.fromhex(case["retry"]["eno"])
            retry = bytes([1, case["retry"]["flags"], len(eno)]) + eno + number(case["retry"]["group"], 2)
            private_a = bytes.fromhex(case["a2"]["private"])
            second = hello_message(a, case["a2"]["group"], share(group, private_a, answers=False), [])
            entries += entry(3, retry) + entry(4, second)
            out |= {"retry": retry.hex(), "hello2": second.hex()}
        share_b = share(group, private_b, answers=True)
        answer = answer_message(b, group, share_b, b["ticket_index"])
        out["answer"] = answer.hex()
        ikm = secret(group, private_a, share_b, answers=False, peer_private=private_b)
        schedule = Schedule(b"TCP-AO-ENC BTNS 1" + entries + entry(2, answer), ikm, 0xA0)
        out |= schedule.row("resume", "ticket")
    out |= schedule.row("T", "prk", "ao", "enc", "chain", "session")
    keys = traffic(case, schedule, suite, flags, (a["port"], b["port"]), (a["isn"], b["isn"]))
    out |= {"a_to_b": named(keys["a"]), "b_to_a": named(keys["b"])}
    out["segments"] = [segment(case, plan, suite, flags, keys[plan["sender"]]).hex() for plan in case["segments"]]
    if "rekey" in case:
        out["rekeys"] = rekeys(case["rekey"], schedule)
    if "resume" in case:
        out["resumed"] = resumed(case, schedule)
    return out


def rekeys(steps: list[Case], schedule: Schedule) -> list[dict[str, str]]:
    """§7: each from the chain of the one before; the session id stays."""
    chain = schedule.chain
    rows = []
    for step in steps:
        group = step["group"]
        first, other = bytes.fromhex(step["private_i"]), bytes.fromhex(step["private_r"])
        messages = []
        shares = []
        for name, private, answers in (("i", first, False), ("r", other, True)):
            public = share(group, private, answers=answers)
            shares.append(public)
            head = bytes([1, step["generation"]]) + bytes.fromhex(step[f"random_{name}"])
            messages.append(head + number(group, 2) + number(len(public), 2) + public)
        fresh = secret(group, first, shares[1], answers=False, peer_private=other)
        transcript = b"TCP-AO-ENC rekey 1" + schedule.session + entry(5, messages[0]) + entry(6, messages[1])
        later = Schedule(transcript, chain + fresh, schedule.session[0])
        chain = later.chain
        row = {"rekey": messages[0].hex(), "answer": messages[1].hex()}
        rows.append(row | later.row("T", "prk", "ao", "enc", "chain"))
    return rows


def resumed(case: Case, schedule: Schedule) -> dict[str, Any]:
    """§7: a second connection, A's second ticket taken, with shares where both have a private key."""
    a, b = case["a"] | case["resume"]["a"], case["b"] | case["resume"]["b"]
    suite = b["suite"]
    flags = a["flags"] & b["flags"]
    shared = "private" in case["resume"]["a"]
    group = a["group"] if shared else 0
    share_a = share_b = fresh = b""
    if shared:
        private_a, private_b = bytes.fromhex(a["private"]), bytes.fromhex(b["private"])
        share_a, share_b = share(group, private_a, answers=False), share(group, private_b, answers=True)
        fresh = secret(group, private_a, share_b, answers=False, peer_private=private_b)
    hello = hello_message(a, group, share_a, [bytes.fromhex(a["extra_ticket_before"]), schedule.ticket])
    answer = answer_message(b, group, share_b, 1)
    transcript = b"TCP-AO-ENC BTNS 1" + entry(1, hello) + entry(2, answer)
    later = Schedule(transcript, schedule.resume + fresh, 0xA0)
    keys = traffic(case, later, suite, flags, (a["port"], b["port"]), (a["isn"], b["isn"]))
    return {
        "hello": hello.hex(),
        "answer": answer.hex(),
        **later.row("T", "prk", "ao", "enc", "chain", "session", "ticket"),
        "a_to_b": named(keys["a"]),
        "b_to_a": named(keys["b"]),
    }


def main(path: Path) -> None:
    """Print the document at ``path`` with every case's results worked out anew."""
    document = json.loads(path.read_text())
    for case in document["cases"]:
        case["expect"] = expected(case)
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
