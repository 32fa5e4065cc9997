"""A private index: uv finds the credentials, and nobody else ever sees them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.shell import Shell
from tests.support.sources import make_sdist
from tests.support.wheels import make_wheel

PASSWORD = "s3cret-pa55word"
LOGIN = base64.b64encode(f"somebody:{PASSWORD}".encode()).decode()


class Index(BaseHTTPRequestHandler):
    """A simple index (PEP 503) that answers only who has the password."""

    def do_GET(self):
        folder, name = self.server.folder, self.path.strip("/").split("/")  # type: ignore[attr-defined]
        if self.headers.get("Authorization") != f"Basic {LOGIN}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.end_headers()
            return
        if name[0] == "simple":
            files = [file for file in sorted(folder.iterdir()) if file.name.startswith(f"{name[1]}-")]
            links = (f'<a href="/files/{f.name}#sha256={hashlib.sha256(f.read_bytes()).hexdigest()}">{f.name}</a>'
                     for f in files)  # fmt: skip
            body, kind = "".join(links).encode(), "text/html"
        else:
            body, kind = (folder / name[1]).read_bytes(), "application/octet-stream"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server asks for this name

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def index(tmp_path):
    """Serve a wheel and an sdist; return the address."""
    folder = tmp_path / "files"
    make_wheel(folder, "ready")
    make_sdist(tmp_path / "sources", "raw").rename(folder / "raw-1.0.tar.gz")
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.folder = folder  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("way", "lock"),
    [("netrc", "uv.lock"), ("environment", "requirements.txt"), ("url", "uv.lock"), ("url", "requirements.txt")],
)
def test_credentials_work_as_in_uv_and_are_never_shown_or_kept(index, tmp_path, way, lock):
    """Not in what is printed, the package, the caches of ours, the report; also not where something fails."""
    root = tmp_path / "service"
    root.mkdir()
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    shell = Shell({**hidden, "HATCH_LAMBDA_CACHE_DIR": str(tmp_path / "ours"), "UV_CACHE_DIR": str(tmp_path / "uv")})
    login = f"somebody:{PASSWORD}@" if way == "url" else ""
    if way == "netrc":
        (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login somebody password {PASSWORD}\n")
        shell.environment["NETRC"] = str(tmp_path / "netrc")
    elif way == "environment":
        shell.environment |= {"UV_INDEX_PRIVATE_USERNAME": "somebody", "UV_INDEX_PRIVATE_PASSWORD": PASSWORD}
    (root / "pyproject.toml").write_text(
        '[project]\nname = "service"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["ready", "raw"]\n'
        '[tool.lambda-slim]\nruntime = "python3.13"\n'
        f'[[tool.uv.index]]\nname = "private"\nurl = "http://{login}{index}/simple"\ndefault = true\n'
    )
    (root / "app.py").write_text("def handler(event, context):\n    return event\n")
    shell.uv("lock", "--quiet", "--python", sys.executable, cwd=root)
    if lock == "requirements.txt":
        shell.uv("export", "--quiet", "--format=requirements.txt", "--output-file", lock, cwd=root)
        (root / "uv.lock").unlink()

    done = shell.hatch_lambda("build", "--json", "-v", cwd=root)
    with zipfile.ZipFile(json.loads(done.stdout)["zip"]) as archive:
        assert {"ready.py", "raw.py"} <= set(archive.namelist())
    told = [done]

    (root / "uv.lock").unlink(missing_ok=True)
    next((tmp_path / "files").glob("ready*")).unlink()
    told.append(shell.hatch_lambda("build", "--refresh", "-C", "require-lock=true", "-v", cwd=root, check=False))

    for printed in told:
        assert PASSWORD not in printed.stdout + printed.stderr
        assert LOGIN not in printed.stdout + printed.stderr
    kept = [path for folder in (root / "dist", tmp_path / "ours") for path in folder.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes() or LOGIN.encode() in path.read_bytes()]


class Presigned(BaseHTTPRequestHandler):
    """A bucket that answers only who has a signature."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        file = self.server.folder / path.rpartition("/")[2]  # type: ignore[attr-defined]
        allowed = f"X-Amz-Signature={SIGNATURE}" in query and file.is_file()
        body = file.read_bytes() if allowed else b"denied: " + self.path.encode()
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - http.server asks for this name

    def log_message(self, *_):
        """Say nothing."""


SIGNATURE = "5ignature0f5omebody"


@pytest.fixture
def bucket(tmp_path):
    """Serve files to those who have a signature; return the address."""
    (tmp_path / "files").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Presigned) as server:
        server.folder = tmp_path / "files"  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/bucket"
        server.shutdown()


