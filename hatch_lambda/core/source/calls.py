"""What the calls of a library ask for, found by tokens and constant values, without running anything."""

from __future__ import annotations

import re
from collections import defaultdict
from enum import Enum
from itertools import product
from typing import TYPE_CHECKING

from msgspec import Struct, field

from hatch_lambda.core.source.files import contains, is_binary_module, is_source
from hatch_lambda.core.source.imports import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hatch_lambda.core.model import File
    from hatch_lambda.core.source.files import Texts


_PREFIX = rb"(?P<prefix>[rRbBuUfFtT]{0,2})"
_DOUBLE = rb'"""(?P<a>[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+)"""|'
_SINGLE = rb"'''(?P<b>[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+)'''|"
_ON_ONE_LINE = rb'"(?P<c>[^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"|' + rb"'(?P<d>[^'\\\n]*+(?:\\.[^'\\\n]*+)*+)'"


def _tokens(triple: bytes) -> re.Pattern[bytes]:
    """Compile the search for a token, where strings in three quotes may be such as *triple*."""
    return re.compile(
        rb"(?P<skip>[ \t\r\f]+|\#[^\n]*|\\\r?\n)"
        rb"|(?P<newline>\n)"
        rb"|(?P<string>" + _PREFIX + rb"(?:" + triple + _ON_ONE_LINE + rb"))"
        rb"|(?P<name>[A-Za-z_\x80-\xff][\w\x80-\xff]*)"
        rb"|(?P<number>[0-9][\w.]*)"
        # A quote without another is no Python; the rest of its line is not searched for more of the kind.
        rb"|(?P<operator>:=|->|[=!<>]=|(?:\*\*|//|>>|<<|[-+*/%&|^@])=|\*\*|[\"'](?:[^\\\n]|\\.)*+|.)",
        re.DOTALL,
    )


_TOKENS = {
    b"": _tokens(_DOUBLE + _SINGLE),
    b'"': _tokens(_SINGLE),
    b"'": _tokens(_DOUBLE),
    b"\"'": _tokens(b""),
}
"""By the quotes of which three were seen to begin a string that never ends: no other is tried with the same end."""
_CONTENT = frozenset("abcd")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class Kind(Enum):
    """What a token is."""

    NAME = "name"
    STRING = "string"
    COMPUTED = "computed"
    """A string whose value only the program knows, or that is none of characters: ``f"{x}"``, ``b"x"``."""
    NUMBER = "number"
    OPERATOR = "operator"
    NEWLINE = "newline"
    """The end of a line that is not inside of brackets."""


class Token(Struct, frozen=True):
    """A word of the language, or the value of a string."""

    kind: Kind
    text: str
    line: int
    depth: int
    """Brackets that it is in; an opening and a closing one are outside of themselves."""

    def is_name(self, *names: str) -> bool:
        """Tell whether it is one of *names*, or any name where none is given."""
        return self.kind is Kind.NAME and (not names or self.text in names)

    def is_operator(self, *texts: str) -> bool:
        """Tell whether it is one of these operators."""
        return self.kind is Kind.OPERATOR and self.text in texts


def tokenize(text: bytes) -> list[Token]:
    """Return the tokens of *text*, without comments; one newline ends it."""
    tokens: list[Token] = []
    line, depth = 1, 0
    for match in _matches(text):
        kind, found = match.lastgroup, match[0]
        # The last group to close is the outer one; only it has a meaning here.
        if kind == "newline":
            if not depth:
                tokens.append(Token(Kind.NEWLINE, "", line, 0))
        elif kind == "string":
            tokens.append(_string(match, line, depth))
        elif kind != "skip":
            word = found.decode(errors="replace")
            depth = max(0, depth - (word in _CLOSING))
            tokens.append(Token(Kind(kind), word, line, depth))
            depth += word in _OPENING
        line += found.count(b"\n")
    tokens.append(Token(Kind.NEWLINE, "", line, 0))
    return tokens


def _matches(text: bytes) -> Iterator[re.Match[bytes]]:
    unended, position = b"", 0
    while True:
        for match in _TOKENS[unended].finditer(text, position):
            yield match
            if (found := _unended(match)) not in unended:
                unended, position = bytes(sorted(unended + found)), match.end()
                break
        else:
            return


def _unended(match: re.Match[bytes]) -> bytes:
    """Return the quote of an empty string that has a third behind it, since the one in three of them has no end."""
    quote = match[0][-1:]
    is_empty = match["c"] == b"" or match["d"] == b""
    return quote if is_empty and match.string.startswith(quote, match.end()) else b""


def _string(match: re.Match[bytes], line: int, depth: int) -> Token:
    prefix = match["prefix"].lower()
    content = next(found for group, found in match.groupdict().items() if group in _CONTENT and found is not None)
    formatted = b"{" in content and (b"f" in prefix or b"t" in prefix)
    escaped = b"\\" in content and b"r" not in prefix
    known = not (formatted or escaped or b"b" in prefix)
    return Token(Kind.STRING if known else Kind.COMPUTED, content.decode(errors="replace"), line, depth)


