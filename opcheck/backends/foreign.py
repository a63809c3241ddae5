"""Candidates that are not Python: a C function of a shared library, and a shell command that reads and writes .npy."""

import ctypes
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from opcheck.backends import environment
from opcheck.backends.base import Malformed, NoCounterpart, given
from opcheck.backends.destination import Zoned, sizes
from opcheck.backends.function import NumpyFunction, NumpySession
from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op

SHELL = "sh:"
SOURCES = {".c": "cc", ".cpp": "c++", ".cc": "c++"}
LAST = 3  # lines of what a command printed


def is_library(place: str) -> bool:
    """Whether this is FILE.so:NAME, or FILE.c:NAME, which is compiled first.

    >>> is_library("solve.so:solve"), is_library("solve.c:solve"), is_library("solve.py:solve")
    (True, True, False)
    """
    return Path(place.rpartition(":")[0]).suffix in (".so", ".dylib", ".dll", *SOURCES)


class ForeignSession(NumpySession):
    """One call of what runs outside Python."""

    candidate: "Foreign"

    def alias(self, names: Sequence[str]) -> None:
        if not self.candidate.shares_memory:
            raise NoCounterpart(say("it reads files"))
        super().alias(names)

    def _call(self, function: Any, *first: Any) -> Any:
        with np.errstate(all="ignore"), environment.calling():
            return self.candidate.run(self.op, self.case, self.arrays, self.number, self.layout)


class Foreign(NumpyFunction):
    """What is called with plain memory or with files: forward only, contiguous, one call at a time."""

    layouts: tuple[str, ...] = ("contiguous",)
    concurrent = False
    shares_memory = True  # whether it is called with our memory

    def __init__(self, name: str) -> None:
        self.candidate, self.name = self, name

    def __call__(self) -> None:
        """Only `run` is called."""

    def own_defaults(self, op: Op) -> dict[str, Any]:
        return {}

    def open(
        self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True
    ) -> ForeignSession:
        return ForeignSession(self, op, case, dtype, layout if layout in self.guards else "contiguous")

    def run(self, op: Op, case: Case, arrays: dict[str, Array], number: Any, layout: str) -> Any:
        raise NotImplementedError


