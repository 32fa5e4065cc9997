"""Whatever bytes stand where a document is read: one error with place, fact and remedy, in bounded time and memory."""

from __future__ import annotations

import json
import os
import signal
import socket

import pytest
from click.testing import CliRunner

from hatch_lambda.cli.commands import hatch_lambda
from hatch_lambda.errors import HatchLambdaError
from tests.support.wheels import make_project, make_wheel, pylock

CONFIGURATION, LOCK, INSTALL, ARCHIVE = range(3, 7)
SECONDS = 20
"""More than any of these takes under load, and less than a test that waits for a pipe, or for the end of time."""

LOCKS = ("uv.lock", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt")
HEAD = '[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "none"\n'
HASH = "--hash=sha256:" + "0" * 64

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes, sockets and alarms are those of POSIX")


class TooLongError(BaseException):
    """Nothing that the program catches."""


@pytest.fixture(autouse=True)
def bounded():
    """End a test that takes too long, and again if it waits for something else then."""

    def stop(*_):
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS, 1)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Give a project that can be built, as the current folder, with caches of its own and no network."""
    for name, value in (
        ("UV_OFFLINE", "1"),
        ("UV_PYTHON_DOWNLOADS", "never"),
        ("UV_CACHE_DIR", str(tmp_path / "uv")),
        ("HATCH_LAMBDA_CACHE_DIR", str(tmp_path / "cache")),
    ):
        monkeypatch.setenv(name, value)
    project = make_project(tmp_path / "service")
    (project / ".gitignore").write_text("/layer.zip\n/link\n/circle\n")
    monkeypatch.chdir(project)
    return project


def run(*arguments):
    """Run a command in this process and return its error, as ``main`` would print it, or None."""
    error = CliRunner().invoke(hatch_lambda, list(arguments or ("build",)), standalone_mode=False).exception
    if error is None or isinstance(error, HatchLambdaError):
        return error
    raise error


def refused(code, *words, arguments=()):
    error = run(*arguments)
    assert error is not None
    assert error.exit_code == code, error
    assert error.hint, error
    assert len(str(error)) < 2000
    for word in words:
        assert word in str(error), error


def with_lock(project, name, content):
    (project / "pylock.toml").unlink()
    path = project / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def make(path, kind):
    """Put something at *path* that is no file with a document in it."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)  # a whole path may be too long for it
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "circle":
        path.symlink_to(path.name)
    else:
        with path.open("wb") as stream:
            stream.truncate(2 << 30)


FACTS = {
    "pipe": "it is a named pipe, not a file",
    "folder": "it is a folder, not a file",
    "socket": "it is a socket, not a file",
    "device": "it is a device, not a file",
    "circle": "Too many levels of symbolic links",
    "two gigabytes": "it has 2 147 483 648 bytes",
}
by_kind = pytest.mark.parametrize("kind", FACTS)


@by_kind
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_a_regular_file_of_bounded_size(name, kind, project):
    """Uv would wait for a pipe, too, and beside a link to nowhere make a new lock."""
    (project / "pylock.toml").unlink()
    make(project / name, kind)
    refused(LOCK, f"{name}: {FACTS[kind]}")


@by_kind
def test_settings_are_a_regular_file_of_bounded_size(kind, project):
    (project / "pyproject.toml").unlink()
    make(project / "pyproject.toml", kind)
    refused(CONFIGURATION, "pyproject.toml: ", FACTS[kind])


@by_kind
@pytest.mark.parametrize("option", ["-r", "-c"])
def test_included_requirements_are_a_regular_file_of_bounded_size(option, kind, project):
    with_lock(project, "requirements.txt", f"\n{option} more.txt\n")
    make(project / "more.txt", kind)
    refused(LOCK, "requirements.txt:2: ", FACTS[kind])


