"""Run all checks of a package, and judge what they find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_lambda.inspect.audit.distributions import check_metadata, find_unused, note_unused
from hatch_lambda.inspect.audit.layout import check_handler, check_names
from hatch_lambda.inspect.audit.linking import check_linking
from hatch_lambda.inspect.audit.modules import check_bytecode, check_modules
from hatch_lambda.inspect.audit.subject import Audit, check_layers

if TYPE_CHECKING:
    from hatch_lambda.inspect.audit.subject import Layer, Subject


def audit(subject: Subject, layers: tuple[Layer, ...]) -> Audit:
    """Judge *subject*: a function of the facts about it and of its target, whatever is expected.

    What depends on more is not among it: sizes (``check_unzipped``), and what reads files (``check_syntax``).
    """
    unused = tuple(find_unused(subject))
    findings = [
        *check_handler(subject.tree, subject.handler),
        *check_layers(layers),
        *check_names(subject),
        *check_modules(subject),
        *check_linking(subject),
        *check_bytecode(subject),
        *check_metadata(subject),
        *note_unused(unused),
    ]
    return Audit(findings=tuple(findings), unused=unused, requires=subject.facts.requires)