Values = frozenset[str]
Expression = tuple[Token, ...]

_BLOCKS = frozenset(
    {
        *("if", "elif", "else", "for", "while", "try", "except", "finally", "with"),
        *("async", "def", "class", "match", "case"),
    }
)
_MUTATORS = frozenset({"add", "append", "extend", "insert", "update"})
_AUGMENTED = frozenset({"+=", "-=", "*=", "/=", "//=", "%=", "@=", "&=", "|=", "^=", ">>=", "<<=", "**="})
_ENDS_OF_FOR = frozenset({"if", "for", "async"})

_MOST_TOKENS = 1_000_000
_DEEPEST = 100
"""Expressions within one another; Python's own parser takes twice as many brackets."""


class Bindings(Struct):
    """What a file binds to which names; None stands for what cannot be told."""

    names: dict[str, list[Expression | None]] = field(default_factory=lambda: defaultdict(list))
    attributes: dict[str, list[Expression | None]] = field(default_factory=lambda: defaultdict(list))
    """By the last part of the dotted name."""
    imported: dict[str, str] = field(default_factory=dict)
    """What ``from … import`` brings: the name there, by the name here."""

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Bindings:
        """Collect those of a file."""
        bindings = cls()
        for statement in _statements(tokens):
            if statement[0].is_name("from", "import"):
                bindings._import(statement)
            else:
                bindings._assign(statement)
        for index, token in enumerate(tokens):
            if token.is_name("for"):
                bindings._loop(tokens, index)
            elif token.is_name("def", "lambda"):
                bindings._parameters(tokens, index)
            elif index and (token.is_operator(":=") or _is_mutation(tokens, index)):
                bindings._unknown(tokens[index - 1 : index])
        return bindings

    def _import(self, statement: Expression) -> None:
        if not statement[0].is_name("from"):
            return
        start = next((index for index, token in enumerate(statement) if token.is_name("import")), len(statement))
        for part in split(statement[start + 1 :], ","):
            words = [token.text for token in part if token.kind is Kind.NAME]
            if words:
                self.imported[words[-1]] = words[0]

    def _assign(self, statement: Expression) -> None:
        """Read an assignment, perhaps to several targets; of an augmented one, that it changes its target."""
        depth = min(token.depth for token in statement)
        signs = [
            index
            for index, token in enumerate(statement)
            if token.depth == depth and token.is_operator("=", *_AUGMENTED)
        ]
        for index, token in enumerate(statement):
            if token.is_name("as", "class", "def"):
                self._unknown(statement[index + 1 : index + 2])
        if statement[0].is_name("case"):
            self._unknown(statement)
        if not signs:
            return
        if statement[signs[0]].text != "=":
            self._unknown(statement[: signs[0]])
            return
        value = statement[signs[-1] + 1 :]
        start = 0
        for sign in signs:
            target = statement[start:sign]
            start = sign + 1
            annotated = next((index for index, token in enumerate(target) if token.is_operator(":")), len(target))
            target = target[:annotated]
            if len(target) == 1 and target[0].is_name():
                self.names[target[0].text].append(value)
            elif _is_dotted(target):
                self.attributes[target[-1].text].append(value)
            else:
                self._unknown(target)

    def _loop(self, tokens: Sequence[Token], index: int) -> None:
        depth = tokens[index].depth
        targets: list[Token] = []
        values: list[Token] = []
        goal = targets
        for token in map(tokens.__getitem__, range(index + 1, len(tokens))):
            if token.depth == depth and token.is_name("in") and goal is targets:
                goal = values
            elif goal is targets and token.depth <= depth and token.is_name("for"):
                break  # which is no Python
            elif goal is values and token.depth <= depth and _ends_loop(token, depth):
                break
            else:
                goal.append(token)
        if len(targets) == 1 and targets[0].is_name():
            self.names[targets[0].text].append(tuple(values))
        else:
            self._unknown(targets)

    def _parameters(self, tokens: Sequence[Token], index: int) -> None:
        """Read the parameters of a function, whose callers may pass anything."""
        is_lambda = tokens[index].is_name("lambda")
        depth = tokens[index].depth + (not is_lambda)
        ends = (")", "]", "}") if is_lambda else (")",)  # a function's type parameters stand in brackets before
        before = tokens[index]
        for token in map(tokens.__getitem__, range(index + 1, len(tokens))):
            if token.is_name("def") or (is_lambda and token.is_name("lambda")):
                break  # it is read by itself
            if (token.depth < depth and token.is_operator(*ends)) or token.kind is Kind.NEWLINE:
                break
            if is_lambda and token.depth == depth and token.is_operator(":"):
                break
            if token.is_name() and token.depth == depth and (before.is_operator("(", ",", "*", "**") or is_lambda):
                self.names[token.text].append(None)
            before = token

    def _unknown(self, tokens: Sequence[Token]) -> None:
        """Note that something is bound to the names among *tokens*; what is in a subscript is only read."""
        subscript: int | None = None
        before: Token | None = None
        for token in tokens:
            if subscript is None and token.is_operator("[") and before is not None and not before.is_operator(","):
                subscript = token.depth
            elif subscript is not None and token.depth <= subscript:
                subscript = None
            before = token
            if subscript is None and token.is_name():
                self.names[token.text].append(None)
                self.attributes[token.text].append(None)


