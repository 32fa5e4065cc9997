"""Tests of the stage ``archive``."""
