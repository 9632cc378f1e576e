"""The local control socket: keys of a running command are changed through it, its memory of peers is seen."""
