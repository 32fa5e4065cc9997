"""Tests of the strip stage; a package so that they can share their builder."""
