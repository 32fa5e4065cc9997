"""The bytecode stage."""
