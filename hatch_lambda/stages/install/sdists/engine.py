"""Containers: the engine on this machine, the image for a target, and one container for one piece of work.

Nothing is mounted: what goes in and what comes out is copied by the engine. So it works with an engine on another
machine too, nothing here is written by a user of the container, and the work cannot touch what it was given.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.config.settings import TABLE
from hatch_lambda.core import process
from hatch_lambda.core.cache import digest
from hatch_lambda.core.codec import SETTINGS_LIMIT, Document
from hatch_lambda.core.process import which
from hatch_lambda.errors import CommandError, ConfigurationError, InstallError, MissingToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatch_lambda.config.settings import SdistSettings
    from hatch_lambda.config.target import Target


_ENGINES = ("docker", "podman")
_DEFAULT_IMAGE = "public.ecr.aws/sam/build-{runtime}:latest-{architecture}"
"""AWS's own for building functions, each a Lambda runtime with a compiler (AWS, "AWS SAM image repositories")."""
_PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
_PLACE = "/hatch-lambda"
_AGENT, _KEY = f"{_PLACE}-agent", f"{_PLACE}-key"
RESULTS = "/tmp/hatch-lambda"  # noqa: S108 - in a container that nobody shares
"""Where in the container the work leaves what it made: any user may write there."""
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


class Containerfile(Struct, frozen=True, kw_only=True):
    """The file that an image is made of, and the digest of what is in it."""

    path: Path
    digest: str


def containerfile(root: Path, settings: SdistSettings) -> Containerfile | None:
    """Return the Containerfile that the *settings* name, relative to the project in *root*; None where they do not.

    Raises ConfigurationError for a file that cannot be read, and for settings that contradict one another.
    """
    if problems := list(_contradictions(settings)):
        raise ConfigurationError("\n".join(f"{TABLE}.{problem}" for problem in problems))
    if not settings.file:
        return None
    path = root / settings.file
    where, hint = f"{TABLE}.container-file: {path}", "name a Containerfile, relative to the project"
    document = Document(path=path, shown=where, family=ConfigurationError, hint=hint, limit=SETTINGS_LIMIT)
    return Containerfile(path=path, digest=digest(document.content()))


def _contradictions(settings: SdistSettings) -> Iterator[str]:
    if settings.image and settings.file:
        yield "container-file: an image is made of it, and `container-image` names another"
    names = [path.rpartition("/")[2] for path in settings.extra_files]
    for path, name in zip(settings.extra_files, names, strict=True):
        if not (path.startswith("/") and name):
            yield f"container-extra-files: {path!r} is not the full path of a file"
        elif names.count(name) > 1:
            yield f"container-extra-files: {path!r} is not the only one of that name"


