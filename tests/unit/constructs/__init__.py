"""What several stacks are built of, and its function."""