def holders(secret, *folders):
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    found = []
    for path in files:
        contents = [path.read_bytes()]
        if path.suffix in {".zip", ".whl"}:
            with zipfile.ZipFile(path) as archive:
                contents += map(archive.read, archive.namelist())
        found += [path for content in contents if secret.encode() in content]
    return found


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("lock", ["uv.lock", "pylock.toml", "requirements.txt"])
def test_a_presigned_address_is_never_shown_or_kept(bucket, tmp_path, kind, lock):
    """Its signature lets anybody have the file: not in what is printed, the package, the caches of ours, the report."""
    files = tmp_path / "files"
    if kind == "wheel":
        file = make_wheel(files, "signed")
    else:
        file = files / "signed-1.0.tar.gz"
        make_sdist(tmp_path / "sources", "signed").rename(file)
    address = f"{bucket}/{file.name}?X-Amz-Date=1&X-Amz-Signature={SIGNATURE}"
    root = tmp_path / "service"
    root.mkdir()
    hidden = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    shell = Shell({**hidden, "HATCH_LAMBDA_CACHE_DIR": str(tmp_path / "ours"), "UV_CACHE_DIR": str(tmp_path / "uv")})
    (root / "pyproject.toml").write_text(
        f'[project]\nname = "service"\nversion = "1"\nrequires-python = ">=3.10"\n'
        f'dependencies = ["signed @ {address}"]\n'
        '[tool.lambda-slim]\nruntime = "python3.13"\nbytecode = "none"\n'
    )
    (root / "app.py").write_text("import signed\ndef handler(event, context):\n    return event\n")
    if lock == "uv.lock":
        shell.uv("lock", "--quiet", "--python", sys.executable, cwd=root)
    else:
        sha256, size = hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
        entry = f'{{ url = "{address}", size = {size}, hashes = {{ sha256 = "{sha256}" }} }}'
        texts = {
            "requirements.txt": f"signed @ {address} --hash=sha256:{sha256}\n",
            "pylock.toml": 'lock-version = "1.0"\ncreated-by = "test"\n[[packages]]\nname = "signed"\nversion = "1.0"\n'
            + (f"wheels = [{entry}]\n" if kind == "wheel" else f"sdist = {entry}\n"),
        }
        (root / lock).write_text(texts[lock])
    told = [shell.hatch_lambda("build", "-v", "--report", "report", cwd=root)]
    told.append(shell.hatch_lambda("build", "--json", cwd=root))
    file.unlink()
    shell.environment["UV_CACHE_DIR"] = str(tmp_path / "another")
    told.append(shell.hatch_lambda("build", "--refresh", "-v", cwd=root, check=False, UV_HTTP_RETRIES="0"))
    assert told[-1].returncode != 0
    for printed in told:
        assert SIGNATURE not in printed.stdout + printed.stderr
    assert holders(SIGNATURE, root / "dist", root / "report", tmp_path / "ours") == []


def test_the_values_of_verify_env_are_never_shown_or_kept(tmp_path):
    """Whether the handler's import tells them, or an error does; the report and the cache are others' to read."""
    root = tmp_path / "service"
    root.mkdir()
    shell = Shell({**os.environ, "HATCH_LAMBDA_CACHE_DIR": str(tmp_path / "ours"), "UV_OFFLINE": "1"})
    (root / "pyproject.toml").write_text(
        f'[tool.lambda-slim]\nruntime = "python3.{sys.version_info[1]}"\nhandler = "app.handler"\nbytecode = "none"\n'
        f'verify-env = {{ SETTING = "{PASSWORD}" }}\nverify = "import"\n'
    )
    told = []
    for line in (
        "print(os.environ['SETTING'])",
        "raise KeyError(os.environ['SETTING'])",
        "sys.exit(os.environ['SETTING'])",
    ):
        (root / "app.py").write_text(
            f"import os, sys\nVALUE = os.environ['SETTING']\n{line}\ndef handler(event, context):\n    return event\n"
        )
        told.append(shell.hatch_lambda("build", "-v", "--report", "report", cwd=root, check=False))
        told.append(shell.hatch_lambda("build", "-v", "--json", cwd=root, check=False))
    assert [done.returncode for done in told][:2] == [0, 0], told[0].stderr
    assert "KeyError: '***'" in told[2].stderr
    for printed in told:
        assert PASSWORD not in printed.stdout + printed.stderr
    assert holders(PASSWORD, root / "dist", root / "report", tmp_path / "ours") == []
