"""What is not the example: other companies, and several environments with their releases: `make others`."""
