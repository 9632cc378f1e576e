"""Simulated transfers: congestion control and recovery over links of chosen rate, delay, loss and queue."""
