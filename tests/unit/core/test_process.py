"""How other programs are found, run, and failed by."""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path

import pytest

from hatch_lambda.core.process import TooSlowError, ask, run
from hatch_lambda.core.uv import Uv
from hatch_lambda.errors import CommandError, DiskFullError, MissingToolError

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="programs are made as shell scripts")


def program(folder, name="uv", text="#!/bin/sh\necho found $0\n", mode=0o755):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def python(code, cwd, environment=os.environ):
    return run([sys.executable, "-c", code], cwd=cwd, environment=environment)


def test_the_output_comes_back(tmp_path):
    assert python("print('ä')", tmp_path, {**os.environ, "PYTHONUTF8": "1"}) == "ä\n"


def test_what_is_no_text_does_no_harm(tmp_path):
    assert python(r"import sys; sys.stdout.buffer.write(b'\xff!')", tmp_path) == "\N{REPLACEMENT CHARACTER}!"


def test_a_program_cannot_wait_for_input(tmp_path):
    assert python("import sys; print(repr(sys.stdin.read()))", tmp_path) == "''\n"


def test_it_runs_where_and_with_what_it_is_told(tmp_path):
    code = "import os; print(os.getcwd(), os.environ.get('A'), os.environ.get('B'))"
    environment = {name: value for name, value in os.environ.items() if name != "B"}
    assert python(code, tmp_path, {**environment, "A": "1"}).split() == [str(tmp_path.resolve()), "1", "None"]


def test_a_failure_tells_the_command_the_code_and_the_last_lines(tmp_path):
    code = "import sys; print('out'); print('\\n'.join(map(str, range(40))), file=sys.stderr); sys.exit(3)"
    with pytest.raises(CommandError) as caught:
        python(code, tmp_path)
    assert caught.value.returncode == 3
    assert "exit code 3" in str(caught.value)
    assert caught.value.output.startswith("out")
    assert caught.value.tail(3) == "    37\n    38\n    39"


def test_what_a_failed_program_printed_holds_no_password(tmp_path):
    """Whoever shows it, or keeps it as a log, need not think of that."""
    with pytest.raises(CommandError) as caught:
        python("import sys; print('https://me:s3cret@host/'); sys.exit('https://s3cret@host/')", tmp_path)
    assert caught.value.output.split() == ["https://***@host/"] * 2


@POSIX_ONLY
def test_an_argument_can_hold_a_secret_that_the_message_does_not_show(tmp_path):
    with pytest.raises(CommandError) as caught:
        run([str(program(tmp_path, "tool", "#!/bin/sh\nexit 1\n")), "a", "b", "s3cret"], cwd=tmp_path, environment={})
    assert str(caught.value) == "`tool a b` failed with exit code 1"


@POSIX_ONLY
@pytest.mark.parametrize("text", [None, "no program"])
def test_a_program_that_cannot_be_started_is_named(tmp_path, text):
    path = tmp_path / "tool"
    if text is not None:
        program(tmp_path, "tool", text)
    with pytest.raises(MissingToolError, match=r"cannot run `.*tool`"):
        run([str(path)], cwd=tmp_path, environment={})


@POSIX_ONLY
def test_uv_is_what_the_variables_name_in_their_order(tmp_path):
    first, second = program(tmp_path / "first"), program(tmp_path / "second")
    environment = {"UV": str(first), "HATCH_UV": str(second), "PATH": "/nowhere"}
    assert Uv.find(environment).executable == str(first)
    del environment["UV"]
    assert Uv.find(environment).executable == str(second)


@POSIX_ONLY
def test_a_variable_may_name_a_program_on_path(tmp_path):
    path = program(tmp_path, "uv-nightly")
    assert Uv.find({"UV": "uv-nightly", "PATH": str(tmp_path)}).executable == str(path)


@POSIX_ONLY
@pytest.mark.parametrize("variable", ["UV", "HATCH_UV"])
def test_a_variable_that_names_no_program_is_an_error_and_not_passed_over(tmp_path, variable):
    named = program(tmp_path, mode=0o644)
    with pytest.raises(MissingToolError, match=f"{variable}=.*no such program") as caught:
        Uv.find({variable: str(named), "PATH": os.environ["PATH"]})
    assert variable in caught.value.hint


def test_the_distributions_uv_comes_before_path(tmp_path):
    from uv import find_uv_bin

    program(tmp_path)
    assert Uv.find({"PATH": str(tmp_path)}).executable == find_uv_bin()