@by_kind
def test_an_event_is_a_regular_file_of_bounded_size(kind, project):
    make(project / "event.json", kind)
    arguments = ("invoke", "a.zip", "-e", "event.json", "--handler", "a.b", "--runtime", "python3.13")
    refused(CONFIGURATION, f"event.json: {FACTS[kind]}" if kind != "circle" else FACTS[kind], arguments=arguments)


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device", "circle"])
def test_a_layer_and_a_package_are_regular_files(kind, project):
    make(project / "layer.zip", kind)
    (project / "pyproject.toml").write_text(f'{HEAD}layers = ["layer.zip"]\n')
    refused(ARCHIVE, "layer.zip: ", FACTS[kind])
    if kind != "folder":  # which is looked at like a zip
        refused(ARCHIVE, "layer.zip: ", FACTS[kind], arguments=("verify", "layer.zip"))


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "circle"])
def test_what_is_included_or_vendored_is_a_file_or_a_folder(kind, project):
    (project / ".gitignore").write_text("/data\n*.whl\n")
    make(project / "data", kind)
    (project / "pyproject.toml").write_text(f'{HEAD}include = [{{ source = "data", target = "data" }}]\n')
    refused(CONFIGURATION, "tool.lambda-slim", "'data'")
    (project / "data").rename(project / "a-1-py3-none-any.whl")
    (project / "pyproject.toml").write_text(f'{HEAD}vendor = ["a-1-py3-none-any.whl"]\n')
    refused(CONFIGURATION, "tool.lambda-slim.vendor", "'a-1-py3-none-any.whl'")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_gitignore_that_is_no_file_ignores_nothing(kind, project):
    """As for git."""
    (project / ".gitignore").unlink()
    make(project / ".gitignore", kind)
    assert run() is None


DIGITS = "1" * 5000
HOSTILE_TOML = {
    "digits": (f"a = {DIGITS}", "an integer has thousands of digits"),
    "hexadecimal": ("a = 0o" + "7" * 9000, None),
    "lists": ("a = " + "[" * 5000, "nested more than 100 levels deep"),
    "closed lists": ("a = " + "[" * 150 + "]" * 150, "nested more than 100 levels deep"),
    "tables": ("a = " + "{a = " * 5000, "nested more than 100 levels deep"),
    "dotted key": ("a." * 20_000 + "a = 1", "a key has more than 100 parts"),
    "dotted table": ("[" + "a . " * 20_000 + "a]\nb = 1", "a key has more than 100 parts"),
    "quoted parts": ('"a.b".' * 20_000 + "a = 1", "a key has more than 100 parts"),
    "UTF-16": ("a = 1\n".encode("utf-16"), "it is UTF-16, not UTF-8"),
    "UTF-32": ("a = 1\n".encode("utf-32"), "it is UTF-32, not UTF-8"),
    "Latin-1": ("# é\n".encode("latin-1"), "it is not UTF-8"),
    "NUL": (b"a = 1\0\n", "NUL characters"),
    "YAML": ("a:\n  - b\n", "not valid TOML"),
    "half of a file": ('[a]\nb = "c', "not valid TOML"),
}


@pytest.mark.parametrize("case", [case for case, (_, fact) in HOSTILE_TOML.items() if fact])
@pytest.mark.parametrize("name", ["pyproject.toml", "pylock.toml", "poetry.lock", "pdm.lock", "Pipfile"])
def test_toml_of_any_bytes_is_read_or_refused(name, case, project):
    """Its parser raises ValueError and RecursionError, too, and takes the square of a key's length."""
    content, fact = HOSTILE_TOML[case]
    if name == "Pipfile":
        with_lock(project, "Pipfile.lock", '{"_meta": {"hash": {"sha256": ""}}}')
    elif name != "pyproject.toml":
        (project / "pylock.toml").unlink()
    (project / name).write_bytes(content if isinstance(content, bytes) else content.encode())  # type: ignore[attr-defined]
    refused(CONFIGURATION if name == "pyproject.toml" else LOCK, f"{name}: ", fact)


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (f'{{"_meta": {DIGITS}}}', "an integer has thousands of digits"),
        ("[" * 5000, "nested more than 100 levels deep"),
        ('{"a": ' * 5000, "nested more than 100 levels deep"),
        ('{"a": NaN}', "NaN is no number"),
        (b"\xff\xfe\x00\x00", "not UTF-8"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        ('{"_meta": {"hash": {}}, "default": {"a": {"path": "\\u0000"}}}', "has a NUL character"),
        ('{"_meta": {"hash": {}}, "default": {"a": {"path": "\\ud800"}}}', "has what is not UTF-8"),
        ("null", "hint: run `pipenv lock`"),
        ('{"_meta"', "not valid JSON"),
        ('{"_meta": {"hash": {}}, "default": []}', "hint: run `pipenv lock`"),
        ('{"_meta": {"hash": {}}, "default": null}', "hint: run `pipenv lock`"),
    ],
)
def test_json_of_any_bytes_is_read_or_refused(content, fact, project):
    with_lock(project, "Pipfile.lock", content)
    refused(LOCK, "Pipfile.lock: ", fact)


