"""The local control socket: keys of a running command are listed, added, rotated and removed through it."""
