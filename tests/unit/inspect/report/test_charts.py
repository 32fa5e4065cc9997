"""What a chart shows of thousands of files."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hatch_lambda.inspect.report.charts import Leaf, grow, walk


def leaf(group, path, size):
    return Leaf(groups=(group,), path=path, size=size)


NAMES = st.sampled_from(["a", "b", "c/d", "c/e", "c/d/f", "<b>", ""]).filter(bool)


@given(st.lists(st.builds(leaf, st.sampled_from("xyz"), NAMES, st.integers(0, 10**9)), min_size=1))
def test_no_byte_and_no_file_is_lost(leaves):
    """Whatever is put together: a node is at least what is in it, and names are unique."""
    nodes = list(walk(grow("all", leaves)))
    identities = [identity for identity, _, _ in nodes]

    assert nodes[0][2].size == sum(leaf.size for leaf in leaves)
    assert nodes[0][2].files == len(leaves)
    assert len(identities) == len(set(identities))
    assert {parent for _, parent, _ in nodes[1:]} <= set(identities)
    for identity, _, node in nodes:
        assert node.size >= sum(child.size for _, parent, child in nodes if parent == identity)


def test_a_package_of_many_thousand_files_stays_small_and_says_how_many_it_hides():
    """A browser has to draw it."""
    leaves = [leaf("big", f"big/{n % 100}/{n}.py", 100 + n % 7) for n in range(20_000)]
    leaves += [leaf("small", f"small/{n}.py", 1) for n in range(100)]
    nodes = list(walk(grow("all", leaves)))

    assert len(nodes) < 3000
    assert any(node.label == "… 200 small files" for _, _, node in nodes)


def test_a_small_distribution_has_its_details_too():
    """They would all be too small, compared with a large one."""
    leaves = [leaf("big", "big.so", 10**9), leaf("small", "small/a.py", 700), leaf("small", "small/b.py", 300)]
    assert {node.label for _, _, node in walk(grow("all", leaves))} >= {"a.py", "b.py"}


def test_folders_that_hold_one_folder_are_one_step():
    """Nobody wants to click through them."""
    leaves = [leaf("six", "google/api/v1/a.py", 5), leaf("six", "google/api/v1/b.py", 5)]
    assert [node.label for _, _, node in walk(grow("all", leaves))] == ["all", "six", "google/api/v1", "a.py", "b.py"]
