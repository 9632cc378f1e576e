"""Packet scripts: packetdrill's language, run against the stack in virtual time."""
