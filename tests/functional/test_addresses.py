"""Dependencies on a server of the tests' own: at an address of their own, yanked, vanished, and out of reach."""

from __future__ import annotations

import functools
import hashlib
import http.server
import shutil
import threading

import pytest

from hatch_lambda.errors import InstallError, LockError
from tests.support.sources import make_sdist
from tests.support.wheels import make_wheel

from .test_kinds import SETTINGS, Site


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


class Served(Site):
    """A project, and a folder of files on a server, which also has an index of them (PEP 503)."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder, monkeypatch)
        for name in ("UV_OFFLINE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        self.files = folder / "files"
        self.files.mkdir()
        handler = functools.partial(_Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def index(self, file, *, yanked=False):
        """List *file* on the page of its distribution."""
        page = self.folder / "simple" / file.name.split("-")[0] / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        why = ' data-yanked="it was wrong"' if yanked else ""
        page.write_text(f'<a href="../../files/{file.name}#sha256={sha256(file)}"{why}>{file.name}</a>\n')

    def depends(self, *dependencies):
        """Write the project; what it needs is on the server only."""
        self.project(*dependencies)
        path = self.root / "pyproject.toml"
        head = path.read_text().partition("[tool.uv]")[0]
        path.write_text(f'{head}[[tool.uv.index]]\nurl = "{self.address}/simple/"\ndefault = true\n')

    def forget(self):
        """Leave nothing in any cache."""
        for name in ("cache", "uv-cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def refusal(self, kind):
        with pytest.raises(kind) as caught:
            self.build()
        assert not list(self.root.glob("dist/*"))
        return f"{caught.value}\n{caught.value.hint}"


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def served(tmp_path, monkeypatch):
    served = Served(tmp_path.resolve(), monkeypatch)
    yield served
    served.stop()


@pytest.mark.parametrize("lock", ["uv.lock", "requirements.txt"])
@pytest.mark.parametrize("make", [make_wheel, make_sdist], ids=["wheel", "sdist"])
def test_a_file_at_an_address_comes_with_its_hash(served, make, lock):
    """A wheel is installed, an sdist built; what the server has in its place later is refused."""
    file = make(served.files, "direct")
    address = f"direct @ {served.address}/files/{file.name}"
    if lock == "uv.lock":
        served.depends(address)
        served.lock()
    else:
        (served.root / "pyproject.toml").write_text(SETTINGS)
        (served.root / "app.py").touch()
        (served.root / lock).write_text(f"{address} --hash=sha256:{sha256(file)}\n")
    assert set(served.content()) == {"app.py", "direct.py"}
    shutil.rmtree(served.root / "dist")
    served.forget()
    shutil.rmtree(served.files)
    make(served.files, "direct", {"direct.py": "EVIL = 1\n"})
    assert "hash" in served.refusal((InstallError, LockError)).lower()


def test_a_file_that_was_yanked_is_still_what_the_lock_says(served):
    """That asks for no new users; who has locked it keeps it (PEP 592)."""
    wheel = make_wheel(served.files, "dep")
    served.index(wheel)
    served.depends("dep")
    served.lock()
    served.index(wheel, yanked=True)
    assert set(served.content()) == {"app.py", "dep.py"}
    served.forget()
    (served.root / "uv.lock").unlink()
    (served.root / "requirements.txt").write_text(
        f"--index-url {served.address}/simple/\ndep==1.0 --hash=sha256:{sha256(wheel)}\n"
    )
    assert set(served.content()) == {"app.py", "dep.py"}


def test_a_file_that_has_vanished_is_named(served):
    """With the address that it had."""
    wheel = make_wheel(served.files, "dep")
    served.index(wheel)
    served.depends("dep")
    served.lock()
    wheel.unlink()
    served.forget()
    message = served.refusal(InstallError)
    assert f"{served.address}/files/{wheel.name}" in message
    assert "404" in message


def test_a_server_that_is_out_of_reach_is_named_and_what_is_kept_needs_none(served):
    """A warm build asks nobody; a cold one says whom it could not ask, and that the network may be missing."""
    wheel = make_wheel(served.files, "dep")
    served.index(wheel)
    served.depends("dep")
    served.lock()
    served.build()
    served.stop()
    assert served.build().from_cache
    shutil.rmtree(served.root / "dist")
    served.forget()
    message = served.refusal(InstallError)
    assert f"{served.address}/files/{wheel.name}" in message
    assert "check the network" in message
