"""The version of hatch-lambda."""

__version__ = "0.1.0"
