"""A userspace TCP on a TUN interface, with extended option space, TCP-AO, key agreement and payload encryption.

    async with edotun.Interface(addr=["10.9.0.2/24"], host=["10.9.0.1"]) as interface:
        reader, writer = await interface.open_connection("10.9.0.1", 80)

``open_connection`` and ``start_server`` have asyncio's semantics and take the Runner of any stack; ``Interface``
offers both for a TUN device of its own. ``BlockingInterface`` and ``sockets`` are for programs without asyncio;
``Loopback`` and ``BlockingLoopback`` are the same within one process, without a device. ``attack`` and
``protection`` add to the matrices of ``edotun lab``.
"""

from edo.codepoints import Dialect, EdoKind, FormChoice, Units
from edo.experiments import Experiment, experiment
from stack import sockets
from stack.aio import Server, open_connection, start_server
from stack.attempt import Attempt
from stack.config import TcpConfig
from stack.events import TcpError
from stack.host import Stack
from stack.listener import Listener
from stack.runner import Runner
from stack.security import Security
from stack.syneos import SynEos
from tools.attacks.registry import attack
from tools.boxes.registry import Boxes, box
from tools.lab.protections import protection
from tun.errors import TunError
from tun.interface import Interface
from tun.loopback import Loopback
from tun.threaded import BlockingInterface, BlockingLoopback

__all__ = [
    "Attempt",
    "BlockingInterface",
    "BlockingLoopback",
    "Boxes",
    "Dialect",
    "EdoKind",
    "Experiment",
    "FormChoice",
    "Interface",
    "Listener",
    "Loopback",
    "Runner",
    "Security",
    "Server",
    "Stack",
    "SynEos",
    "TcpConfig",
    "TcpError",
    "TunError",
    "Units",
    "attack",
    "box",
    "experiment",
    "open_connection",
    "protection",
    "sockets",
    "start_server",
]
