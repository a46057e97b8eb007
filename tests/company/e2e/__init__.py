"""What a company's files do when they run, on this machine."""
