"""What the packages of several functions have in common: secrets, Slack, and how another system fails."""
