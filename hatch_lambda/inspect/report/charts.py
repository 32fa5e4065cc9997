"""The charts of the page, as plotly describes them; colours of the theme are the page's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from hatch_lambda.core.text import size
from hatch_lambda.inspect.report.document import OTHERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_lambda.inspect.report.document import Growth, PackagedFile, Report
    from hatch_lambda.inspect.run.coldstart import Cost


# White stands out from each by 4.7 to 1, as WCAG 2.2 asks for at level AA.
_PALETTE = (
    "#3b6fb6",
    "#ad5f31",
    "#397f6c",
    "#a4527f",
    "#7a63b8",
    "#886f19",
    "#367b93",
    "#b5524e",
    "#547f35",
    "#86624a",
)
_OTHER = "#6b747f"
"""Of groups that are too many for a colour of their own."""
_SHADE, _DARKEST = 0.09, 0.75
_LEGIBLE = {"minsize": 12, "mode": "hide"}
_LONGEST_BARS = 15
_DEPTH = 4
"""Levels of the tree that are seen at once."""


def contents(report: Report, title: str) -> dict[str, Any] | None:
    """Draw what is in the package, by distribution and folder; None for an empty one."""
    built = report.package.name is not None

    def group(file: PackagedFile) -> str:
        return file.owner or ("(project)" if built else file.path.partition("/")[0])

    return _treemap(title, (Leaf(groups=(group(file),), path=file.path, size=file.size) for file in report.files))


def removed(report: Report) -> dict[str, Any] | None:
    """Draw what was taken out, by rule, distribution and folder; None where nothing was."""
    leaves = [
        Leaf(groups=(change.rule, change.distribution or OTHERS), path=change.path, size=change.saved)
        for change in report.removed
        if change.saved > 0
    ]
    return _treemap("all that was removed", leaves)


def imports(times: Sequence[Cost]) -> dict[str, Any] | None:
    """Draw how long each distribution's modules take, most first; None where nothing was measured."""
    shown, rest = times[:_LONGEST_BARS], times[_LONGEST_BARS:]
    rows = [(time.owner, time.self_ms) for time in shown]
    if rest:
        rows.append((f"{len(rest)} others", sum(time.self_ms for time in rest)))
    return _bars([name for name, _ in rows], [ms for _, ms in rows], [f"{ms:.0f} ms" for _, ms in rows])


def growth(changes: Sequence[Growth]) -> dict[str, Any] | None:
    """Draw by how much each distribution grew or shrank, most first; None where none did."""
    rows = [(one.name, one.after - one.before) for one in changes if one.after != one.before][:_LONGEST_BARS]
    return _bars([name for name, _ in rows], [grown for _, grown in rows], [signed(grown) for _, grown in rows])


def signed(grown: int) -> str:
    """Return a difference in bytes as people say it."""
    return f"{'−' if grown < 0 else '+'}{size(abs(grown))}"  # noqa: RUF001 - a minus, not a hyphen


def _treemap(name: str, leaves: Iterable[Leaf]) -> dict[str, Any] | None:
    from plotly import graph_objects

    root = grow(name, leaves)
    if not root.size:
        return None
    colours = _colours(root)
    nodes = list(walk(root))
    trace = graph_objects.Treemap(
        ids=[identity for identity, _, _ in nodes],
        parents=[parent for _, parent, _ in nodes],
        labels=[_plain(node.label) for _, _, node in nodes],
        values=[node.size for _, _, node in nodes],
        text=[size(node.size) for _, _, node in nodes],
        customdata=[f"{node.files} file{'s' * (node.files != 1)}" for _, _, node in nodes],
        marker={
            "colors": [_shade(colours.get(node.group), identity.count("\0")) for identity, _, node in nodes],
            "cornerradius": 4,
            "pad": {"t": 24, "l": 3, "r": 3, "b": 3},
            "line": {"width": [0] + [1] * (len(nodes) - 1), "color": "rgba(0,0,0,0.25)"},
            "depthfade": False,
        },
        branchvalues="total",
        maxdepth=_DEPTH,
        sort=True,
        texttemplate="%{label}<br>%{text}",
        hovertemplate="<b>%{label}</b><br>%{text} · %{customdata}<br>%{percentRoot:.1%} of all<extra></extra>",
        textfont={"color": "#ffffff", "size": 13},
        tiling={"packing": "squarify", "pad": 2, "squarifyratio": 1.2},
        pathbar={"visible": False},
    )
    figure: dict[str, Any] = graph_objects.Figure(
        trace, layout={"template": None, "uniformtext": _LEGIBLE}
    ).to_plotly_json()
    return figure


def _bars(names: Sequence[str], values: Sequence[float], texts: Sequence[str]) -> dict[str, Any] | None:
    if not names:
        return None
    from plotly import graph_objects

    trace = graph_objects.Bar(
        y=[_plain(name) for name in names],
        x=list(values),
        text=list(texts),
        orientation="h",
        textposition="outside",
        cliponaxis=False,
        hovertemplate="<b>%{y}</b><br>%{text}<extra></extra>",
        meta=["grown" if value > 0 else "shrunk" for value in values],
    )
    layout = {
        "template": None,
        "height": 60 + 30 * len(names),
        "yaxis": {
            "autorange": "reversed",
            "automargin": True,
            "ticklabelstandoff": 8,
            "showgrid": False,
            "type": "category",
        },
        "xaxis": {"visible": False, "zeroline": True},
        "bargap": 0.3,
    }
    figure: dict[str, Any] = graph_objects.Figure(trace, layout=layout).to_plotly_json()
    return figure


def _colours(root: Node) -> dict[str, str]:
    """Give the largest groups a colour each."""
    names = sorted(root.children, key=lambda name: (-root.children[name].size, name))
    own = dict(zip(names, _PALETTE, strict=False))
    return {name: own.get(name, _OTHER) for name in names}


def _shade(colour: str | None, depth: int) -> str:
    """Return *colour* a little darker for each level down; no colour for the root."""
    if colour is None:
        return "rgba(0,0,0,0)"
    kept = max(_DARKEST, 1 - _SHADE * depth)
    return "#" + "".join(f"{round(int(colour[at : at + 2], 16) * kept):02x}" for at in (1, 3, 5))


def _plain(text: str) -> str:
    """Return *text* so that plotly, which knows some of HTML, shows it as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


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
