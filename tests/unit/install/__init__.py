"""Tests of the stage ``install``."""
