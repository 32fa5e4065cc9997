"""Run the command as ``python -m hatch_lambda``."""

from hatch_lambda.cli import main

main()
