"""What the variables of Python code can hold, where all that is bound to them is written out.

A name counts as known only if every binding of it, in whatever scope, is a string, strings in brackets, or another
known name: so a parameter, a computed value or a name bound elsewhere makes it unknown, and what is unknown keeps
everything.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from msgspec import Struct, field

from hatch_lambda.slimming.tokens import Kind, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
