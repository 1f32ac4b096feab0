"""`python -m unittest discover -s notebooks/zoo/tests -t notebooks`, or `make zoo-test`."""