@pytest.mark.parametrize("content", ["[" * 5000, DIGITS[:4300] + "0", "NaN", "", b"\xff", b"[1]\0", "{'a': 1}"])
def test_an_event_of_any_bytes_is_read_or_refused(content, project):
    (project / "event.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    arguments = ("invoke", "a.zip", "-e", "event.json", "--handler", "a.b", "--runtime", "python3.13")
    refused(CONFIGURATION, "event.json: ", arguments=arguments)


@pytest.mark.parametrize(
    "line",
    [
        "a==1 " + " " * 200_000 + "x",
        "a==1 " + HASH + " " * 200_000 + "x#",
        " " * 200_000 + "a",
        "a" + "-" * 200_000,
        "a==" + "1" * 5000,
        "a==" + "1." * 50_000 + "!",
        "a; " + "(" * 5000,
        "a; python_version > '3' " + "and python_version > '3' " * 20_000,
        "\n" * 200_000 + "a",
        "-r \x01",
        "a==1\0",
    ],
    ids=lambda line: repr(line[:12]),
)
def test_a_requirement_of_any_length_takes_linear_time(line, project):
    with_lock(project, "requirements.txt", f"{line}\n")
    refused(LOCK, "requirements.txt")


@pytest.mark.parametrize("option", ["-r", "-c"])
def test_files_that_include_one_twice_are_not_read_again_and_again(option, project):
    """26 files, each of which names the next twice, would be read 2^26 times; uv reads the constraints itself."""
    with_lock(project, "requirements.txt", f"{option} 0.txt\n")
    for number in range(26):
        (project / f"{number}.txt").write_text(f"{option} {number + 1}.txt\n" * 2)
    (project / "26.txt").write_text("" if option == "-r" else "a<2\n")
    if option == "-r":
        assert run() is None
    else:
        refused(LOCK, "25.txt:2: 26.txt is included more than once")


def test_a_chain_of_files_has_an_end(project):
    with_lock(project, "requirements.txt", "-r 0.txt\n")
    for number in range(2000):
        (project / f"{number}.txt").write_text(f"-r {number + 1}.txt\n")
    refused(LOCK, "48.txt:1: 49.txt is the 51th file")


def test_requirements_of_powershell_are_read(project, tmp_path):
    """Its ``>`` writes UTF-16 with a mark, which pip reads; nothing in it may hide from what looks for paths."""
    wheel = make_wheel(tmp_path / "wheels", "alpha")
    text = f"alpha @ {wheel.as_uri()} {HASH}\r\n"
    with_lock(project, "requirements.txt", text.encode("utf-16"))
    refused(LOCK, "alpha", "hash")
    (project / "requirements.txt").write_bytes("\ufeff# nothing\r\n".encode("utf-8"))
    assert run() is None


def test_a_wheel_without_a_hash_is_refused_like_any_other(project, tmp_path):
    """Its address is a file's, and a folder alone has no hash."""
    wheel = make_wheel(tmp_path / "wheels", "alpha")
    with_lock(project, "requirements.txt", f"alpha @ {wheel.as_uri()}\n")
    refused(LOCK, "requirements.txt:1: alpha @ ", "has no --hash")
    (project / "pyproject.toml").write_text(f"{HEAD}require-hashes = false\n")
    assert run() is None


WITH_TEXT = (
    *('handler = "{}"', 'output = "{}"', 'module = "{}"', 'lock = "{}"', 'cache-dir = "{}"', 'cache-url = "{}"'),
    *('layers = ["{}"]', 'vendor = ["{}"]', 'vendor = ["{}.whl"]', 'include = ["{}"]', 'exclude = ["{}"]'),
    *('include = [{{ source = "{}", target = "a" }}]', 'include = [{{ source = "app.py", target = "{}" }}]'),
    *('patterns = ["{}"]', 'strip-exclude = ["{}"]', 'verify-events = ["{}"]', 'install-args = ["{}"]'),
    *('verify-env = {{ A = "{}" }}', 'verify-env = {{ "{}" = "a" }}', 'container-env = ["A={}"]'),
    *('container-file = "{}"', 'container-image = "{}"', 'container-ssh = "{}"', 'extras = ["{}"]'),
    *('groups = ["{}"]', 'exclude-packages = ["{}"]', 'layer = {{ description = "{}" }}', 'bytecode-python = "{}"'),
    *('functions.a.module = "{}"', 'data = {{ botocore = ["{}"] }}', 'keep-dist-info = ["{}"]'),
)


@pytest.mark.parametrize("setting", WITH_TEXT)
def test_no_setting_holds_a_nul_character(setting, project):
    """No path, pattern, argument or variable can."""
    (project / "pyproject.toml").write_text(HEAD + setting.format("a\\u0000b") + "\n")
    key = setting.partition(" ")[0].partition(".")[0]
    refused(CONFIGURATION, f"tool.lambda-slim.{key}", "NUL")


OUTSIDE = {
    "module": 'module = "{}"',
    "a function's module": 'functions.one.module = "{}"',
    "include": 'include = [{{ source = "{}", target = "a" }}]',
    "vendored folder": 'vendor = ["{}"]',
    "vendored wheel": 'vendor = ["{}/a-1-py3-none-any.whl"]',
    "event": 'verify = "invoke"\nhandler = "app.handler"\nverify-events = ["{}/*.json"]',
}


def build_of(setting):
    return ("build", "--function", "one") if setting.startswith("a function") else ("build",)


@pytest.mark.parametrize("way", ["..", "../outside", "link", "{absolute}"])
@pytest.mark.parametrize("setting", OUTSIDE)
def test_what_becomes_part_of_a_package_is_in_the_project(setting, way, project, tmp_path):
    """Also by way of a link: it could not travel in an sdist."""
    (tmp_path / "outside").mkdir()
    (project / "link").symlink_to(tmp_path / "outside")
    for folder in (tmp_path, tmp_path / "outside"):
        make_wheel(folder, "a", version="1").rename(folder / "a-1-py3-none-any.whl")
        (folder / "event.json").write_text("{}")
    way = way.format(absolute=tmp_path / "outside")
    (project / "pyproject.toml").write_text(HEAD + OUTSIDE[setting].format(way) + "\n")
    refused(CONFIGURATION, "tool.lambda-slim", "is not in the project", arguments=build_of(setting))


@pytest.mark.parametrize("setting", OUTSIDE)
def test_a_link_to_itself_is_told(setting, project):
    (project / "circle").symlink_to("circle")
    (project / "pyproject.toml").write_text(HEAD + OUTSIDE[setting].format("circle") + "\n")
    if setting != "event":  # a pattern that nothing matches is told otherwise
        refused(CONFIGURATION, "tool.lambda-slim", "circle", arguments=build_of(setting))


def test_a_file_name_that_is_not_utf8_is_told(project):
    """A zip of Lambda's holds UTF-8."""
    name = os.fsdecode(b"caf\xe9.py")
    (project / name).write_text("")
    refused(INSTALL, "the project: the file name 'caf\\udce9.py' is not UTF-8")


def test_a_file_name_that_is_not_utf8_is_told_of_what_is_included(project):
    (project / "data").mkdir()
    (project / "data" / os.fsdecode(b"caf\xe9.txt")).write_text("")
    for setting in ('include = ["data/**"]', 'include = [{ source = "data", target = "x" }]', 'module = "data"'):
        (project / "pyproject.toml").write_text(f"{HEAD}{setting}\n")
        refused(INSTALL, "caf\\udce9.txt", "not UTF-8")


def test_documents_with_a_mark_or_with_crlf_are_read(project):
    """As editors of Windows write them."""
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (project / "pylock.toml").write_bytes(b"\xef\xbb\xbf" + pylock().replace("\n", "\r\n").encode())
    assert run() is None


def test_a_report_that_is_no_document_is_told(project):
    """Of hostile nesting, too."""
    assert run("build", "-o", "a.zip") is None
    for content in (b"[" * 5000, b"\xff", json.dumps({"schema": 1}).encode()):
        (project / "old.json").write_bytes(content)
        refused(CONFIGURATION, "old.json", arguments=("report", "a.zip", "-o", "out", "--previous", "old.json"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'[project]\nname = "a"\nversion = "{DIGITS}"\n', "project.version"),
        (f'[project]\nname = "a"\nversion = "1"\nrequires-python = ">={DIGITS}"\n', "project.requires-python"),
        ("[tool.poetry]\nextras = [1]\n", "tool.poetry.extras"),
        ("[tool.uv]\noverride-dependencies = 1\n", "tool.uv.override-dependencies"),
    ],
)
def test_what_is_read_of_others_tables_is_checked_first(text, place, project):
    """An integer of thousands of digits is no ``InvalidVersion`` to its parser."""
    (project / "pyproject.toml").write_text(text + HEAD)
    refused(CONFIGURATION, f"{place}: ")


@pytest.mark.parametrize("version", ["x", DIGITS])
def test_a_version_in_a_lock_that_is_none_is_told(version, project):
    content = {"_meta": {"hash": {"sha256": ""}}, "default": {"a": {"version": f"=={version}"}}}
    with_lock(project, "Pipfile.lock", json.dumps(content))
    refused(LOCK, "Pipfile.lock: ", "is not a version")
    (project / "Pipfile.lock").unlink()
    (project / "poetry.lock").write_text(f'[metadata]\nlock-version = "{version}"\ncontent-hash = ""\n')
    refused(LOCK, "poetry.lock: ", "is not a version")
