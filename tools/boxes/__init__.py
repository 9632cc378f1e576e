"""Boxes that stand in the way of TCP: each does what one kind of box on real paths does, and no more."""
