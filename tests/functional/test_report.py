"""The report of a package: the same for the same package, complete, and safe to open."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import zipfile
from collections import Counter
from html.parser import HTMLParser

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from hatch_lambda import api
from hatch_lambda.errors import ConfigurationError, HatchLambdaError, MissingToolError
from tests.functional.coldstart import cold_start
from tests.functional.documents import fits
from tests.support.elf import shared_object
from tests.support.wheels import make_project, make_wheel

HOSTILE = "</script><script>alert(1)</script><b onclick='alert(2)'>&`\" hacked=\"{{ 7 * 7 }}{% raw %}"
NESTED = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {
        "component": {"type": "library", "bom-ref": "wheel", "name": "Native_Lib", "purl": "pkg:pypi/native_lib@1.0"}
    },
    "components": [{"type": "library", "bom-ref": "ssl", "name": "openssl", "version": "3.0.1"}],
    "dependencies": [{"ref": "wheel", "dependsOn": ["ssl"]}],
}
LICENCE = "License-Expression: MIT OR Apache-2.0\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a project with a pure wheel, and one with native code that brings SBOMs along, of which one is broken."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache"))
    info = "native_lib-1.0.dist-info"
    native = {
        "native/__init__.py": "",
        "native/fast.so": shared_object(),
        "native_lib.libs/libgomp-e985bcbb.so.1.0.0": shared_object(),
        f"{info}/sboms/auditwheel.cdx.json": json.dumps(NESTED),
        f"{info}/sboms/broken.json": "{",
    }
    pure = {"pure/__init__.py": "X = 1\n" * 99, "pure/tests/test_x.py": "X = 2\n" * 99, "pure/types.pyi": "X: int\n"}
    wheels = (
        make_wheel(tmp_path / "wheels", "pure", pure, metadata=f"{LICENCE}Requires-Dist: native-lib\n"),
        make_wheel(tmp_path / "wheels", "native-lib", native, metadata="License: BSD 3-Clause\n"),
    )
    return make_project(tmp_path / "service", *wheels, head='[project]\nname = "my_service"\nversion = "2.1"\n')


def read(folder, name="report.json"):
    return json.loads((folder / name).read_bytes())


def components(folder):
    return {one["name"]: one for one in read(folder, "sbom.cdx.json")["components"]}


def properties(component):
    return {one["name"]: one["value"] for one in component["properties"]}


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_the_document_fits_its_schema_and_adds_up(project, tmp_path):
    """Programs rely on it."""
    package = api.build(project)
    written = api.write_report(package, tmp_path / "report")
    document = read(tmp_path / "report")

    fits("report", document)
    assert document["schema_version"] == 2
    assert document["package"]["sha256"] == package.sha256 == hashlib.sha256(package.path.read_bytes()).hexdigest()
    assert document["package"]["content_sha256"] == package.content_sha256
    assert (document["package"]["name"], document["package"]["version"]) == ("my-service", "2.1")
    assert sum(file["bytes"] for file in document["files"]) == document["package"]["unzipped_bytes"]
    saved = sum(change["bytes_before"] - (change["bytes_after"] or 0) for change in document["removed"])
    assert saved == sum(rule["bytes_saved"] for rule in document["rules"]) > 0
    assert {rule["name"] for rule in document["rules"]} >= {"tests", "type-stubs"}
    assert [stage["name"] for stage in document["stages"]] == [stage.name for stage in package.stages]
    assert written.document.read_bytes() == (tmp_path / "report" / "report.json").read_bytes()


def test_the_same_package_has_the_same_report_wherever_it_is(project, tmp_path):
    """No date, duration, path of the machine or order of a set may be in it."""
    other = make_project(tmp_path / "elsewhere" / "service", *sorted((tmp_path / "wheels").iterdir(), reverse=True))
    (other / "pyproject.toml").write_text((project / "pyproject.toml").read_text())
    reports = []
    for folder, seed in ((project, "1"), (other, "2")):
        command = [sys.executable, "-m", "hatch_lambda", "build", "--report", str(folder / "made"), "--json"]
        environment = {**api.os.environ, "PYTHONHASHSEED": seed, "HATCH_LAMBDA_CACHE_DIR": str(folder / "cache")}  # type: ignore[attr-defined]
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        reports.append({path.name: path.read_bytes() for path in (folder / "made").iterdir()})

    assert reports[0] == reports[1]
    assert set(reports[0]) == {"report.json", "report.html", "sbom.cdx.json"}
    assert not [name for name, content in reports[0].items() if str(tmp_path).encode() in content]


def test_writing_it_again_changes_nothing(project, tmp_path):
    """Not even the comparison, which is still the one with the package before."""
    first = api.build(project)
    api.write_report(first, tmp_path / "report")
    (project / "app.py").write_text("def handler(event, context):\n    return 'longer than before'\n")
    for _ in range(2):
        package = api.build(project)
        api.write_report(package, tmp_path / "report")
        comparison = read(tmp_path / "report")["comparison"]
        assert (comparison["sha256"], comparison["changed"]) == (first.sha256, 1)
        assert [one["name"] for one in comparison["distributions"]] == ["(others)"]


def test_it_says_what_grew_by_distribution_and_folder(tmp_path):
    """Each with its versions."""
    info = "one-{}.dist-info/METADATA"
    metadata = "Metadata-Version: 2.1\nName: one\nVersion: {}\n"
    before = make_zip(
        tmp_path / "a.zip", {"one/x/a.py": "1" * 10, info.format("1"): metadata.format("1"), "app.py": ""}
    )
    after = make_zip(tmp_path / "b.zip", {"one/x/a.py": "1" * 90, info.format("2"): metadata.format("2"), "new.py": ""})
    api.write_report(before, tmp_path / "before")
    api.write_report(after, tmp_path / "after", previous=tmp_path / "before" / "report.json")
    comparison = read(tmp_path / "after")["comparison"]

    assert (comparison["added"], comparison["removed"], comparison["changed"]) == (2, 2, 1)
    assert comparison["distributions"] == [
        {"name": "one", "before": 53, "after": 133, "version_before": "1", "version_after": "2"}
    ]
    assert {one["name"]: one["after"] - one["before"] for one in comparison["folders"]} == {
        "one": 80,
        "one/x": 80,
        "one-1.dist-info": -43,
        "one-2.dist-info": 43,
    }
    page = (tmp_path / "after" / "report.html").read_text(encoding="utf-8")
    assert "1 → 2" in page


def test_the_bill_of_materials_is_valid_and_names_every_distribution_of_the_package(project, tmp_path):
    """With licence, locked wheel, requirements, native code, and what its own SBOM lists."""
    package = api.build(project)
    api.write_report(package, tmp_path / "report")
    document, found = read(tmp_path / "report", "sbom.cdx.json"), components(tmp_path / "report")
    text = (tmp_path / "report" / "sbom.cdx.json").read_text()

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert set(found) == {file.distribution for file in package.tree if file.distribution} == {"pure", "native-lib"}
    assert found["pure"]["purl"] == "pkg:pypi/pure@1.0"
    assert found["pure"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert found["native-lib"]["licenses"] == [{"license": {"name": "BSD 3-Clause"}}]
    wheel = next((tmp_path / "wheels").glob("pure*"))
    (reference,) = found["pure"]["externalReferences"]
    assert reference["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}]
    assert reference["url"].endswith(f"?file_name={wheel.name}")
    inside = {one["name"]: one for one in found["native-lib"]["components"]}
    assert set(inside) == {"native/fast.so", "libgomp", "openssl"}
    assert inside["libgomp"]["version"] == "1.0.0"
    with zipfile.ZipFile(package.path) as archive:
        fast = hashlib.sha256(archive.read("native/fast.so")).hexdigest()
    assert inside["native/fast.so"]["hashes"] == [{"alg": "SHA-256", "content": fast}]
    edges = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert edges["package"] == ["pkg:pypi/pure@1.0"]
    assert edges["pkg:pypi/pure@1.0"] == ["pkg:pypi/native-lib@1.0"]
    assert edges["pkg:pypi/native-lib@1.0"] == [inside["openssl"]["bom-ref"]]
    assert properties(found["native-lib"])["hatch-lambda:sbom-not-read"].endswith("sboms/broken.json")
    assert properties(found["pure"])["hatch-lambda:slimmed:tests"] == "1 files, 594 bytes"
    root = document["metadata"]["component"]
    assert root["hashes"] == [{"alg": "SHA-256", "content": package.sha256}]
    assert "timestamp" not in document["metadata"]


def test_removing_all_metadata_does_not_blind_scanners(project, tmp_path):
    """The bill of materials says the same about distributions, even out of the cache."""
    api.write_report(api.build(project), tmp_path / "kept")
    for number in range(2):
        package = api.build(project, dist_info="remove", output=str(tmp_path / f"{number}.zip"))
        api.write_report(package, tmp_path / "removed")
        kept, removed = components(tmp_path / "kept"), components(tmp_path / "removed")
        assert not any(".dist-info/" in file.path for file in package.tree)
        for name, one in kept.items():
            same = ("purl", "licenses", "externalReferences")
            assert {key: removed[name][key] for key in same} == {key: one[key] for key in same}
            assert [part["name"] for part in one.get("components", ())] == [
                part["name"] for part in removed[name].get("components", ())
            ]


def test_only_source_date_epoch_gives_it_a_date(project, tmp_path, monkeypatch):
    """And another serial number, as it is another document."""
    package = api.build(project)
    api.write_report(package, tmp_path / "undated")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    api.write_report(package, tmp_path / "dated")
    dated, undated = (read(tmp_path / name, "sbom.cdx.json") for name in ("dated", "undated"))

    assert dated["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    assert dated["serialNumber"] != undated["serialNumber"]


def test_it_looks_into_what_other_tools_made(tmp_path):
    """By RECORD, by names and in layers; what nobody claims is nobody's."""
    metadata = "Metadata-Version: 2.1\nName: {}\nVersion: 3\n"
    made = make_zip(
        tmp_path / "layer.zip",
        {
            "python/Some.Thing-3.dist-info/METADATA": metadata.format("Some.Thing"),
            "python/Some.Thing-3.dist-info/RECORD": "odd_name/a.py,,\nSome.Thing-3.dist-info/RECORD,,\n",
            "python/odd_name/a.py": "",
            "python/space_api-3.dist-info/METADATA": metadata.format("space-api"),
            "python/space/api/b.py": "b" * 7,
            "python/space/_fast.cpython-312-aarch64-linux-gnu.so": shared_object(),
            "python/mine.py": "m",
        },
    )
    api.write_report(made, tmp_path / "report")
    document = read(tmp_path / "report")

    owners = {file["path"]: file["distribution"] for file in document["files"]}
    assert owners["python/odd_name/a.py"] == "some-thing"
    assert owners["python/space/api/b.py"] == "space-api"
    assert owners["python/mine.py"] is None
    assert (document["package"]["runtime"], document["package"]["architecture"]) == ("python3.12", "arm64")
    assert set(components(tmp_path / "report")) == {"some-thing", "space-api"}


