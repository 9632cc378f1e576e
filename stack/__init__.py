"""The TCP/IP stack: sans-IO connections, the seams for option space and protection, the simulator."""

import edotun_core as _core  # noqa: F401
