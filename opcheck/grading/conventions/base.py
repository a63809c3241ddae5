"""What a calling convention is: names and layouts as data, and two short functions that say how a call is made.

A teacher's own convention is a Python file beside the assignment that defines CONVENTION:

    def call(r):       # y = affine(x, w, b), with w as (In, Out)
        return Plan([Call(r.forward, (r.array("input"), r.array("weight", TRANSPOSED), r.array("bias")), keep="y")],
                    {"output": Reading("y")})

    def gradients(r, g):
        return Plan([Call(r.backward, (g["output"], Place("y")), keep="d")], {"input": Reading("d[0]"), ...})

    CONVENTION = Convention("ours", "...", {"linear": Entry(("affine",), ("affine_grad",))}, call, gradients)
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from opcheck.grading.conventions.layouts import SAME, Layout
from opcheck.grading.conventions.sentences import Sentences
from opcheck.operators.spec import Array, Case, Mistake, Op, Params
from opcheck.sandbox import Call, Definition, Set

Allowed = Callable[[Any], bool]


class Entry(NamedTuple):
    """Where an operator is found in a submission, and what the convention can say of its arguments.

    `forward` and `backward` are names to look for, the likeliest first: functions, or classes, or methods of classes
    ("Conv.forward"). `allows` limits parameters, and says with True or False whether an optional array is given.
    """

    forward: tuple[str, ...]
    backward: tuple[str, ...] = ()
    allows: Mapping[str, Allowed] = {}
    in_place: bool = False  # may write into its arguments, as optimisers do
    upstream: bool = True  # False: the gradient is that of the result itself, nothing flows in from above
    usual: Mapping[str, tuple[Any, ...]] = {}  # what is asked where an assignment does not say
    title: str = ""  # what sets it apart from an operator's other entries: a file may have both, each graded
    prepared: Callable[[Op, Case], Case] | None = None  # makes a case one that code with a state of its own can be in
    variant: str = ""  # of several ways to lay out the same arrays, of which nothing but the results tells


class Reading(NamedTuple):
    """Where a result lies after the steps, and in which layout.

    Several places, as courses vary: the first one that is there for the first case is read for all.
    """

    place: str | tuple[str, ...]
    layout: Layout = SAME


class Plan(NamedTuple):
    """Steps for the sandbox and where to read what they computed, by output name or by input name."""

    steps: Sequence[Call | Set]
    readings: Mapping[str, Reading]


@dataclass(frozen=True)
class Request:
    """One call to make: a case in the question's dtype, and the names that were found."""

    op: Op
    case: Case
    p: Params  # the settled parameters: p.stride is (2, 2) for stride=2
    number: str  # "float64" or "float32": the dtype of real arrays
    forward: str  # place of the function or class: "module.conv_forward"
    backward: str = ""
    found: Definition | None = None  # what is there, with its parameters
    arrays: str = "numpy"  # or "torch"
    convention: str = ""
    gradient: Definition | None = None  # the backward function that is there, with its parameters
    variant: str = ""  # the entry's

    def array(self, name: str, layout: Layout = SAME) -> Any:
        """An array of the case as the convention lays it out; None if it was not given."""
        if name not in self.case.arrays:
            return None
        return self.sent(self.case.arrays[name], layout)

    def sent(self, array: Array, layout: Layout = SAME) -> Array:
        """`array` in the layout and the number type in which it is sent."""
        array = layout.give(array)
        return np.array(array, dtype=self.number if array.dtype.kind == "f" else array.dtype, order="C")

    def one(self, name: str) -> Any:
        """A parameter as one whole number, for a convention that has no pairs."""
        value = self.p[name]
        return value[0] if isinstance(value, tuple) else value


Cotangent = Mapping[str, Any]


