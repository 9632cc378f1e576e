"""What is wrong with an order."""

from __future__ import annotations


class OrderFault(ValueError):
    """What is wrong with an order, in one line, without a secret."""
