"""The demonstration: a protected download between unmodified programs, shown segment by segment and proven."""
