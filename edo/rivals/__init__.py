"""Ways to find room for options that do not fit a SYN, or any segment, all behind one interface.

``base`` has the interface, ``registry`` the methods by name. Each method is a file: what it puts on the wire, octet
by octet, and how a receiver reads that back. None knows a connection, a timer or a socket.
"""
