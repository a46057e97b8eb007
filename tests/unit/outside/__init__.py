"""The simulated services outside AWS."""
