"""The tests: ``python -m tests`` sets them up and runs them."""
