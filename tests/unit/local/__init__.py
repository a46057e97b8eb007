"""What runs the gateway on this machine."""
