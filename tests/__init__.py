"""The tests, each at the lowest layer that can catch the bug."""
