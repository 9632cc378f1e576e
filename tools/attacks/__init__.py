"""Attackers: boxes that misbehave in one chosen way, one small file each, found by name."""
