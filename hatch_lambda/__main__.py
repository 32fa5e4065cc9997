"""Run the command as ``python -m hatch_lambda``."""

from __future__ import annotations

from hatch_lambda.cli import main

main()
