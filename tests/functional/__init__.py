"""Tests that make real wheels and real zips."""
