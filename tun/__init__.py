"""What touches a device or a clock: the TUN, its driver on asyncio, namespaces, captures."""
