"""Tests of running packages."""
