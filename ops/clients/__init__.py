"""What to set in the tools that people use the gateway with. `python -m ops.clients` is the command."""
