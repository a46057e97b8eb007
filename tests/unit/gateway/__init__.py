"""What a deployment of the gateway runs: lambda/migration and lambda/smtp_credentials."""
