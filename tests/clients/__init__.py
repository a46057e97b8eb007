"""The coding agents themselves, with the deployed gateway: `make test-clients`."""
