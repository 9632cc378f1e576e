"""The benchmark: goodput of the stack beside the kernel's, in network namespaces of its own."""
