"""The figures as people read them."""

from __future__ import annotations

from typing import Any

from rich.table import Table

MB = 1_000_000


def workload_title(name: str, result: dict[str, Any]) -> str:
    """Return the sizes of one workload's packages in a line."""
    sizes = result["sizes"]
    return (
        f"{name}: zip {sizes['ours']['zip'] / MB:.1f} MB, the recipe's {sizes['recipe']['zip'] / MB:.1f} MB;"
        f" unzipped {sizes['ours']['unzipped'] / MB:.1f} and {sizes['recipe']['unzipped'] / MB:.1f} MB;"
        f" of the same files {sizes['the same files']:.3f} of the recipe's zip"
    )


def workload_table(result: dict[str, Any]) -> Table:
    """Return the times of one workload."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("wall s", "CPU s", "peak MB", "/ recipe", "/ limit"):
        table.add_column(heading, justify="right")
    for kind, figures in result["figures"].items():
        table.add_row(
            kind,
            f"{figures['wall']:.2f}",
            f"{figures['cpu']:.2f}",
            f"{figures['peak'] / MB:.0f}",
            f"{figures['wall'] / result['figures']['recipe']['wall']:.3f}",
            f"{figures['wall'] / result['figures']['limit']['wall']:.1f}",
        )
    return table


def ratios_table(result: dict[str, Any]) -> Table:
    """Return figures, and the ratios of some below them: of bytecode, and of start-up."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("wall s", "CPU s", "peak MB"):
        table.add_column(heading, justify="right")
    for kind, figures in result["figures"].items():
        table.add_row(kind, f"{figures['wall']:.3f}", f"{figures['cpu']:.3f}", f"{figures['peak'] / MB:.0f}")
    for kind, ratio in result["ratios"].items():
        table.add_row(kind, f"{ratio:.2f}")
    return table


def functions_table(result: dict[str, Any]) -> Table:
    """Return the figures of many functions."""
    table = Table(box=None, pad_edge=False)
    for heading in ("functions", "wall s", "CPU s", "peak MB", "/ one"):
        table.add_column(heading, justify="right")
    for count, figures in result.items():
        table.add_row(
            count,
            f"{figures['wall']:.2f}",
            f"{figures['cpu']:.2f}",
            f"{figures['peak'] / MB:.0f}",
            f"{figures['ratio']:.1f}",
        )
    return table
