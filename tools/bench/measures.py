"""What is measured: each is one transfer between two processes, sender and receiver pinned to a core each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..programs import PYTHON, Program
from .job import Job, Result
from .network import End, set_offloads

CONGESTION: Final = "cubic"
_PORT: Final = 5001
# A transfer's end may take longer than its time: what is queued has to arrive.
_GRACE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of transfer: whether a stack ``sends`` and ``receives`` (else the kernel), and its protection.

    ``offloads`` says whether the link between the namespaces has tso, gso and gro on.
    """

    name: str
    sends: bool
    receives: bool
    protect: str = "none"
    offloads: bool = True


BASE: Final = Measure("kernel to kernel", sends=False, receives=False)
BASE_PLAIN: Final = Measure("kernel to kernel, tso gso gro off", sends=False, receives=False, offloads=False)
OURS: Final = (
    Measure("kernel to stack, none", sends=False, receives=True),
    Measure("stack to kernel, none", sends=True, receives=False),
    Measure("stack to stack, none", sends=True, receives=True),
    Measure("stack to stack, ao", sends=True, receives=True, protect="ao"),
    Measure("stack to stack, ao-enc-dh", sends=True, receives=True, protect="ao-enc-dh"),
)


@dataclass(frozen=True, slots=True)
class Amount:
    """How long a transfer lasts: ``seconds``, or ``octets`` where that is not 0."""

    seconds: float
    octets: int


def write_keys(folder: Path) -> Path:
    """Write a keys file for mode ``ao`` that every pair of these stacks may use."""
    file = folder / "keys.toml"
    file.touch(mode=0o600)
    secret = os.urandom(16).hex()
    file.write_text(f'[[mkt]]\nsend_id = 1\nrecv_id = 1\nsecret_hex = "{secret}"\nmac = "aes-128-cmac-96"\n')
    return file


def jobs(
    measure: Measure, ends: tuple[End, End], amount: Amount, mtu: int, keys: Path, cores: tuple[int, int]
) -> tuple[tuple[Job, str], tuple[Job, str]]:
    """Return the sender's job and the receiver's, each with the namespace of its process.

    Between two kernels, or two stacks, the link lies; between a stack and a kernel only the stack's TUN.
    """
    left, right = ends
    sender, receiver = left, (left if measure.sends != measure.receives else right)
    if measure.receives:
        address = receiver.stack
    else:
        address = receiver.host if measure.sends else receiver.kernel

    def job(end: End, *, sends: bool) -> Job:
        stack = measure.sends if sends else measure.receives
        return Job(
            sends=sends,
            stack=stack,
            core=cores[0] if sends else cores[1],
            address=address,
            port=_PORT,
            seconds=amount.seconds,
            octets=amount.octets,
            congestion=CONGESTION,
            netns=end.namespace.name,
            own=end.own,
            host=end.host,
            mtu=mtu,
            protect=measure.protect,
            keys=str(keys) if measure.protect == "ao" else "",
        )

    return (
        (job(sender, sends=True), sender.namespace.name),
        (job(receiver, sends=False), receiver.namespace.name),
    )


def run(
    measure: Measure, ends: tuple[End, End], amount: Amount, mtu: int, keys: Path, cores: tuple[int, int]
) -> Result:
    """Measure once; raises ProgramError."""
    set_offloads(ends, on=measure.offloads)
    (sender, sending_in), (receiver, receiving_in) = jobs(measure, ends, amount, mtu, keys, cores)
    patience = amount.seconds + _GRACE
    with Program(f"receiver of {measure.name}", _command(receiver), receiving_in) as receiving:
        receiving.ready()
        with Program(f"sender of {measure.name}", _command(sender), sending_in) as sending:
            result = Result.read(receiving.line("out", _is_result, patience))
            sending.line("out", _is_result, patience)
    return result


def _command(job: Job) -> tuple[str, ...]:
    return (*PYTHON, "-m", "tools.bench.worker", job.line())


def _is_result(text: str) -> bool:
    return text.startswith("{")
