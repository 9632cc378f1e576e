"""Chooses inputs for further cases of the profile, by a seed; profile_model.py works out their results.

    python -m tests.vectors.profile_inputs SEED > CASES.json

Equal seeds give equal inputs, but for ciphertexts of ML-KEM: the library chooses what it encapsulates.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from cryptography.hazmat.primitives.asymmetric import mlkem

GROUPS = {29: 32, 23: 32, 30: 56, 256: 32, 257: 36}
# Each MAC and each cipher, none included, each of them with options and addresses covered and not.
SUITES = [[mac, cipher] for mac in (1, 2, 3, 4) for cipher in (0, 1, 2, 3)]


class Chooser:
    """What the cases draw from."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)

    def hex(self, octets: int) -> str:
        return self.source.randbytes(octets).hex()

    def private(self, group: int) -> str:
        # Below the order of P-256 in any case.
        return "2a" + self.hex(GROUPS[group] - 1)

    def pair(self, group: int) -> tuple[str, str]:
        """The private halves of who asks and who answers."""
        if group != 4588:
            return self.private(group), self.private(group)
        seed = self.source.randbytes(64)
        key = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed).public_key()
        _, ciphertext = key.encapsulate()
        return seed.hex() + self.private(29), ciphertext.hex() + self.private(29)

    def address(self, version: int) -> str:
        if version == 4:
            return "192.0.2." + str(self.source.randrange(1, 255))
        return "2001:db8::" + format(self.source.randrange(1, 1 << 16), "x")

    def segments(self, *, edo: bool) -> list[dict[str, Any]]:
        """Data of both sides, beyond a wrap of the sequence number too, and segments without."""
        plans = []
        for n in range(4):
            position = self.source.choice([1, 2, 1 << 20, (1 << 32) - 20, (1 << 36) + 5])
            extended = self.source.choice(["", "0101080a" + self.hex(8), "fd08" + self.hex(6)]) if edo else ""
            plans.append(
                {
                    "sender": "ab"[n % 2],
                    "position": position,
                    "ack_position": self.source.randrange(1, 1 << 33),
                    "flags": self.source.choice([0x10, 0x18, 0x11, 0x14]),
                    "window": self.source.randrange(1 << 16),
                    "edo": "short" if edo else "",
                    "extended": extended,
                    "payload": self.hex(self.source.randrange(1, 80)),
                }
            )
        return plans

    def case(self, name: str, suite: list[int], group: int, flags: tuple[int, int]) -> dict[str, Any]:
        version = self.source.choice([4, 6])
        first, other = self.pair(group)
        common = {"isn": self.source.randrange(1 << 32), "random": self.hex(32)}
        suites = [suite, [1, 1]] if suite != [1, 1] else [suite]
        return {
            "name": name,
            "placement": "messages",
            "a": {
                "addr": self.address(version),
                "port": self.source.randrange(1024, 1 << 16),
                **common,
                "flags": flags[0],
                "eno": self.source.choice(["4505a0ed01", "450602a0ed01"]),
                "suites": suites,
                "groups": [group] if group == 29 else [group, 29],
                "group": group,
                "private": first,
                "tickets": [],
            },
            "b": {
                "addr": self.address(version),
                "port": self.source.randrange(1, 1024),
                "isn": self.source.randrange(1 << 32),
                "random": self.hex(32),
                "flags": flags[1],
                "eno": self.source.choice(["450601a0ed01", "450603a0ed01"]),
                "suite": suite,
                "group": group,
                "private": other,
                "ticket_index": 255,
            },
            "segments": self.segments(edo=True),
        }

    def rekey(self, case: dict[str, Any], times: int) -> None:
        group = case["b"]["group"]
        case["rekey"] = []
        for n in range(times):
            first, other = self.pair(group)
            step = {"initiator": self.source.choice("ab"), "generation": n + 1, "group": group}
            step |= {"random_i": self.hex(32), "random_r": self.hex(32), "private_i": first, "private_r": other}
            case["rekey"].append(step)

    def resume(self, case: dict[str, Any], *, fresh: bool) -> None:
        a = {"isn": self.source.randrange(1 << 32), "port": self.source.randrange(1024, 1 << 16)}
        a |= {"random": self.hex(32), "extra_ticket_before": self.hex(16)}
        b = {"isn": self.source.randrange(1 << 32), "random": self.hex(32)}
        if fresh:
            a["private"], b["private"] = self.pair(case["b"]["group"])
        case["resume"] = {"a": a, "b": b}


def cases(seed: int) -> list[dict[str, Any]]:
    """The inputs of every case."""
    chooser = Chooser(seed)
    flags = [(13, 13), (12, 13), (15, 15), (14, 14), (15, 13), (1, 13)]
    found = [
        chooser.case(f"suite {mac} {cipher}", [mac, cipher], 29, flags[n % len(flags)])
        for n, (mac, cipher) in enumerate(SUITES)
    ]
    for n, group in enumerate([23, 30, 256, 257, 4588]):
        found.append(chooser.case(f"group {group}", SUITES[5 + n], group, (13, 13)))
    retry = chooser.case("retry to x448", [3, 3], 30, (15, 14))
    retry["a"] |= {"group": 23, "groups": [23, 30], "private": chooser.private(23)}
    first, other = chooser.pair(30)
    retry |= {"retry": {"flags": 14, "eno": retry["b"]["eno"], "group": 30}, "a2": {"group": 30, "private": first}}
    retry["b"]["private"] = other
    compact = chooser.case("compact, options outside", [2, 2], 29, (3, 3))
    compact |= {"placement": "compact", "segments": chooser.segments(edo=False)}
    rekeyed = chooser.case("three rekeys", [4, 3], 30, (13, 13))
    chooser.rekey(rekeyed, 3)
    resumed = chooser.case("resumed", [2, 2], 23, (12, 12))
    chooser.resume(resumed, fresh=False)
    fresh = chooser.case("resumed with fresh shares", [3, 1], 30, (13, 15))
    chooser.resume(fresh, fresh=True)
    return [*found, retry, compact, rekeyed, resumed, fresh]


if __name__ == "__main__":
    from tests.vectors.profile_model import expected

    about = ["Made by tests/vectors/profile_inputs.py; results by tests/vectors/profile_model.py. Fields as in"]
    about.append("profile_vectors.json.")
    made = [case | {"expect": expected(case)} for case in cases(int(sys.argv[1]))]
    json.dump({"about": about, "cases": made}, sys.stdout, indent=1)
    print()