@POSIX_ONLY
def test_without_the_distribution_it_is_the_one_on_path(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uv", None)
    path = program(tmp_path)
    assert Uv.find({"PATH": str(tmp_path)}).executable == str(path)
    with pytest.raises(MissingToolError, match="uv was not found") as caught:
        Uv.find({"PATH": str(tmp_path / "empty")})
    assert "pip install uv" in caught.value.hint


@POSIX_ONLY
@pytest.mark.parametrize("environment", [{"UV": "./uv"}, {"UV": "uv", "PATH": "."}])
def test_a_relative_name_still_fits_when_uv_runs_elsewhere(tmp_path, monkeypatch, environment):
    program(tmp_path)
    monkeypatch.chdir(tmp_path)
    uv = Uv.find({"PATH": os.environ["PATH"], **environment})
    (tmp_path / "elsewhere").mkdir()
    assert uv.run("--version", cwd=tmp_path / "elsewhere").startswith("found")


@POSIX_ONLY
def test_variables_that_would_make_the_result_differ_by_host_do_not_reach_uv(tmp_path):
    names = ["UV_LINK_MODE", "UV_COMPILE_BYTECODE", "UV_FROZEN", "UV_LOCKED", "UV_NO_SYNC", "UV_PROJECT"]
    names += ["UV_WORKING_DIR", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_NO_BINARY", "UV_NO_DEFAULT_GROUPS", "UV_NO_DEV"]
    kept = {"UV_CACHE_DIR": "/cache", "UV_OFFLINE": "1", "UV_INDEX_PRIVATE_PASSWORD": "x", "LANG": "C"}
    path = program(tmp_path)
    assert Uv.find({**dict.fromkeys(names, "1"), **kept, "UV": str(path)}).environment == {**kept, "UV": str(path)}


@POSIX_ONLY
def test_a_run_may_add_variables(tmp_path):
    uv = Uv.find({"UV": str(program(tmp_path, text='#!/bin/sh\necho "$MARK $@"\n'))})
    assert uv.run("a", tmp_path, cwd=tmp_path, MARK="yes") == f"yes a {tmp_path}\n"


@POSIX_ONLY
def test_every_python_of_pyenv_is_offered_the_users_choice_first_then_the_newest(tmp_path):
    environment = {"UV": str(program(tmp_path)), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert "PYENV_VERSION" not in Uv.find(environment).environment
    for name in ("3.9.18", "3.13.0", "3.10.13", "my-env"):
        (tmp_path / "pyenv" / "versions" / name).mkdir(parents=True)
    assert Uv.find(environment).environment["PYENV_VERSION"] == "3.13.0:3.10.13:3.9.18:my-env"
    chosen = Uv.find({**environment, "PYENV_VERSION": "3.9.18"}).environment["PYENV_VERSION"]
    assert chosen == "3.9.18:3.13.0:3.10.13:my-env"


@pytest.mark.parametrize(
    "line",
    [
        "error: failed to write to file `/x/y`: No space left on device (os error 28)",
        "OSError: [Errno 122] Disk quota exceeded: '/x/y'",
    ],
)
def test_a_program_that_found_no_room_says_so_and_not_what_it_was_about(tmp_path, line):
    """The caller must take it neither for a fact about what was to be done, nor for a fault of the network."""
    with pytest.raises(DiskFullError, match="/x/y") as caught:
        python(f"import sys; print('working'); sys.exit({line!r})", tmp_path)
    assert not isinstance(caught.value, CommandError)
    assert "make room" in caught.value.hint


def test_a_machine_that_cannot_start_programs_now_does_not_lack_them(tmp_path, monkeypatch):
    """That there are too many processes is no reason to do without this one, and to remember that."""

    def refuse(*_, **__):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen.__init__", refuse)
    with pytest.raises(BlockingIOError):
        python("", tmp_path)


@pytest.mark.parametrize("code", ["print('x' * 2000)", "import sys; print(1); sys.exit(3)"])
def test_what_answers_too_much_or_fails_has_not_answered(tmp_path, code):
    answer = ask([sys.executable, "-c", code], cwd=tmp_path, environment=os.environ, seconds=60, most=1000)
    assert answer is None


@POSIX_ONLY
def test_what_takes_too_long_is_ended_with_what_it_has_started(tmp_path):
    """Even where that holds its output."""
    script = program(tmp_path, "slow", "#!/bin/sh\nsh -c 'echo $$ > pid; sleep 60' &\nwait\n")
    with pytest.raises(TooSlowError):
        ask([str(script)], cwd=tmp_path, environment=os.environ, seconds=1)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    state = (Path("/proc") / str(pid) / "stat").read_text()
    assert ") Z " in state  # gone, but for an init that does not care
