"""The tests of a company's own files, whoever has taken the checkout over."""
