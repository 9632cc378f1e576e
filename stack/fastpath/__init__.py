"""What most segments of a transfer have in common, done once for a batch instead of for each.

``lanes`` reads segments, ``cut`` makes them. Neither has a rule of its own: whatever is not exactly what was
expected is left to the plain path (``stack.host``, ``stack.flow``, ``stack.sealer``), which does the same.
"""
