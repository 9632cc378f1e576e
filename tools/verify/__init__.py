"""``edotun verify``: the MACs of a capture, recomputed, and what is wrong where they do not match."""