class Evaluator(Struct, frozen=True):
    """Finds the strings that an expression of one file can be."""

    bindings: Bindings
    elsewhere: Callable[[str], Iterator[Bindings]]
    """The bindings of all the files of the same owner that have a name."""
    left: list[int] = field(default_factory=lambda: [_MOST_TOKENS])
    """How many tokens may still be looked at: each name may stand for two others, and these for four."""

    def values(self, expression: Expression, seen: frozenset[str] = frozenset(), depth: int = 0) -> Values | None:
        """Return them, or None if they are not all written out, or not to be found with reasonable effort."""
        self.left[0] -= len(expression) + 1
        expression = _unwrapped(expression) if self.left[0] >= 0 and depth <= _DEEPEST else ()
        if not expression:
            return None
        if all(token.kind is Kind.STRING for token in expression):
            return Values({"".join(token.text for token in expression)})
        if all(token.kind is Kind.NAME or token.is_operator(".") for token in expression):
            name = expression[-1].text
            if name in seen:
                return Values()
            return self._named(name, seen | {name}, depth + 1, dotted=len(expression) > 1)
        parts = split(expression, ",")
        if len(parts) == 1:
            parts = _alternatives(expression)
        if len(parts) < 2:  # noqa: PLR2004 - nothing to take apart
            return None
        return _union([self.values(part, seen, depth + 1) for part in parts])

    def _named(self, name: str, seen: frozenset[str], depth: int, *, dotted: bool) -> Values | None:
        own = None if dotted else self.bindings.names.get(name)
        if own is not None:
            return _union([value if value is None else self.values(value, seen, depth) for value in own])
        name = self.bindings.imported.get(name, name)
        found: list[Values | None] = []
        for bindings in self.elsewhere(name):
            there = Evaluator(bindings, self.elsewhere, self.left)
            bound = [*bindings.names.get(name, ()), *bindings.attributes.get(name, ())]
            found += (value if value is None else there.values(value, seen, depth) for value in bound)
        return _union(found)


def split(expression: Sequence[Token], separator: str) -> list[Expression]:
    """Cut *expression* at an operator that is in none of its brackets; what is empty is left out."""
    parts: list[list[Token]] = [[]]
    depth = min((token.depth for token in expression), default=0)
    for token in expression:
        if token.depth == depth and token.is_operator(separator):
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts if part]


def _union(values: Sequence[Values | None]) -> Values | None:
    known = [value for value in values if value is not None]
    return Values().union(*known) if known and len(known) == len(values) else None


def _unwrapped(expression: Expression) -> Expression:
    """Take off brackets around the whole."""
    while len(expression) > 1 and expression[0].is_operator("(", "[", "{"):
        depth = expression[0].depth
        if not expression[-1].is_operator(")", "]", "}") or any(token.depth <= depth for token in expression[1:-1]):
            break
        inner = expression[1:-1]
        if not inner:
            return ()
        expression = inner[:-1] if inner[-1].is_operator(",") else inner
    return expression


def _alternatives(expression: Expression) -> list[Expression]:
    """Take ``a if c else b`` and ``a or b`` apart."""
    depth = min(token.depth for token in expression)
    words = {token.text: index for index, token in enumerate(expression) if token.depth == depth and token.is_name()}
    if "if" in words and words["if"] < words.get("else", -1):
        return [expression[: words["if"]], expression[words["else"] + 1 :]]
    if "or" in words:
        return [expression[: words["or"]], expression[words["or"] + 1 :]]
    return []


def _ends_loop(token: Token, depth: int) -> bool:
    if token.kind is Kind.NEWLINE or token.is_name(*_ENDS_OF_FOR) or token.is_operator(":"):
        return True
    return token.is_operator(")", "]", "}") and token.depth < depth


def _is_mutation(tokens: Sequence[Token], index: int) -> bool:
    return tokens[index].is_operator(".") and tokens[index + 1].is_name(*_MUTATORS)


def _is_dotted(target: Expression) -> bool:
    return len(target) > 1 and target[-1].is_name() and all(token.is_name() or token.text == "." for token in target)


def _statements(tokens: Sequence[Token]) -> Iterator[Expression]:
    """Yield the statements that no bracket holds, those behind the colon of a block's head apart."""
    statement: list[Token] = []
    for token in tokens:
        ends = token.kind is Kind.NEWLINE or (not token.depth and token.is_operator(";"))
        if not ends:
            statement.append(token)
            ends = not token.depth and token.is_operator(":") and statement[0].is_name(*_BLOCKS)
        if ends and statement:
            yield tuple(statement)
            statement = []


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
