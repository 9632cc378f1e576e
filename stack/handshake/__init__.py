"""Handshakes: what each side takes before a connection is settled; one object per connection."""
