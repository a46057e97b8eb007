"""Reports and bills: the functions of lambda/usage."""