class Engine(Struct, frozen=True, kw_only=True):
    """A program that runs containers."""

    executable: str
    settings: SdistSettings
    containerfile: Containerfile | None
    target: Target
    environment: Mapping[str, str]
    workspace: Path

    @classmethod
    def find(
        cls,
        settings: SdistSettings,
        containerfile: Containerfile | None,
        target: Target,
        environment: Mapping[str, str],
        workspace: Path,
    ) -> Engine:
        """Find the one that the settings name, else the first that answers. Raises MissingToolError."""
        names = (settings.engine,) if settings.engine else _ENGINES
        found = [program for name in names if (program := which(name, environment))]
        if not found:
            raise MissingToolError(
                f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not on PATH, and a container is needed",
                hint="install one of Docker and Podman, or choose another `sdist` in [tool.lambda-slim]",
            )
        problems = []
        for executable in found:
            engine = cls(
                executable=executable,
                settings=settings,
                containerfile=containerfile,
                target=target,
                environment=environment,
                workspace=workspace,
            )
            try:
                engine.run("info")
            except CommandError as error:
                problems.append(f"`{error.command}` failed:\n{error.tail(3)}")
            else:
                return engine
        raise MissingToolError("\n".join(problems), hint="start it, or name another with `container-engine`")

    def run(self, *arguments: str | Path, **variables: str) -> str:
        """Run one of its commands, with *variables* added to the environment."""
        return process.run(
            [self.executable, *map(str, arguments)],
            cwd=self.workspace,
            environment={**self.environment, **variables},
        )

    def work(self, script: str, *arguments: str, given: Mapping[str, Path], out: Path, **variables: str) -> None:
        """Run a *script* of the shell, with *arguments*, in a container of its own, and copy what it leaves to *out*.

        It finds each file or folder *given* at ``/hatch-lambda-NAME``, leaves its results in ``/tmp/hatch-lambda``,
        and sees *variables* besides those of the settings. Raises InstallError where no container can be made, and
        CommandError where the script fails.
        """
        certificates = self._certificates()
        variables = {**self._indexes(), **variables}
        if certificates is not None:
            given = {**given, "certificates": certificates}
            variables |= dict.fromkeys(_CERTIFICATES, f"{_PLACE}-certificates")
        name = self._create("sh", "-c", script, "sh", *arguments, **variables)
        try:
            for place, path in given.items():
                self.run("cp", f"{path}/." if path.is_dir() else path, f"{name}:{_PLACE}-{place}")
            self.run("start", "--attach", name)
            self.run("cp", f"{name}:{RESULTS}/.", out)
        finally:
            with suppress(CommandError):
                process.run(
                    [self.executable, "rm", "--force", "--volumes", name],
                    cwd=self.workspace,
                    environment=self.environment,
                    tidies_up=True,
                )

    def _create(self, *command: str, **variables: str) -> str:
        options = (
            *("--platform", self._platform, "--entrypoint", "", "--workdir", "/"),
            *(option for name in variables for option in ("--env", name)),
            *(option for text in self.settings.env for option in ("--env", text)),
            *self._ssh(),
            *self.settings.args,
        )
        image = self._image()
        try:
            return self.run("create", *options, image, *command, **variables).split()[-1]
        except CommandError as error:
            raise InstallError(
                f"no container could be made of the image {image}:\n{error.tail()}",
                hint="check its name, the network, whether it needs a login, and `container-args`",
            ) from error

    @property
    def _platform(self) -> str:
        return _PLATFORMS[self.target.architecture.machine]

    def _image(self) -> str:
        """Return the image's name, or the ID of the one that the user's Containerfile makes."""
        settings, file, target = self.settings, self.containerfile, self.target
        if file is None:
            default = _DEFAULT_IMAGE.format(runtime=target.runtime.name, architecture=target.architecture.value)
            return settings.image or default
        made = self.workspace / "image"
        options = (f"--file={file.path}", f"--iidfile={made}", "--platform", self._platform, *settings.build_args)
        try:
            self.run("build", *options, file.path.parent)
        except CommandError as error:
            raise InstallError(
                f"{file.path}: the image could not be built:\n{error.tail()}",
                hint="fix it, or check the network and `container-build-args`",
            ) from error
        return made.read_text(encoding="utf-8").strip()

    def _indexes(self) -> dict[str, str]:
        """Return what tells pip where the user's packages are, and by which way: as pip reads it, else as uv does."""
        given = self.environment
        default = given.get("UV_DEFAULT_INDEX") or given.get("UV_INDEX_URL")
        more = given.get("UV_INDEX") or given.get("UV_EXTRA_INDEX_URL")
        variables = {
            "PIP_INDEX_URL": given.get("PIP_INDEX_URL") or (default and _address(default)),
            "PIP_EXTRA_INDEX_URL": given.get("PIP_EXTRA_INDEX_URL") or (more and " ".join(map(_address, more.split()))),
            "PIP_TRUSTED_HOST": given.get("PIP_TRUSTED_HOST") or given.get("UV_INSECURE_HOST"),
        }
        for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
            variables |= {name: given.get(name) for name in (proxy, proxy.lower())}
        return {name: value for name, value in variables.items() if value}

    def _certificates(self) -> Path | None:
        """Return the file with the authorities that the user's variables say are to be trusted."""
        named = (Path(path) for name in _CERTIFICATES if (path := self.environment.get(name)))
        return next((path for path in named if path.is_file()), None)

    def _ssh(self) -> tuple[str, ...]:
        """Return the options that lend the user's agent, or a key, to git in the container."""
        ssh = self.settings.ssh
        if ssh is False:
            return ()
        accept = "ssh -o StrictHostKeyChecking=accept-new"
        if ssh is True:
            agent = self.environment.get("SSH_AUTH_SOCK")
            if not agent:
                raise ConfigurationError(
                    "tool.lambda-slim.container-ssh: there is no agent, for SSH_AUTH_SOCK is not set",
                    hint="start ssh-agent, or let `container-ssh` name the file of a key",
                )
            told = ("--env", f"SSH_AUTH_SOCK={_AGENT}", "--env", f"GIT_SSH_COMMAND={accept}")
            return ("--volume", f"{agent}:{_AGENT}", *told)
        key = Path(ssh).expanduser()
        if not key.is_file():
            raise ConfigurationError(
                f"tool.lambda-slim.container-ssh: there is no file {key}", hint="name a private key, or use `true`"
            )
        command = f"GIT_SSH_COMMAND={accept} -o IdentitiesOnly=yes -i {_KEY}"
        return ("--volume", f"{key}:{_KEY}:ro", "--env", command)


def _address(index: str) -> str:
    """Return the address of an index that uv may know by a name (``name=https://...``)."""
    name, equals, rest = index.partition("=")
    return rest if equals and "://" not in name else index