class Library(Foreign):
    """void solve(const float* in, ..., float* out, ..., int sizes, ..., parameters): inputs in the spec's order (NULL
    for one that is absent), outputs, the sizes of the spec's letters (of an operator of any shape: the number of
    elements), then the parameters of your own spec, as int or in the type of the numbers."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        path, _, name = place.rpartition(":")
        if not Path(path).is_file():
            raise Refused(say("there is no file {path}", path=path))
        try:
            self.function = getattr(ctypes.CDLL(str(Path(compiled(path)).resolve())), name)
        except OSError as error:
            raise Refused(say("{path} cannot be loaded", path=path), got=str(error)) from None
        except AttributeError:
            raise Refused(say("{where} has no {name}", where=path, name=name),
                          fix=say('C++ needs extern "C" before the function')) from None  # fmt: skip
        self.function.restype = None

    def own_defaults(self, op: Op) -> dict[str, Any]:
        return {each.name: each.without for each in op.params if each.without is not None}

    def lacks(self, op: Op, case: Case) -> str:
        if op.elsewhere:  # of an operator, every parameter has its default
            mine = self.own_defaults(op)
            return next((name for name, value in given(op, case.params).items() if mine.get(name) != value), "")
        return next((name for name, value in case.params.items() if not isinstance(value, (bool, int, float))), "")

    def run(self, op: Op, case: Case, arrays: dict[str, Array], number: Any, layout: str) -> Any:
        p, shapes = op.checked(case)
        zoned = Zoned()
        outputs = {name: zoned.array(shape, np.int64 if op.output(name).whole else number, layout)
                   for name, shape in shapes.items()}  # fmt: skip
        inputs = [np.ascontiguousarray(arrays[each.name]) if each.name in arrays else None for each in op.inputs]
        letters = len({word for each in op.inputs for word in each.letters.split() if word.isidentifier()})
        pointers = [
            None if each is None else ctypes.c_void_p(each.ctypes.data) for each in (*inputs, *outputs.values())
        ]
        real = ctypes.c_double if number == np.float64 else ctypes.c_float
        named = () if op.elsewhere else op.params
        values = [p[each.name] for each in named if isinstance(p[each.name], (bool, int, float))]
        numbers = [real(each) if isinstance(each, float) else ctypes.c_int(each) for each in values]
        self.function(*pointers, *map(ctypes.c_int, sizes(op, case, letters or 1)), *numbers)
        zoned.check()
        for name, array in zip([each.name for each in op.inputs], inputs, strict=True):
            if array is not None:
                arrays[name] = array.reshape(arrays[name].shape)  # so that a change of an input shows
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def compiled(path: str) -> str:
    """The library itself, or the one that a C compiler makes of a source; raises Refused, CouldNotRun."""
    if Path(path).suffix not in SOURCES:
        return path
    made = Path(tempfile.mkdtemp(prefix="opcheck-")) / "candidate.so"
    command = [SOURCES[Path(path).suffix], "-O2", "-shared", "-fPIC", "-o", str(made), path, "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise CouldNotRun(say("{path} needs a C compiler: {name} is not there", path=path, name=command[0])) from None
    if done.returncode:
        raise Refused(say("{path} cannot be compiled", path=path), got=done.stderr.strip().partition("\n")[0])
    return str(made)


class Command(Foreign):
    """A shell command with {name} for each array that it reads and each output that it writes (files in .npy), and for
    each parameter."""

    shares_memory = False

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.command = text.removeprefix(SHELL).strip()
        self.names = set(re.findall(r"{(\w+)}", self.command))

    def unavailable(self, op: Op, dtype: str) -> str:
        missing = [each.name for each in op.outputs if each.name not in self.names and not each.whole]
        missing = [each.name for each in op.inputs if not each.optional and each.name not in self.names] + missing
        if missing:
            raise Refused(
                say("the command has no place for {names}", names=", ".join(missing)),
                got=self.command,
                fix=say("{{name}} stands for a file: {example}", example=_example(op)),
            )
        return super().unavailable(op, dtype)

    def lacks(self, op: Op, case: Case) -> str:
        return next((n for n in (*case.arrays, *given(op, case.params)) if n not in self.names), "")

    def run(self, op: Op, case: Case, arrays: dict[str, Array], number: Any, layout: str) -> Any:
        p, shapes = op.checked(case)
        with tempfile.TemporaryDirectory(prefix="opcheck-") as folder:
            words = {each.name: str(p[each.name]) for each in op.params}
            for name in {*self.names} - words.keys():
                words[name] = f"{folder}/{name}.npy"
            for name, array in arrays.items():
                np.save(words[name], array)
            command = re.sub(r"{(\w+)}", lambda found: shlex.quote(words[found[1]]), self.command)
            done = subprocess.run(command, shell=True, capture_output=True, text=True, errors="replace")
            if done.returncode:
                end = " ".join((done.stderr or done.stdout).strip().splitlines()[-LAST:])
                raise Malformed(say("the command ended with {code}: {words}", code=done.returncode, words=end))
            return {name: _read(words[name], name) for name in shapes if name in words}


def _read(path: str, name: str) -> Array:
    try:
        found: Array = np.load(path)
    except FileNotFoundError:
        raise Malformed(say("the command wrote no {name}", name=name)) from None
    except ValueError as error:
        raise Malformed(
            say("what the command wrote as {name} is not a .npy file: {why}", name=name, why=error)
        ) from None
    return found


def _example(op: Op) -> str:
    names = [*(each.name for each in op.inputs), *(each.name for each in op.outputs)]
    return "sh:./kernel " + " ".join(f"{{{name}}}" for name in names)


__all__ = ["SHELL", "Command", "Library", "is_library"]
