"""TCP option space: the options themselves, the Extended Data Offset, and the out-of-band SYN extension."""

import edotun_core as _core  # noqa: F401
