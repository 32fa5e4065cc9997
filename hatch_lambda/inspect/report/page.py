"""The page that shows a report: one file, which needs no network and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hatch_lambda.core.text import size
from hatch_lambda.inspect.report.charts import contents, growth, imports, removed, signed

if TYPE_CHECKING:
    from hatch_lambda.inspect.report.document import Report


_FOLDER = Path(__file__).parent


def page(report: Report) -> bytes:
    """Return the page that shows *report*."""
    from plotly.offline import get_plotlyjs

    style, script = (_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    plotly = get_plotlyjs()
    package = report.package
    title = " ".join(filter(None, (package.name or package.file, package.version)))
    shown = (
        _templates()
        .get_template("page.html.j2")
        .render(
            report=report,
            package=package,
            title=title,
            data=_data(report, title),
            digests={
                "SHA-256": package.sha256,
                "CodeSha256": package.code_sha256,
                "Content": package.content_sha256,
                **report.inputs,
            },
            policy=_policy(plotly, script),
            # These are ours and plotly's; all else is escaped.
            style=Markup(style),  # noqa: S704
            plotly=Markup(plotly),  # noqa: S704
            script=Markup(script),  # noqa: S704
        )
    )
    return shown.encode()


def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    templates.filters.update(size=_size, number="{:,}".format, signed=signed, prose=prose)
    return templates


def _size(count: int) -> str:
    """Return a number of bytes as people say it, in one piece: no line ends before its unit."""
    return size(count).replace(" ", "\N{NO-BREAK SPACE}")


def prose(text: str) -> Markup:
    """Show a sentence in which code stands in backquotes."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _policy(*scripts: str) -> str:
    """Allow these scripts and nothing else: not even a name that got past the escaping could load or run a thing."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii") for script in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _data(report: Report, title: str) -> dict[str, Any]:
    built = report.package.name is not None
    return {
        "contents": contents(report, title),
        "removed": removed(report),
        "imports": imports(report.imports or ()),
        "growth": growth(report.comparison.distributions) if report.comparison else None,
        "about": {
            "contents": "Every file of the package, unzipped, by distribution and folder.",
            "removed": "What slimming and stripping took, by rule, distribution and folder.",
        },
        "nothing": {
            "contents": "The package is empty.",
            "removed": "Nothing was removed."
            if built
            else "Only a build knows what it removed: `hatch-lambda build --report DIR` tells it.",
        },
    }
