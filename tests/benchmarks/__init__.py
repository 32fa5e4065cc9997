"""Measure hatch-lambda against the documented recipe: `python -m tests.benchmarks`."""
