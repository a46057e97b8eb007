"""The types of the settings and their rules."""
