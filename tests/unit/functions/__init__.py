"""Every function of lambda/, with its dependencies gone at each of its steps."""
