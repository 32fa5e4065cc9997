"""Tests of the stage ``verify``."""