def is_function(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    """What is called without an object: a function, or a static method."""
    bound = found.kind == "method" and bool(found.parameters) and found.parameters[0].name == "self"
    return found.kind in ("function", "method") and not bound


def is_layer(op: Op, found: Definition, beside: Sequence[Definition] = ()) -> bool:
    """A class with a forward pass, or with a step where it is an optimiser."""
    asked = "step" if any(each.name == "lr" for each in op.params) else "forward"
    return found.kind == "class" and method(found, asked) is not None


def everything(op: Op, found: Sequence[Definition]) -> Mapping[str, Allowed]:
    """What code can take that lacks nothing."""
    return {}


def anyhow(op: Op, found: Definition, variant: str) -> bool:
    """Nothing is known of how code lays out its arrays."""
    return True


@dataclass(frozen=True)
class Convention:
    """How a course's files are called: see the top of this file. An operator may have several entries; the
    assignment's `entry` says which is meant, the first one if it says nothing."""

    name: str
    summary: str
    entries: Mapping[str, Entry | tuple[Entry, ...]]
    call: Callable[[Request], Plan]
    gradients: Callable[[Request, Cotangent], Plan]
    arrays: str = "numpy"
    either: bool = False  # whether code may take the other ones as well
    autograd: bool = False  # with tensors, gradients come from torch and not from a function of the student's
    repeats: bool = False  # whether backward may be called twice on what one forward call left, for the same gradients
    names: Callable[[str], Entry] | None = None  # how it calls what is in no list of its own: a program of a teacher
    sentences: Sentences = field(default_factory=dict)  # on mistakes whose own sentence is about torch's layout
    says_all: bool = False  # whether all that the code has a parameter for is passed to it
    # What the functions or the class that were found can take of an operator's arguments: the rest is not asked.
    takes: Callable[[Op, Sequence[Definition]], Mapping[str, Allowed]] = everything
    # Whether what has the right name, beside all these, may be of this convention.
    fits: Callable[[Op, Definition, Sequence[Definition]], bool] = is_function
    # Whether it may lay out its arrays as this variant of an entry does.
    knows: Callable[[Op, Definition, str], bool] = anyhow

    def sentence(self, op: Op, mistake: Mistake) -> str:
        """The sentence about a mistake for students who use this convention."""
        return self.sentences.get(op.name, {}).get(mistake.name, mistake.sentence)

    def entry(self, op: str, name: str = "") -> Entry:
        """The entry of an operator that has this forward name; raises KeyError if the operator has none at all."""
        if op not in self.entries:
            raise KeyError(op)
        several = self.several(op)
        return next((each for each in several if name in each.forward), several[0])

    def entries_of(self, op: Op) -> tuple[Entry, ...]:
        """All entries of an operator, or of a teacher's own program; none if the convention has no word for it."""
        if op.title and not op.elsewhere:
            return (self.names(op.title),) if self.names is not None else ()
        return self.several(op.name)

    def several(self, op: str) -> tuple[Entry, ...]:
        """All entries of an operator; none if the convention has not got it."""
        return several(self.entries.get(op, ()))


def several(entries: Entry | tuple[Entry, ...]) -> tuple[Entry, ...]:
    """One entry, or several, as several."""
    return (entries,) if isinstance(entries, Entry) else entries


def only(*values: Any) -> Allowed:
    """Just these values."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def has(definition: Definition, *names: str) -> str:
    """The first of these parameters that a function or a constructor has; "" if none, the first one of **kwargs."""
    own = {each.name for each in definition.parameters}
    anything = any(each.kind == "VAR_KEYWORD" for each in definition.parameters)
    return next((name for name in names if name in own), names[0] if anything else "")


def method(definition: Definition | None, name: str) -> Definition | None:
    """A method of a class."""
    return next((each for each in definition.methods if each.name == name), None) if definition else None


def default_only(default: Any) -> Allowed:
    """Just what torch takes where nothing is given."""
    return lambda value: value == default or value is None


def whole(value: Any) -> bool:
    """A single whole number, not a pair."""
    return type(value) is int


def last_dimension(shape: Any) -> bool:
    """That of layers that normalise rows; what is not known yet may still be so."""
    return not isinstance(shape, tuple) or len(shape) == 1


def power_of_two(value: Any) -> bool:
    """Whether it is a power of two, so that dividing by it is exact."""
    return math.frexp(value)[0] == 0.5
