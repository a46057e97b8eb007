"""Faults at random, under load, for as long as one likes, and the books at the end: `make soak`."""
