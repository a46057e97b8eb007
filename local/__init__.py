"""What `make up` runs on this machine in the place of AWS, the providers and everything else outside."""
