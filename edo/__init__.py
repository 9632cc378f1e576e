"""TCP option space: the options themselves, the Extended Data Offset, and the out-of-band SYN extension."""