def test_it_tells_what_an_audit_of_the_zip_finds(tmp_path):
    """Not only of packages that a build made."""
    package = make_zip(
        tmp_path / "a.zip", {"app.py": "", ".env": "KEY=1", "m.cpython-313-darwin.so": b"\xcf\xfa\xed\xfe"}
    )
    api.write_report(package, tmp_path / "report")
    told = {(found["code"], found["severity"]) for found in read(tmp_path / "report")["findings"]}
    assert told == {(found.code, found.severity.value) for found in api.verify_package(package).findings}
    assert {code for code, _ in told} >= {"HL108", "HL119"}


class Elements(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.policies, self.text = Counter(), set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self.policies += [value for name, value in attrs if name == "content" and "script-src" in value]

    def handle_data(self, data):
        self.text += data if self.lasttag != "script" else ""


def test_a_hostile_name_is_only_a_name(tmp_path):
    """Neither markup nor a script may come out of a package."""
    (tmp_path / "times.json").write_bytes(cold_start((HOSTILE, 20.0)))
    for number in range(2):
        hostile = {
            f"{HOSTILE}/{HOSTILE}.py": "1" * number,
            f"{HOSTILE}/m.cpython-313-darwin.so": b"\xcf\xfa\xed\xfe",
            f"{HOSTILE}-1.dist-info/METADATA": f"Name: {HOSTILE}\nVersion: {number}{HOSTILE}\nLicense: {HOSTILE}\n",
        }
        made = make_zip(tmp_path / f"a-{HOSTILE.replace('/', '')}.zip", hostile)
        api.write_report(made, tmp_path / "report", coldstart=tmp_path / "times.json")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")

    seen = Elements(page)
    assert seen.tags["script"] == 3
    assert not {"b", "img"} & set(seen.tags)
    assert not {"onclick", "hacked"} & seen.attributes
    assert [policy.count("'sha256-") for policy in seen.policies] == [2]
    assert all(part in seen.text for part in ("alert(1)", "alert(2)", "{{ 7 * 7 }}{% raw %}"))
    text = (tmp_path / "report" / "sbom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_a_file_that_is_no_report_is_left_alone(tmp_path):
    """Somebody else's ``report.json`` may be the only copy."""
    made = make_zip(tmp_path / "a.zip", {"a.py": ""})
    (tmp_path / "report.json").write_text('{"tests": 12}')
    with pytest.raises(ConfigurationError, match=r"report\.json: not a report"):
        api.write_report(made, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "report.json"]
    (tmp_path / "report.json").write_text('{"version": 99, "generator": "hatch-lambda 9.0"}')
    assert api.write_report(made, tmp_path).report.comparison is None


@pytest.mark.parametrize("previous", [False, True])
@pytest.mark.parametrize("name", ["report.json", "report.html", "sbom.cdx.json"])
def test_no_part_of_a_report_takes_the_place_of_anything_else(tmp_path, name, previous):
    """Other tools have reports and bills of materials, too; one of ours is written over, a link never."""
    made, options = make_zip(tmp_path / "a.zip", {"a.py": ""}), {}
    if previous:
        options["previous"] = api.write_report(made, tmp_path / "before").document
    theirs = tmp_path / "report" / name
    theirs.parent.mkdir()
    for content in ('{"components": [{"name": "hatch-lambda"}]}', "<title>Coverage</title>"):
        theirs.write_text(content)
        with pytest.raises(ConfigurationError, match=rf"{re.escape(name)}: (not a report|hatch-lambda did not write)"):
            api.write_report(made, tmp_path / "report", **options)
        assert [path.name for path in theirs.parent.iterdir()] == [name]
        assert theirs.read_text() == content
    theirs.unlink()
    api.write_report(made, tmp_path / "report", **options)
    api.write_report(made, tmp_path / "report", **options)


def test_import_times_are_shown_longest_first(tmp_path):
    """As `hatch-lambda coldstart --json` measured them."""
    made = make_zip(tmp_path / "a.zip", {"a.py": ""})
    times = cold_start(("short", 1.0), ("long", 20.0), zip_bytes=made.stat().st_size)
    (tmp_path / "times.json").write_bytes(times)
    written = api.write_report(made, tmp_path / "report", coldstart=tmp_path / "times.json")
    assert [cost.owner for cost in written.report.imports] == ["long", "short"]

    (tmp_path / "times.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="no import times"):
        api.write_report(made, tmp_path / "report", coldstart=tmp_path / "times.json")


def test_an_empty_package_has_a_report_too(tmp_path):
    """Every part of the page says why it has nothing to show."""
    api.write_report(make_zip(tmp_path / "a.zip", {}), tmp_path / "report")
    assert "No distribution is in the package." in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "truncated"),
        (lambda _: b"hello", "not a zip"),
        (lambda content: content.replace(b"good/name.py", b"../../nam.py"), "would leave the package"),
    ],
    ids=["truncated", "no-zip", "traversal"],
)
def test_a_zip_that_nobody_should_trust_is_one_clear_line(damage, message, tmp_path):
    """And no report of it is written."""
    made = make_zip(tmp_path / "a.zip", {"good/name.py": "X = 1\n" * 99})
    made.write_bytes(damage(made.read_bytes()))
    with pytest.raises(HatchLambdaError, match=message):
        api.write_report(made, tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("missing", ["plotly", "cyclonedx", "jinja2"])
def test_without_the_extra_it_says_how_to_get_it_before_anything_is_built(missing, tmp_path, monkeypatch):
    """A minute's build must not be thrown away for it."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingToolError, match=rf"{missing} .*\n.*pip install 'hatch-lambda\[report\]'"):
        api.write_report(tmp_path / "none.zip", tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    """Not a traceback."""
    made = make_zip(tmp_path / "a.zip", {"a.py": ""})
    with pytest.raises(HatchLambdaError, match=r"a\.zip"):
        api.write_report(made, made / "report")
