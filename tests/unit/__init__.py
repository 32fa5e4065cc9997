"""The unit tests mirror the modules, and need neither a network nor other programs."""
