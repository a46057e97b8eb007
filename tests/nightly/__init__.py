"""What only the running whole can show, and takes minutes: `make nightly`."""
