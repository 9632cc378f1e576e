"""The structures of the rivals, declared with construct: the authority for what their readers take.

The readers use ``struct``, since they see every SYN of a listener; tests hold the two equal on generated and
mutated octets. Options are added to a ``Registry`` of ``edo.codec`` by ``DECLARATIONS``.
"""

from __future__ import annotations

from construct import BitsInteger, BitStruct, Byte, Bytes, Const, GreedyBytes, Int16ub, Int32ub, Struct, Terminated

from edo.codec import Declaration
from edo.codepoints import EXPERIMENTAL
from edo.rivals.numbers import AGGREGATED, MAGIC_A, MAGIC_B, SYN_OP_SIS

_MAGIC_REST = (SYN_OP_SIS & 0xFFFF).to_bytes(2)

DECLARATIONS: tuple[Declaration, ...] = (
    # draft-nishida-tcpm-agg-syn-ext-00; its octets of GID and bits are read by edo.rivals.aggregated
    Declaration(
        "aggregated", lambda _: (EXPERIMENTAL, AGGREGATED), range(4), Struct(groups=GreedyBytes, end=Terminated)
    ),
    # draft-briscoe-tcpm-syn-op-sis-02; the first half of the magic number is where an ExID stands
    Declaration(
        "syn_op_sis",
        lambda _: (EXPERIMENTAL, SYN_OP_SIS >> 16),
        {4},
        Struct(magic=Const(_MAGIC_REST), extra_words=Byte, prefix_words=Byte, end=Terminated),
    ),
    Declaration(
        "syn_op_sis_confirmed",
        lambda _: (EXPERIMENTAL, SYN_OP_SIS >> 16),
        {2},
        Struct(magic=Const(_MAGIC_REST), end=Terminated),
    ),
)

# draft-briscoe-tcpm-inner-space-01 §2: Magic Number A and the two words of a SYN, the one word of other segments
IN_SPACE_SYN = Struct(
    magic_a=Const(MAGIC_A, Int32ub),
    text=Int16ub,
    first=BitStruct(inner_words=BitsInteger(14), length=Const(2, BitsInteger(2))),
    magic_b=Const(MAGIC_B, Int16ub),
    second=BitStruct(prefix_words=BitsInteger(14), unused=BitsInteger(2)),
)
IN_SPACE = Struct(
    text=Int16ub,
    first=BitStruct(inner_words=BitsInteger(14), length=Const(1, BitsInteger(2))),
)

# draft-bonica-tcpm-extended-options, as described: the word behind the fixed header
SEG_U_PREFIX = Struct(words=Byte, reserved=Bytes(3))
