"""What comes back from the sandbox, in a student's words: arrays of numbers, or why there are none."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from opcheck.backends.base import Malformed
from opcheck.grading.known_errors import is_unfinished, meaning, place_of
from opcheck.grading.results import Outcome
from opcheck.language import say
from opcheck.operators.spec import Array
from opcheck.sandbox import Failure, Opaque, Status
from opcheck.sandbox import Outcome as Reply
from opcheck.sandbox.protocol import NAME, NOT_ALLOWED, REFUSED, one_line

_ATTRIBUTE = re.compile(r"layer\.")  # what a student's object keeps under its own name
_ROOT = re.compile(r"\w*")  # of a place
_SINGLE = ("ndarray", "Tensor", "float", "int", "bool")  # and numpy's numbers: float64, int32, ...


class Failed(Malformed):
    """A call that gave no result, and which of the outcomes that is."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class Returns(NamedTuple):
    """A function that should return several values, and what they are by their place: "[0]", "[1]"."""

    function: str
    values: Mapping[str, str]


def failure(reply: Reply, what: str, returns: Mapping[str, Returns], limit: float) -> Failed:
    """Why a reply has not got what was due, in one sentence; `returns` by the name under which a result is kept, and
    the seconds that there were."""
    error = reply.failure
    assert error is not None
    where = place_of(error)
    if reply.status is Status.RAISED and is_unfinished(error.type, error.message):
        return Failed(Outcome.NOT_ATTEMPTED, say("it raises NotImplementedError{where}", where=where))
    if reply.status is Status.TIMED_OUT:
        return Failed(Outcome.TOO_SLOW, too_slow(limit))
    if reply.status is Status.ABSENT:
        return _absent(error, what, returns)
    if error.type == "ModuleNotFoundError" and (refused := NOT_ALLOWED.fullmatch(error.message)):
        return Failed(
            Outcome.CRASHED, say("this assignment does not allow {name}{where}", name=refused[1], where=where)
        )
    if reply.status is Status.RAISED:
        text = f"{error.type}: {error.message}" if error.message else error.type
        if known := meaning(error.type, error.message):
            told = say("{meaning}{where}: it raises {kind}", meaning=known, kind=error.type, where=where)
            return Failed(Outcome.CRASHED, told)
        return Failed(Outcome.CRASHED, say("it raises {text}{where}", text=text, where=where))
    if reply.status is Status.EXITED:
        return Failed(Outcome.CRASHED, say("it ends the program: {text}", text=error.message))
    if reply.status is Status.MALFORMED and error.type == REFUSED:
        return Failed(Outcome.CRASHED, say("its result cannot be sent: {text}", text=error.message))
    return Failed(Outcome.CRASHED, error.message)


def too_slow(limit: float) -> str:
    return say("it is too slow or never ends: it does not finish within {seconds:g} s", seconds=limit)


def _absent(error: Failure, what: str, returns: Mapping[str, Returns]) -> Failed:
    """A place where nothing is: a template that returns nothing, or fewer values than are due."""
    if len(error.way) != 3:
        unknown = say("there is no {name}", name=error.way[0]) if error.way else say("{what} is missing", what=what)
        return Failed(Outcome.CRASHED, unknown)
    place, kind, part = error.way
    root = _ROOT.match(place)[0]  # type: ignore[index]  # it matches everything
    path = place[len(root) :]
    if kind == "NoneType" and part.startswith("[") and "'" not in part:
        return Failed(Outcome.NOT_ATTEMPTED, say("{what} is missing: None was returned", what=what))
    function, values = returns.get(root, ("", {}))
    if path == part in values and kind.rstrip("0123456789") in _SINGLE:
        first = next(iter(values.values()))
        return Failed(Outcome.WRONG, say("{function} returns a single value; it should return several, of which "
                                         "{first} is the first", function=function, first=first))  # fmt: skip
    if path == part in values and kind in ("tuple", "list"):
        missing = say("{function} returns too few values: {what} is missing", function=function, what=values[part])
        return Failed(Outcome.WRONG, missing)
    return Failed(Outcome.WRONG, say("{what} is missing: {kind} has no {part}", what=what, kind=kind, part=part))


def called(name: str, place: str = "") -> str:
    """A result as its student knows it: "output", "the gradient of weight (layer.dLdW)"."""
    kind, _, of = name.rpartition(":")
    what = say("the gradient of {name}", name=of) if kind else name
    return f"{what} ({place})" if _ATTRIBUTE.match(place) else what


def plain_array(value: Any, what: str) -> Array:
    """A number or an array of real numbers as an array; raises Failed for anything else."""
    if value is None:
        raise Failed(Outcome.NOT_ATTEMPTED, say("{what} is None", what=what))
    if type(value) in (float, int):
        return _number(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value.astype(np.float64) if value.dtype == np.float16 else value
    if isinstance(value, Opaque):
        kind = one_line(value.description, NAME)
    elif isinstance(value, np.ndarray):
        kind = say("an array of dtype {dtype}", dtype=value.dtype)
    else:
        kind = say("a {type}", type=type(value).__name__)
    raise Failed(Outcome.WRONG, say("{what} is {kind}; it should be an array of numbers", what=what, kind=kind))


def _number(value: float) -> Array:
    """A number of Python's; a whole one that no integer type holds counts as a real one."""
    if type(value) is int and not -(1 << 63) <= value < 1 << 63:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf if value > 0 else -math.inf
    return np.asarray(value, dtype=np.float64 if type(value) is float else np.int64)
