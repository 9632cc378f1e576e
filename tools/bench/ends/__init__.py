"""What the processes of a measurement do: the kernel's ends, the stack's, and those that only open and accept."""
