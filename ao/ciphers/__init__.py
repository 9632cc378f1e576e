"""Ciphers addressed by stream position: a file each. ``ao.cipher`` is their registry."""
