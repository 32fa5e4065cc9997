"""What the strip stage promises about a tree."""

import os
import threading

import pytest

from hatch_lambda.config.settings import StripSettings
from hatch_lambda.core.elf.tables import Unstrippable
from hatch_lambda.core.model import File, Severity, Silent, Stage, Tree
from hatch_lambda.stages.strip import tree as file_module
from hatch_lambda.stages.strip.tree import strip_tree
from tests.support.elf import AARCH64, shared_object

SHARED = shared_object()
SETTINGS = StripSettings()


@pytest.fixture
def make(tmp_path):
    def make(files):
        root = tmp_path / "installed"
        for path, data in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return Tree.of(
            File(path=path, source=root / path, size=len(data), distribution="demo") for path, data in files.items()
        )

    return make


@pytest.fixture
def run(tmp_path):
    def run(tree, settings=SETTINGS, progress=None, **more):
        return strip_tree(tree, settings, tmp_path / "work", progress or Silent(), **{"jobs": 2, **more})

    return run


def test_objects_are_found_by_content_not_by_name(make, run):
    tree = make({"a/libfoo-1a2b.so.1.2": SHARED, "a/notes.so": b"text" * 100, "b/tool": SHARED})
    _, changes, findings = run(tree)
    assert [change.path for change in changes] == ["a/libfoo-1a2b.so.1.2", "b/tool"]
    assert findings == ()


def test_a_change_says_what_was_done(make, run):
    tree, (change,), _ = run(make({"a.so": SHARED}))
    assert change.stage is Stage.STRIP
    assert (change.rule, change.reason) == ("strip", "symbols and debugging information")
    assert (change.before, change.after) == (len(SHARED), tree.files[0].size)
    assert change.distribution == "demo"


def test_the_new_tree_points_to_smaller_files_and_is_otherwise_the_same(make, run, tmp_path):
    before = make({"a.so": SHARED, "b.py": b"pass"})
    after, _, _ = run(before)
    old, new = before.files[0], after.files[0]
    assert new.source.read_bytes() != SHARED
    assert new.size == new.source.stat().st_size < old.size
    assert (tmp_path / "work" / "stripped") in new.source.parents
    assert (new.path, new.executable, new.distribution) == (old.path, old.executable, old.distribution)
    assert after.files[1] == before.files[1]


def test_a_hard_linked_original_keeps_its_bytes(make, run, tmp_path):
    tree = make({"a.so": SHARED})
    cached = tmp_path / "cache.so"
    os.link(tree.files[0].source, cached)
    status = cached.stat()
    after, _, _ = run(tree)
    assert cached.read_bytes() == SHARED
    assert cached.stat().st_mtime_ns == status.st_mtime_ns
    assert after.files[0].source.stat().st_nlink == 1


def test_a_refused_object_stays_with_a_note_that_says_why(make, run):
    tree = make({"a.so": SHARED + b"PK\3\4 a zip file"})
    after, changes, (finding,) = run(tree)
    assert after == tree
    assert changes == ()
    assert (finding.code, finding.severity, finding.path) == ("HL020", Severity.NOTE, "a.so")
    assert finding.message == "not stripped: data is appended to it"


def test_an_object_that_does_not_get_smaller_stays_without_a_word(make, run):
    first, _, _ = run(make({"a.so": SHARED}))
    again, changes, findings = run(first)
    assert again == first
    assert (changes, findings) == ((), ())


def test_a_failed_proof_keeps_the_original(make, run, monkeypatch):
    def fail(original, stripped, *, realigned):
        raise Unstrippable("the proof failed: on purpose")

    monkeypatch.setattr(file_module, "prove", fail)
    tree = make({"a.so": SHARED})
    after, changes, (finding,) = run(tree)
    assert after == tree
    assert changes == ()
    assert finding.message == "not stripped: the proof failed: on purpose"


def test_objects_are_realigned_only_where_the_policy_says_so(make, run):
    tree = make({"a.so": shared_object(machine=AARCH64, align=0x10000)})
    plain, *_ = run(tree)
    realigned, (change,), _ = run(tree, realign=True)
    assert realigned.size < plain.size
    assert change.after == realigned.size


def test_an_excluded_object_stays_without_a_finding(make, run):
    tree = make({"a/x.so": SHARED, "b/x.so": SHARED, "b/y.so": SHARED})
    _, changes, findings = run(tree, StripSettings(exclude=("b/*", "!b/y.so")))
    assert [change.path for change in changes] == ["a/x.so", "b/y.so"]
    assert findings == ()


def test_a_switched_off_stage_does_nothing(make, run):
    tree = make({"a.so": SHARED})
    assert run(tree, StripSettings(enabled=False)) == (tree, (), ())


@pytest.mark.parametrize(
    "sidecar",
    [
        "lib/.libssl.so.3.hmac",
        "lib/libssl.so.3.hmac",
        "lib/libssl.so.3.sha256",
        "lib/fipscheck/libssl.so.3.hmac",
        "lib/libssl.chk",
    ],
)
def test_what_has_a_digest_beside_it_stays(make, run, sidecar):
    tree = make({"lib/libssl.so.3": SHARED, sidecar: b"0123", "other/libssl.so.3": SHARED})
    _, (change,), (finding,) = run(tree)
    assert change.path == "other/libssl.so.3"
    assert finding.path == "lib/libssl.so.3"
    assert sidecar in finding.message


def test_openssl_s_fips_module_stays(make, run):
    _, changes, (finding,) = run(make({"ossl-modules/fips.so": SHARED}))
    assert changes == ()
    assert "FIPS" in finding.message


def test_small_files_are_not_opened(run, tmp_path):
    tree = Tree.of([File(path="a.so", source=tmp_path / "missing", size=63)])
    assert run(tree) == (tree, (), ())


def test_the_largest_object_comes_first_and_progress_is_told(make, run):
    class Told:
        started = ()
        count = 0
        lock = threading.Lock()

        def start(self, stage, total):
            self.started = (stage, total)

        def advance(self, amount=1):
            with self.lock:
                self.count += amount

    told = Told()
    tree = make({"a.so": shared_object(symbols=10), "b.so": SHARED, "c.py": b"x" * 100})
    after, _, _ = run(tree, progress=told, jobs=1)
    assert told.started == ("strip", 2)
    assert told.count == 2
    assert [file.source.name for file in after.files[:2]] == ["1.so", "0.so"]


def test_any_number_of_jobs_gives_the_same_bytes(make, run):
    tree = make({f"{number}.so": shared_object(symbols=number * 50) for number in range(1, 9)})
    results = [run(tree, jobs=jobs) for jobs in (1, 4)]
    contents = [[file.source.read_bytes() for file in result[0]] for result in results]
    assert contents[0] == contents[1]
    assert results[0][1:] == results[1][1:]
