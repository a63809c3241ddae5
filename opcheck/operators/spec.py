"""What an operator is: its arguments, its definition, its fast reference, its cases and its mistakes.

An operator is one subclass of `Op` in a file of `operators/`. Everything else (command-line flags, reference function,
explanation, gradients, bounds, verification, grading, practice) is generic code over what is declared here.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from opcheck.errors import Refused, RefusedType
from opcheck.language import say
from opcheck.operators.params import REQUIRED, Param, Params

if TYPE_CHECKING:
    from opcheck.operators.choosers import Chooser
    from opcheck.operators.shared.roundoff import Rounding

Array = np.ndarray[Any, np.dtype[Any]]
EXEMPLARY = 1e-3  # the size of a mistake that may have any
NEGLIGIBLE = 1e-6  # a form may add that much inside a logarithm; more is a mistake
MULTILINEAR = "multilinear"  # sums of products of one element of each input
PIECEWISE_LINEAR = "piecewise linear"  # in each piece a sum of input elements
Shape = tuple[int, ...]


class Input(NamedTuple):
    """An array argument: its name (torch's), what a formula calls it, and its shape as letters."""

    name: str
    symbol: str
    letters: str  # "N Cin H W"; for a person, and for the documentation
    help: str
    optional: bool = False
    differentiable: bool = True
    default: str = "ramp"  # what stands in it where nobody gave it: see fills.py
    whole: bool = False  # whole numbers stay whole: classes, rows of a table
    part_of: str = ""  # the tuple in which torch takes it: hx of lstm_cell
    explicit: bool = False  # optional, but torch has no default for it: a call without it says None


class Output(NamedTuple):
    """A result: its name, what a formula calls it, and whether it can be differentiated."""

    name: str
    symbol: str
    letters: str
    differentiable: bool = True
    updates: bool = False  # the new value of the input of that name, which torch writes in place and does not return
    upstream: str = "ramp"  # a word of fills.py: the upstream gradient of a worked calculation, where none was given

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers: positions."""
        return not self.differentiable and not self.updates


class Mistake(NamedTuple):
    """A named wrong variant of an operator, with one sentence for the person who made it.

    `forward(op, p, **arrays)` returns wrong outputs, `vjp(op, p, cotangent, **arrays)` a dict of wrong gradients; the
    part that is None is right. A mistake that has a size, such as a number that is added, says `sized(size, op, p,
    **arrays)` as well, and `forward` is of the size EXEMPLARY (`Mistake.with_size`).
    """

    name: str
    sentence: str
    forward: Callable[..., Any] | None = None
    vjp: Callable[..., dict[str, Array]] | None = None
    sized: Callable[..., Any] | None = None
    is_convention: bool = False  # right in code that keeps its arrays otherwise
    is_subgradient: bool = False  # another derivative at a kink than torch's: right where understanding is asked

    @classmethod
    def with_size(cls, name: str, sentence: str, sized: Callable[..., Any]) -> "Mistake":
        return cls(name, sentence, partial(sized, EXEMPLARY), None, sized)

    def of_size(self, size: float) -> "Mistake":
        """The mistake with that size; itself where it has none."""
        return self if self.sized is None else self._replace(forward=partial(self.sized, size))


class Form(NamedTuple):
    """The right function, written so that it has fewer digits or a smaller range: no mistake, and never called one.

    `forward(op, p, **arrays)` returns the outputs and `vjp(op, p, cotangent, **arrays)` a dict of gradients, in numpy's
    functions over plain arrays or arrays that record: how far the form may be off follows from these. Without `vjp` the
    gradients are the derivatives of `forward`. The sentence says where it is worse, and what to write instead.
    as_wide: whether another right form has the same bound (torch's x·s + (b − mean·s)), so that this one agrees.
    """

    name: str
    sentence: str
    domain: str  # where it is as good as any
    forward: Callable[..., Any]
    vjp: Callable[..., dict[str, Any]] | None = None
    as_wide: bool = False


def _as_it_is(p: Any, name: str, array: Array) -> Array:
    return array[None]


def _no_letters(p: Any, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    return {}


class Closed(NamedTuple):
    """The gradient of an input as a textbook writes it: "x̄[i] = y[i]·(ȳ[i] − Σ_k y[k]·ȳ[k])". It is read as it is
    printed, and proved on the numbers of a call before it is shown.

    letters(p, shapes): what letters stand for that are no arrays and no indices; None where a call has no such formula.
    rows(p, name, array): the array (of an input or an output) as the formula sees it, in rows that it holds for each
    by itself: (rows, ...), or (1, ...) for what all rows share.
    near: how near the two must come; a program that rounds a constant such as √2 has no more digits than that.
    """

    input: str
    formula: str
    letters: Callable[[Any, Mapping[str, Shape]], Mapping[str, Any] | None] = _no_letters
    rows: Callable[[Any, str, Array], Array] = _as_it_is
    near: float = 1e-30


def each_alone(p: Any, name: str, array: Array) -> Array:
    """Rows of one number: what is computed element by element."""
    return array.reshape(-1)


def in_a_row(p: Any, name: str, array: Array) -> Array:
    """One row of all numbers, of the output too."""
    return array.reshape(1, -1)


def all_in_one(p: Any, name: str, array: Array) -> Array:
    """One row of all numbers of an input; the output is one number, as that of a loss is."""
    return array[None] if name == "output" else array.reshape(1, -1)


class Case(NamedTuple):
    """One call of an operator: arrays by argument name (those given) and parameters as a caller writes them."""

    op: str
    arrays: dict[str, Array]
    params: dict[str, Any]
    dtype: str = ""  # of its real numbers, where the arrays hold them in float64; else theirs


class Op(ABC):
    """One operator. See `linear.py` for the smallest and `convolution/conv.py` for a typical one.

    The arrays of a call arrive by name (`*, input, weight, bias=None`); an optional one that was not given is absent.
    """

    name: str
    summary: str  # one line for `opcheck ops`
    formula: str  # one element, as a textbook prints it
    source: str  # where the formula is from
    listing: str = ""  # its text, where it is a program of somebody's own
    example: tuple[str, str]  # a call of the reference function, and what Python shows of its result
    arguments: tuple[Input | Param, ...]  # in torch's order
    outputs: tuple[Output, ...]
    title: str = ""  # what a person calls it, where `name` is the place of a file
    aliases: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    forms: tuple[Form, ...] = ()
    closed: tuple[Closed, ...] = ()  # gradients as a textbook writes them
    elsewhere = True  # whether torch and other libraries have a counterpart
    refuses = True  # whether implementations must refuse what this one does
    formulas: tuple[str, ...] = ()  # parameters that choose between formulas of one name: without them either is right
    taught: Mapping[str, tuple[Any, ...]] = {}  # what a course asks where an assignment says nothing
    also_asked: tuple[str, ...] = ()  # what else a course may ask of it: "batch", "ties", ... (grading's scope.py)
    family = ""  # the kind of cases that a grade is made of (grading/drawing/families.py); "": those of its own sampler
    aims: tuple[str, ...] = ()  # what such cases of its own sampler are to have (grading/drawing/sampling.py)
    extremes = ""  # what overflows in it though it is finite: "logits" of ±1000, "certainties" of 0 and 1
    draws = ""  # the input that an implementation draws by chance where it is not given: a mask
    torch_path = ""  # of torch's function, where it is not torch.nn.functional.<name>
    fixed: Mapping[str, Any] = MappingProxyType({})  # parameters that an implementation may have no choice of
    torch_forward_mode = True  # whether torch's counterpart passes tangents on
    degree = ""  # how the outputs depend on the inputs: MULTILINEAR, PIECEWISE_LINEAR, or in no such simple way
    second_derivative = True  # whether the definition fixes the gradient's own gradient
    widest: Mapping[str, Any] = MappingProxyType({})  # arguments of `program` for its right form that rounds most
    rounding: "Rounding | None" = None  # vectorised error bounds (shared/roundoff); None: from the graph

    # --- what an operator file writes -------------------------------------------------------------------------

    @abstractmethod
    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """The shape of each output that this call has; raises Refused where torch refuses."""

    @abstractmethod
    def element(self, p: Params, at: Shape, /, *args: Any, **views: Any) -> Any:
        """The definition: the element `at` of the output, over numbers that remember (a dict of them if several)."""

    @abstractmethod
    def forward(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        """The fast reference: the output in float64 (a dict by name if there are several)."""

    @abstractmethod
    def vjp(self, p: Params, cotangent: Any, /, *args: Any, **arrays: Any) -> dict[str, Array]:
        """The cotangent of each differentiable input that was given."""

    @abstractmethod
    def jvp(self, p: Params, tangents: dict[str, Array], /, *args: Any, **arrays: Any) -> Any:
        """The tangent of the output, for tangents of some inputs."""

    @abstractmethod
    def sample(self, chooser: "Chooser") -> Case:
        """Any legal case, built without ever being rejected."""

    def program(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        """The same over arrays that record (`opcheck.programs`): bounds inside larger programs are read from it."""
        raise NotImplementedError(say("{op} is not declared as a program", op=self.name))

    @property
    def code(self) -> Any:
        """The code of `program`, whose variables name the arrays of a worked calculation."""
        return getattr(self.program, "__code__", None)

    def check(self, p: Params, /, *args: Any, **arrays: Any) -> None:
        """Refuse values (not shapes) that torch refuses, such as a class that does not exist."""

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        """Resolve parameters that mean another one: stride=None, deprecated flags."""
        return p

    def typed(self, p: Params, dtype: str) -> Params:
        """Resolve parameters whose default depends on the type of the real numbers: finfo(dtype).eps."""
        return p

    def torch(self, torch: Any, params: Mapping[str, Any], *args: Any, **tensors: Any) -> Any:
        """The same call in torch; `params` as the caller wrote them. Receives the library, imports nothing."""
        function = torch
        for name in self.torch_function.split(".")[1:]:
            function = getattr(function, name)
        missing = {each.name: None for each in self.inputs if each.explicit and each.name not in tensors}
        return function(**self.gathered({**tensors, **missing}), **params)

    def is_derivative(self, p: Params) -> bool:
        """Whether the gradient is the derivative. Some parameters make it something else by convention (a row of an
        embedding that is held), and then no tangent and no second derivative belongs to it."""
        return True

    def construction(
        self, params: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments with which a class such as torch.nn's is built for these sizes; raises Refused for sizes that
        no such class has."""
        return (), dict(params)

    @property
    def weights(self) -> Mapping[str, str] | None:
        """Of an operator that is one module of fixed sizes: what the module calls each of its arrays."""
        return None

    def packed(self, tensors: Sequence[Any]) -> list[Any]:
        """What a function is called with, for the inputs that are given by position."""
        return list(tensors)

    @property
    def initial(self) -> Mapping[str, Any]:
        """What such a module holds when it is built after the seed 0, by its own names."""
        return {}

    def arguments_of(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        """What such a module is called with, for the tensors that are not its own."""
        return tuple(tensors)

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        """The formula of one call, where parameters, or inputs that are not there, make it another one."""
        return self.formula

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        """Sentences that belong at the head of a worked calculation."""
        return ()

    def remarks(self, p: Params, /, **arrays: Array) -> tuple[str, ...]:
        """The same, about what the numbers are."""
        return ()

    def sizes(self, p: Params, shapes: Mapping[str, Shape], number: Callable[[str, int], Any]) -> dict[str, Any]:
        """The output sizes as formulas over number(name, value): recorded and shown, one line each."""
        return {}

    def drawn(self, p: Params, shapes: Mapping[str, Shape], rng: np.random.Generator) -> Array:
        """One draw of the input `draws`."""
        raise NotImplementedError

    def observed(self, p: Params, given: Array, made: Array) -> Array:
        """What was drawn, read off what became of these numbers: an output of the first input, a gradient of a
        cotangent, a tangent of a tangent."""
        raise NotImplementedError

    def improbable(self, p: Params, draws: Sequence[Array]) -> str:
        """What a right implementation draws with a probability below 1e-9, in a sentence; empty if nothing is."""
        return ""

    def call(self, case: Case) -> dict[str, Any]:
        """The case as keyword arguments of a call."""
        absent = {each.name: None for each in self.inputs if each.explicit and each.name not in case.arrays}
        return {**absent, **case.arrays, **case.params}

    def completed(self, case: Case, seed: int = 0) -> Case:
        """The case with the input that is drawn by chance, from a seed."""
        if not self.draws or self.draws in case.arrays:
            return case
        p, _ = self.checked(case)
        shapes = {name: array.shape for name, array in case.arrays.items()}
        made = self.drawn(p, shapes, np.random.default_rng(seed))
        return case._replace(arrays={**case.arrays, self.draws: made})

    def is_identity(self, p: Params) -> bool:
        """Whether the output may be the input itself, in its memory: what does nothing need not copy."""
        return False

    def choices(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> int:
        """How many numbers, counted from 0, an input of whole numbers chooses from: the classes of the first input."""
        first = shapes.get(self.inputs[0].name, ())
        return first[min(1, len(first) - 1)] if first else 0

    def example_of(self, param: Param, shapes: Mapping[str, Shape]) -> Any:
        """What is taken for a required parameter that was not given, beside arrays of these shapes."""
        return param.example

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        """The shape that `explain` gives to a required array that the user left out."""
        return next(iter(shapes.values()), (3,))

    # --- what follows from it ---------------------------------------------------------------------------------

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(argument for argument in self.arguments if isinstance(argument, Input))

    @cached_property
    def params(self) -> tuple[Param, ...]:
        return tuple(argument for argument in self.arguments if isinstance(argument, Param))

    @cached_property
    def torch_function(self) -> str:
        """Where torch has it."""
        return self.torch_path or f"torch.nn.functional.{self.name}"

    @cached_property
    def tuples(self) -> dict[str, tuple[str, ...]]:
        """The inputs that torch takes as one tuple, by its name."""
        found: dict[str, tuple[str, ...]] = {}
        for each in self.inputs:
            if each.part_of:
                found[each.part_of] = (*found.get(each.part_of, ()), each.name)
        return found

    def gathered(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name with the parts of a tuple in that tuple, where all of them are there."""
        if not self.tuples:
            return dict(given)
        whole = {name: parts for name, parts in self.tuples.items() if all(part in given for part in parts)}
        first = {parts[0]: name for name, parts in whole.items()}
        inside = {part for parts in whole.values() for part in parts}
        found = {}
        for name, value in given.items():
            if name in first:
                found[first[name]] = tuple(given[part] for part in whole[first[name]])
            elif name not in inside:
                found[name] = value
        return found

    def parted(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The opposite: each part of a tuple by its own name; raises Refused for what is no tuple of that length."""
        found = dict(given)
        for name, parts in self.tuples.items():
            if found.get(name) is None:
                continue
            value = found.pop(name)
            if not isinstance(value, (tuple, list)) or len(value) != len(parts):
                raise RefusedType(
                    say("{name} is a tuple of {n} arrays: {parts}", name=name, n=len(parts), parts=", ".join(parts)),
                    got=say("{n} of them", n=len(value)) if isinstance(value, (tuple, list)) else type(value).__name__,
                )
            found |= dict(zip(parts, value, strict=True))
        return found

    def updated(self, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        """The inputs that a call with these outputs writes in place."""
        return tuple(each.name for each in self.outputs if each.updates and each.name in shapes)

    @cached_property
    def signature(self) -> inspect.Signature:
        """torch's signature: names, order and defaults."""
        parameters: dict[str, inspect.Parameter] = {}
        for argument in self.arguments:
            kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
            name = argument.name
            if isinstance(argument, Input):
                default = None if argument.optional and not argument.explicit else inspect.Parameter.empty
                name = argument.part_of or name
            else:
                default = inspect.Parameter.empty if argument.default is REQUIRED else argument.default
                kind = inspect.Parameter.KEYWORD_ONLY if argument.keyword_only else kind
            parameters.setdefault(name, inspect.Parameter(name, kind, default=default))
        return inspect.Signature(list(parameters.values()))

    @property
    def has_program(self) -> bool:
        return type(self).program is not Op.program

    def input(self, name: str) -> Input:
        return next(each for each in self.inputs if each.name == name)

    def output(self, name: str) -> Output:
        return next(each for each in self.outputs if each.name == name)

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        """The value of every parameter that is not given; REQUIRED if there is none."""
        return {each.name: self._value(each, each.default) for each in self.params}

    @cached_property
    def _kinds(self) -> dict[str, Param]:
        return {each.name: each for each in self.params}

    def _value(self, param: Param, value: Any) -> Any:
        if value is REQUIRED or (value is None and param.default is None):
            return value  # an absent optional value is the default even where the kind has no None
        return param.kind.check(param.name, value)

    def parameters(self, given: Mapping[str, Any]) -> Params:
        """The values of all parameters, the given ones checked; raises Refused."""
        values = self._defaults.copy()
        for name, value in given.items():
            if name not in values:
                raise RefusedType(
                    say("{op} has no parameter {name}", op=self.name, name=name),
                    fix=say("its parameters are {names}", names=", ".join(values) or say("none")),
                )
            values[name] = self._value(self._kinds[name], value)
        for name, value in values.items():
            if value is REQUIRED:
                raise RefusedType(
                    say("{op} needs {name}: {help}", op=self.name, name=name, help=self._kinds[name].help)
                )
        return Params(values)

    @cached_property
    def _argument_names(self) -> tuple[tuple[str, ...], frozenset[str], frozenset[str]]:
        """The names of the arguments that may be given by position, of those that must be given, and of all."""
        each = self.signature.parameters.values()
        return (
            tuple(one.name for one in each if one.kind is one.POSITIONAL_OR_KEYWORD),
            frozenset(one.name for one in each if one.default is one.empty),
            frozenset(self.signature.parameters),
        )

    def bind(self, *args: Any, **kwargs: Any) -> Case:
        """The case of a call as torch would be called; raises Refused for what is no such call, and checks no more."""
        for name, parts in self.tuples.items():
            for part in parts if name not in kwargs and any(each in kwargs for each in parts) else ():
                if part not in kwargs:
                    raise RefusedType(
                        say("{op} needs {name} ({help})", op=self.name, name=part, help=self.input(part).help)
                    )
        bound = self.parted(self._bound(args, self.gathered(kwargs)))
        arrays = {}
        for each in self.inputs:
            array = bound.get(each.name)
            if array is not None:
                arrays[each.name] = as_array(array, each.name, real=not each.whole)
            elif not each.optional:
                raise RefusedType(
                    say("{op} needs {name} ({help})", op=self.name, name=each.name, help=each.help), got="None"
                )
        return Case(self.name, arrays, {name: bound[name] for name in self._kinds if name in bound})

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, as the signature binds them."""
        positional, required, names = self._argument_names
        bound = {**dict(zip(positional, args, strict=False)), **kwargs}
        if len(bound) == len(args) + len(kwargs) and required <= bound.keys() <= names:
            return bound  # a third of the time that inspect takes, which says below what is wrong with the others
        try:
            return dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            raise RefusedType(
                say("{op} is called as {op}{signature}", op=self.name, signature=self.signature),
                got=str(error).removeprefix("got "),
                fix=say("pass these arguments, by these names"),
            ) from None

    def case(self, *args: Any, **kwargs: Any) -> Case:
        """A checked case from a call as torch would be called; raises Refused."""
        case = self.bind(*args, **kwargs)
        self.checked(case)
        return case

    def checked(self, case: Case) -> tuple[Params, dict[str, Shape]]:
        """The settled parameters and output shapes of a case; raises Refused where torch refuses it."""
        shapes = {name: array.shape for name, array in case.arrays.items()}
        p = self.settle(self.parameters(case.params), shapes)
        p = self.typed(p, case.dtype or result_dtype(case).name)
        out = self.shape(p, shapes)
        self.check(p, **case.arrays)
        return p, out

    def run(self, case: Case) -> dict[str, Array]:
        """Every output of the fast reference, by name, in float64 (indices in int64)."""
        p, shapes = self.checked(case)
        return self.by_name(self.forward(p, **widened(self.completed(case).arrays)), shapes)

    def by_name(self, result: Any, shapes: Mapping[str, Shape] | Sequence[str]) -> dict[str, Any]:
        """A result as a dict by output name: itself, or {the one output: itself}."""
        return result if isinstance(result, dict) else {next(iter(shapes)): result}


def results_of(op: Op, result: Any) -> dict[str, Any]:
    """What a program returned, by output name: a dict, a tuple in the order of the outputs, or the one output."""
    if isinstance(result, Mapping):
        return dict(result)
    results = result if isinstance(result, tuple) else (result,)
    return dict(zip((each.name for each in op.outputs), results, strict=False))


def as_array(value: Any, name: str, real: bool = False) -> Array:
    """`value` as a numpy array of numbers, with `real` in float64 if whole; Refused for ragged or non-numeric data."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise RefusedType(
            say("{name} must be a rectangular array of real numbers", name=name),
            got=say("{type} of dtype {dtype}", type=type(value).__name__, dtype=array.dtype),
            fix=say("rows of equal length, numbers only"),
        )
    return array.astype(np.float64) if real and array.dtype.kind != "f" else array


def result_dtype(case: Case) -> Any:
    """float32 if every real array is float32 (or narrower), and so on; float64 if there is none."""
    kinds = [array.dtype for array in case.arrays.values() if array.dtype.kind == "f"]
    return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def widened(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Real arrays in float64; whole numbers (classes) stay as they are."""
    return {name: a.astype(np.float64, copy=False) if a.dtype.kind == "f" else a for name, a in arrays.items()}


__all__ = [
    "MULTILINEAR", "PIECEWISE_LINEAR", "Array", "Case", "Input", "Mistake", "Op", "Output", "Param", "Params",
    "Refused", "RefusedType", "Shape", "as_array", "result_dtype", "results_of", "widened",
]  # fmt: skip
