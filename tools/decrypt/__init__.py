"""Captures with the plaintext: what a key log, or configured keys, open."""
