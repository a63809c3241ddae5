"""What an operator is: its arguments, its definition, its fast reference, its cases and its mistakes.

An operator is one subclass of `Op` in a file of `operators/`. Everything else (command-line flags, reference function,
explanation, gradients, bounds, verification, grading, practice) is generic code over what is declared here.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
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
Shape = tuple[int, ...]


class Input(NamedTuple):
    """An array argument: its name (torch's), what a formula calls it, and its shape as letters."""

    name: str
    symbol: str
    letters: str  # "N Cin H W"; for a person, and for the documentation
    help: str
    optional: bool = False
    differentiable: bool = True
    default: str = "ramp"  # how `explain` fills it: see explanation/calculation.py


class Output(NamedTuple):
    """A result: its name, what a formula calls it, and whether it can be differentiated."""

    name: str
    symbol: str
    letters: str
    differentiable: bool = True


class Mistake(NamedTuple):
    """A named wrong variant of an operator, with one sentence for the person who made it.

    `forward(op, p, **arrays)` returns wrong outputs, `vjp(op, p, cotangent, **arrays)` a dict of wrong gradients; the
    part that is None is right. `applies(p, **arrays)` may say where the variant can differ at all.
    """

    name: str
    sentence: str
    forward: Callable[..., Any] | None = None
    vjp: Callable[..., dict[str, Array]] | None = None


class Case(NamedTuple):
    """One call of an operator: arrays by argument name (those given) and parameters as a caller writes them."""

    op: str
    arrays: dict[str, Array]
    params: dict[str, Any]


class Op(ABC):
    """One operator. See `linear.py` for the smallest and `convolution/conv.py` for a typical one.

    The arrays of a call arrive by name (`*, input, weight, bias=None`); an optional one that was not given is absent.
    """

    name: str
    summary: str  # one line for `opcheck ops`
    formula: str  # one element, as a textbook prints it
    source: str  # where the formula is from
    example: tuple[str, str]  # a call of the reference function, and what Python shows of its result
    arguments: tuple[Input | Param, ...]  # in torch's order
    outputs: tuple[Output, ...]
    title: str = ""  # what a person calls it, where `name` is the place of a file
    aliases: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    elsewhere = True  # whether torch and other libraries have a counterpart
    refuses = True  # whether implementations must refuse what this one does
    fixed: Mapping[str, Any] = MappingProxyType({})  # parameters that an implementation may have no choice of
    torch_forward_mode = True  # whether torch's counterpart passes tangents on
    second_derivative = True  # whether the definition fixes the gradient's own gradient
    rounding: "Rounding | None" = None  # vectorised error bounds (shared/roundoff); None: from the graph

    # --- what an operator file writes -------------------------------------------------------------------------

    @abstractmethod
    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """The shape of each output that this call has; raises Refused where torch refuses."""

    @abstractmethod
    def element(self, p: Params, at: Shape, *args: Any, **views: Any) -> Any:
        """The definition: the element `at` of the output, over numbers that remember (a dict of them if several)."""

    @abstractmethod
    def forward(self, p: Params, *args: Any, **arrays: Any) -> Any:
        """The fast reference: the output in float64 (a dict by name if there are several)."""

    @abstractmethod
    def vjp(self, p: Params, cotangent: Any, *args: Any, **arrays: Any) -> dict[str, Array]:
        """The cotangent of each differentiable input that was given."""

    @abstractmethod
    def jvp(self, p: Params, tangents: dict[str, Array], *args: Any, **arrays: Any) -> Any:
        """The tangent of the output, for tangents of some inputs."""

    @abstractmethod
    def sample(self, chooser: "Chooser") -> Case:
        """Any legal case, built without ever being rejected."""

    def program(self, p: Params, *args: Any, **arrays: Any) -> Any:
        """The same over arrays that record (`opcheck.programs`): bounds inside of larger programs are read from it."""
        raise NotImplementedError(say("{op} is not declared as a program", op=self.name))

    @property
    def code(self) -> Any:
        """The code of `program`, whose variables name the arrays of a worked calculation."""
        return getattr(self.program, "__code__", None)

    def check(self, p: Params, *args: Any, **arrays: Any) -> None:
        """Refuse values (not shapes) that torch refuses, such as a class that does not exist."""

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        """Resolve parameters that mean another one: stride=None, deprecated flags."""
        return p

    def torch(self, torch: Any, params: Mapping[str, Any], *args: Any, **tensors: Any) -> Any:
        """The same call in torch; `params` as the caller wrote them. Receives the library, imports nothing."""
        return getattr(torch.nn.functional, self.name)(**tensors, **params)

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

    def arguments_of(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        """What such a module is called with, for the tensors that are not its own."""
        return tuple(tensors)

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        """Sentences that belong at the head of a worked calculation."""
        return ()

    def sizes(self, p: Params, shapes: Mapping[str, Shape], number: Callable[[str, int], Any]) -> dict[str, Any]:
        """The output sizes as formulas over number(name, value): recorded and shown, one line each."""
        return {}

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        """The shape that `explain` gives to a required array that the user left out."""
        return next(iter(shapes.values()), (3,))

    def classes(self, name: str, shapes: Mapping[str, Shape]) -> int:
        """How many classes an array of classes has numbers of, by the shapes of the others."""
        of = shapes["input"]
        return of[0] if len(of) == 1 else of[1]

    # --- what follows from it ---------------------------------------------------------------------------------

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(argument for argument in self.arguments if isinstance(argument, Input))

    @cached_property
    def params(self) -> tuple[Param, ...]:
        return tuple(argument for argument in self.arguments if isinstance(argument, Param))

    @cached_property
    def signature(self) -> inspect.Signature:
        """torch's signature: names, order and defaults."""
        parameters = []
        for argument in self.arguments:
            kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
            if isinstance(argument, Input):
                default = None if argument.optional else inspect.Parameter.empty
            else:
                default = inspect.Parameter.empty if argument.default is REQUIRED else argument.default
                kind = inspect.Parameter.KEYWORD_ONLY if argument.keyword_only else kind
            parameters.append(inspect.Parameter(argument.name, kind, default=default))
        return inspect.Signature(parameters)

    def input(self, name: str) -> Input:
        return next(each for each in self.inputs if each.name == name)

    def output(self, name: str) -> Output:
        return next(each for each in self.outputs if each.name == name)

    @cached_property
    def _defaults(self) -> dict[str, Any]:
        """The value of every parameter that is not given; REQUIRED where there is none."""
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
        bound = self._bound(args, kwargs)
        arrays = {}
        for each in self.inputs:
            array = bound.get(each.name)
            if array is not None:
                arrays[each.name] = as_array(array, each.name, real=each.default != "classes")
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
                got=str(error),
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
        out = self.shape(p, shapes)
        self.check(p, **case.arrays)
        return p, out

    def run(self, case: Case) -> dict[str, Array]:
        """Every output of the fast reference, by name, in float64 (indices in int64)."""
        p, shapes = self.checked(case)
        return self.by_name(self.forward(p, **widened(case.arrays)), shapes)

    def by_name(self, result: Any, shapes: Mapping[str, Shape] | Sequence[str]) -> dict[str, Any]:
        """A result as a dict by output name: itself, or {the one output: itself}."""
        return result if isinstance(result, dict) else {next(iter(shapes)): result}


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


def widened(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Real arrays in float64; whole numbers (classes) stay as they are."""
    return {name: a.astype(np.float64, copy=False) if a.dtype.kind == "f" else a for name, a in arrays.items()}


__all__ = [
    "Array", "Case", "Input", "Mistake", "Op", "Output", "Param", "Params", "Refused", "RefusedType", "Shape",
    "as_array", "widened",
]  # fmt: skip
