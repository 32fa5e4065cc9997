"""What names Python code asks a library for: ``client("s3")``, ``build("sheets", version="v4")``."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING

from msgspec import Struct

from hatch_lambda.slimming.code import contains, is_binary_module, is_source
from hatch_lambda.slimming.names import Words
from hatch_lambda.slimming.tokens import Kind, Token, tokenize
from hatch_lambda.slimming.values import Bindings, Evaluator, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatch_lambda.model import File
    from hatch_lambda.slimming.code import Texts
    from hatch_lambda.slimming.values import Values


class Calls(Struct, frozen=True, kw_only=True):
    """How code asks a library for what it has by name."""

    mentions: tuple[bytes, ...]
    modules: tuple[bytes, ...]
    in_each_file: bool
    functions: tuple[str, ...]
    parameters: tuple[str, ...]
    receivers: tuple[str, ...]


class Request(Struct, frozen=True, kw_only=True):
    """A place where code asks for something."""

    names: Values | None
    """What for; None if that is computed."""
    path: str
    line: int
    owner: str | None
    """The distribution whose code it is; None for the project's, and for code of nobody."""
    sure: bool
    """Whether it is this library that is asked: the file mentions it."""


def requests(files: Iterable[File], calls: Calls, texts: Texts) -> Iterator[Request]:
    """Find them in *files*, in their order.

    The project's objects may be handed on to code of its that knows nothing of the library, so its every method of
    such a name counts; in a distribution's code, it takes a receiver or a name that tells.
    """
    by_owner: dict[str | None, list[File]] = defaultdict(list)
    for file in files:
        owner = None if file.project else file.distribution
        if is_source(file):
            by_owner[owner].append(file)
        elif is_binary_module(file) and contains(file, calls.modules):
            yield Request(names=None, path=file.path, line=0, owner=owner, sure=True)
    words = Words(calls.functions)
    for owner, sources in by_owner.items():
        mentioning = {file.path for file in sources if any(word in texts.of(file) for word in calls.mentions)}
        if owner is not None and not mentioning:
            continue
        code = _Code(sources, texts)
        for file in sources:
            about = file.path in mentioning
            if (about or not calls.in_each_file) and words.search(texts.of(file)):
                for index, names in _asked(file, calls, code, only_methods=not about):
                    tokens = code.tokens(file)
                    if about or owner is None or names is not None or _is_received(tokens, index, calls):
                        yield Request(names=names, path=file.path, line=tokens[index].line, owner=owner, sure=about)


class _Code:
    """The sources of one owner, each read into tokens at most once."""

    def __init__(self, sources: Sequence[File], texts: Texts) -> None:
        self._sources = sources
        self._texts = texts
        self._tokens: dict[str, list[Token]] = {}
        self._bindings: dict[str, Bindings] = {}

    def tokens(self, file: File) -> list[Token]:
        if file.path not in self._tokens:
            self._tokens[file.path] = tokenize(self._texts.of(file))
        return self._tokens[file.path]

    def bindings(self, file: File) -> Bindings:
        if file.path not in self._bindings:
            self._bindings[file.path] = Bindings.of(self.tokens(file))
        return self._bindings[file.path]

    def having(self, name: str) -> Iterator[Bindings]:
        words = Words([name])
        for file in self._sources:
            if words.search(self._texts.of(file)):
                yield self.bindings(file)


def _asked(file: File, calls: Calls, code: _Code, *, only_methods: bool) -> Iterator[tuple[int, Values | None]]:
    """Yield what is asked for, after the index of the token that asks."""
    tokens = code.tokens(file)
    functions = {*calls.functions}
    functions |= {local for local, name in code.bindings(file).imported.items() if name in functions}
    evaluator = Evaluator(code.bindings(file), code.having)
    for index, token in enumerate(tokens[:-1]):
        before = tokens[index - 1] if index else tokens[-1]
        if _is_hidden(tokens, index, functions):
            yield index, None
        elif token.is_name(*functions) and not before.is_name("def", "class", "import", "as"):
            if tokens[index + 1].is_operator("("):
                if not only_methods or before.is_operator("."):
                    yield index, _evaluate(_arguments(tokens, index + 1), calls, evaluator)
            elif _is_handed_on(tokens, index, calls):
                yield index, None


def _is_hidden(tokens: Sequence[Token], index: int, functions: Iterable[str]) -> bool:
    """Tell whether the token at *index* is what ``getattr`` looks up, or a formatted string with a call inside."""
    token = tokens[index]
    if token.kind is Kind.COMPUTED:
        return any(f".{name}(" in token.text or f"{{{name}(" in token.text for name in functions)
    looked_up = token.kind is Kind.STRING and token.text in functions and index > 3  # noqa: PLR2004
    return looked_up and tokens[index - 1].is_operator(",") and tokens[index - 4].is_name("getattr")


def _is_handed_on(tokens: Sequence[Token], index: int, calls: Calls) -> bool:
    """Tell whether ``boto3.client`` is passed on without being called, other than in an annotation."""
    receiver, dot = tokens[index - 2], tokens[index - 1]
    if not dot.is_operator(".") or not _is_received(tokens, index, calls):
        return False
    after = tokens[index + 1]
    if after.is_operator(".", "=", ":=") or (after.is_operator(":") and not receiver.depth):
        return False
    start = index - 2
    while start > 1 and tokens[start - 1].is_operator("."):
        start -= 2
    before = tokens[start - 1] if start else tokens[-1]
    brackets = next((token.text for token in reversed(tokens[:start]) if token.depth < receiver.depth), "")
    if before.is_operator("->") or brackets == "[":
        return False
    if before.is_operator(":"):
        return brackets == "{" or (start > 1 and tokens[start - 2].is_name("lambda"))
    return True


def _is_received(tokens: Sequence[Token], index: int, calls: Calls) -> bool:
    """Tell whether the function at *index* is one of an object whose name tells that it is the library's."""
    receiver = tokens[index - 2] if index > 1 else tokens[-1]
    return receiver.is_name() and receiver.text.lower().endswith(calls.receivers)


def _arguments(tokens: Sequence[Token], opening: int) -> list[tuple[Token, ...]]:
    """Return the arguments of the call whose bracket is at *opening*."""
    depth = tokens[opening].depth
    inside: list[Token] = []
    for token in tokens[opening + 1 :]:
        if token.depth <= depth:
            break
        inside.append(token)
    return split(inside, ",")


def _evaluate(given: Sequence[tuple[Token, ...]], calls: Calls, evaluator: Evaluator) -> Values | None:
    """Return what a call can ask for: nothing if it gives no name at all, None if that is computed."""
    by_name: dict[str, tuple[Token, ...]] = {}
    by_place: list[tuple[Token, ...]] = []
    starred = False
    for argument in given:
        if argument[0].is_operator("*", "**"):
            starred = True
        elif len(argument) > 1 and argument[0].is_name() and argument[1].is_operator("="):
            by_name[argument[0].text] = argument[2:]
        elif not starred:
            by_place.append(argument)
    arguments = [
        by_name.get(parameter) or (by_place[place] if place < len(by_place) else ())
        for place, parameter in enumerate(calls.parameters)
    ]
    if not all(arguments):
        return None if starred else frozenset()
    chosen: list[Values] = []
    for argument in arguments:
        values = evaluator.values(argument)
        if values is None:
            return None
        chosen.append(values)
    return frozenset(".".join(parts) for parts in product(*chosen))
