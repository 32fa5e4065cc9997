"""Sizes by folder, as a chart can show them: what is too small to be seen is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FINEST = 1000
"""A file is shown by itself if it has this part of all the bytes,"""
_FINEST_OF_GROUP = 60
"""or this part of its group's: so the count of nodes is bounded, and small groups have details too."""


class Leaf(Struct, frozen=True, kw_only=True):
    """A number of bytes with its place."""

    groups: tuple[str, ...]
    """What it belongs to, outermost first: its distribution, or the rule that took it."""
    path: str
    size: int


class Node(Struct, kw_only=True):
    """A group, a folder, a file, or many small files."""

    label: str
    group: str
    """The outermost group, which gives the colour."""
    size: int = 0
    files: int = 0
    children: dict[str, Node] = field(default_factory=dict)


def grow(name: str, leaves: Iterable[Leaf]) -> Node:
    """Return the root, called *name*, of the tree of *leaves*, in which nothing is too small to be seen."""
    root = Node(label=name, group="")
    for leaf in leaves:
        node = root
        for part in ("", *leaf.groups, *leaf.path.split("/")):
            if part:
                node = node.children.setdefault(part, Node(label=part, group=leaf.groups[0]))
            node.size += leaf.size
            node.files += 1
    finest = root.size / _FINEST
    for group in root.children.values():
        _gather(group, min(finest, group.size / _FINEST_OF_GROUP), is_group=True)
    return root


def walk(node: Node, place: str = "") -> Iterator[tuple[str, str, Node]]:
    """Yield each node below and with *node*: its name in the chart, its parent's, and itself; largest first."""
    parent = place.rpartition("\0")[0] if place else ""
    yield place or "\0", ("\0" if place and not parent else parent), node
    for key, child in sorted(node.children.items(), key=lambda item: (-item[1].size, item[0])):
        yield from walk(child, f"{place}\0{key}" if place else key)


def _gather(node: Node, finest: float, *, is_group: bool = False) -> None:
    """Put the smallest children of each folder together, and folders that hold one folder with it.

    A group keeps its name.
    """
    while len(node.children) == 1 and (only := next(iter(node.children.values()))).children:
        if is_group and only.label != node.label:
            break
        node.label = node.label if is_group else f"{node.label}/{only.label}"
        node.children = only.children
    small = [key for key, child in node.children.items() if child.size < finest]
    if len(small) > 1:
        taken = [node.children.pop(key) for key in small]
        files = sum(child.files for child in taken)
        node.children["\1"] = Node(
            label=f"… {files} small files", group=node.group, size=sum(child.size for child in taken), files=files
        )
    for child in node.children.values():
        if child.children:
            _gather(child, finest)
