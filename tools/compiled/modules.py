"""The modules of the compiled core: whatever is on the way of a packet, an acknowledgment or a handshake.

Not among them: what declares (settings, options by construct), what users derive from (``box``, ``macs``,
``groups``, ``pacing``), what runs once. To add one, name it here and run ``make compiled test-compiled``;
docs/performance.md says what compiled code does not take.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

MODULES: Final = """
ao: agreement_a agreement_b auth cipher compact fast generations kdf keylog keys prepared rekey role schedule
    sessions sne suite tally traffic_keys
ao/ciphers: aes_ctr base chacha20
edo: area beside codepoints eno extended fast fastopen layout messages negotiation options orders plan shapes
    syneos walk
stack: accecn agreed_cookies agreed_keys alarms ao_counters arrival attempt bindings buffers bulk bursts
    checksum chronograph closing connection connectionless cookies delivery dial ecn edo_damage edo_switch
    experimental fastopen fastopen_cookies fastopen_server flight flow ground host icmp icmp_errors ip
    ip_options ledger listener losses memory merging nagle out_of_band paced passive peers plpmtud pmtu
    protection quickack rangeset ratelimit reassembly receiver remembered resets reuse rollover rtt run
    scoreboard sealer segment sender seqnum space states syn_cache tcb tickets timers upgraded usage
    user_timeout variables
stack/congestion: base bbr cubic cubic_linux delivery_rate hystart registry reno
stack/handshake: afterwards agreed agreed_a agreed_b agreed_protection base compact configured crossed
    differences fast_open keylog md5 probe rekeying report role_a role_b sighting stages syn_eos
    syn_eos_answer
stack/recovery: base frto newreno pipe prr rack registry sack6675 undo
stack/handshake/rivals: aggregated base dual four_way inner_space seg_u sister_syn
stack/fastpath: cut lane lanes sums
"""
"""A folder and its modules; longer lists go on in lines that begin with blanks."""


def names() -> list[str]:
    """The modules by their dotted names, in order."""
    found = []
    folder = ""
    for word in MODULES.split():
        if word.endswith(":"):
            folder = word[:-1].replace("/", ".")
        else:
            found.append(f"{folder}.{word}")
    return found


def path_of(name: str) -> Path:
    """The source file of a module, from the root of the project."""
    return Path(*name.split(".")).with_suffix(".py")
