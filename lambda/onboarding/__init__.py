"""Self-service accounts: what Slack calls, what makes and closes accounts, and what writes the mails."""
