"""The state of a lesson that runs: the names that its Python blocks define, and its directory."""

import ast
import contextlib
import doctest
import io
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from opcheck.learning.judging import making
from opcheck.learning.lesson import Code, Part, Question
from opcheck.reference import Reference


class Statement(NamedTuple):
    """A statement of a block with prompts, or a whole block without."""

    source: str
    mode: str  # as compile() takes it
    raises: bool = False  # an exception is what the block shows

    @property
    def shown(self) -> str:
        """As the reader sees it."""
        first, *others = self.source.rstrip("\n").split("\n")
        if self.mode == "exec":
            return "\n".join([first, *others])
        return "\n".join([f">>> {first}", *(f"... {other}".rstrip() for other in others)])

    @property
    def prints(self) -> bool:
        """Whether there is something to see when it has run."""
        return self.mode == "single" and (
            self.raises or isinstance(ast.parse(self.source).body[-1], ast.Expr | ast.For)
        )


def statements(code: Code) -> list[Statement]:
    """What a Python block runs, one after the other."""
    if not code.text.startswith(">>> "):
        return [Statement(code.text, "exec")]
    examples = doctest.DocTestParser().get_examples(code.text)
    return [Statement(each.source, "single", raises=each.exc_msg is not None) for each in examples]


class Session:
    """Runs the blocks of one lesson in `directory`, one after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, statement: Statement) -> str:
        """Runs it; what it printed."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.chdir(self.directory):
            try:
                exec(compile(statement.source, "<lesson>", statement.mode, dont_inherit=True), self.names)
            except Exception as error:
                if not statement.raises:
                    raise
                print("Traceback (most recent call last):", "    ...", sep="\n")
                print(*traceback.format_exception_only(error), sep="", end="")
        return printed.getvalue().rstrip("\n")

    def run_all(self, code: Code) -> None:
        """Runs a block for its names alone."""
        for statement in statements(code):
            self.run(statement)

    def write(self, code: Code) -> None:
        """Writes a block that is a file."""
        if code.file is not None:
            path = self.directory / code.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(code.text, encoding="utf-8")

    def value(self, code: Code) -> Any:
        """The value of the last line of a block with prompts, or of what it prints, after the lines before it."""
        *before, last = statements(code)
        for statement in before:
            self.run(statement)
        line: ast.expr = ast.parse(last.source, mode="eval").body
        if isinstance(line, ast.Call) and isinstance(line.func, ast.Name) and line.func.id == "print":
            line = line.args[0]
        with contextlib.chdir(self.directory):
            return eval(compile(ast.Expression(line), "<lesson>", "eval"), self.names)

    def mistaken(self, code: Code) -> Iterator[tuple[str, Any]]:
        """What the block gives if an operator makes a mistake: the mistake's sentence and the value, for each."""
        operators = {name: each.op for name, each in self.names.items() if isinstance(each, Reference)}
        for name, op in operators.items():
            for mistake in op.mistakes:
                right = self.names.copy()
                self.names[name] = Reference(making(op, mistake))
                try:
                    with warnings.catch_warnings(), np.errstate(all="ignore"):
                        warnings.simplefilter("ignore")  # what a wrong variant warns about is not the reader's matter
                        yield mistake.sentence, self.value(code)
                except Exception:  # this mistake shows in another way than by a number
                    continue
                finally:
                    self.names.clear()
                    self.names.update(right)


def before(parts: Sequence[Part], question: Question, directory: Path) -> Session:
    """The session of a reader who has come to that question."""
    session = Session(directory)
    for part in parts:
        if part is question:
            break
        code = part.code if isinstance(part, Question) else part
        if isinstance(code, Code) and code.missing is None:
            session.write(code)
            if code.runs_python:
                session.run_all(code)
    return session
