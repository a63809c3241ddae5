"""A user's function of numpy arrays or torch tensors, called as torch's operator is called."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.backends import destination, environment, guarded
from opcheck.backends.base import (
    Backend,
    Malformed,
    NoCounterpart,
    Outputs,
    Session,
    arguments,
    lacking,
    laid_out,
    named_outputs,
    own_defaults,
)
from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.backends.tensors import laid_out as laid_out_tensor
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Shape

# numpy 1 makes float64 of a float32 scalar and a Python number: no fault of whoever wrote np.maximum(x, 0).
PROMOTES_ONE_NUMBER = np.result_type(np.float32(1), 1) == np.float32


class TorchFunction(TensorBackend):
    """candidate(*tensors, **params) -> tensor(s); gradients by autograd.

    An `autograd.Function` class is called by its `apply`, with every argument by position, as such a class takes them.
    """

    def __init__(self, candidate: Any, device: str = "cpu", name: str = "") -> None:
        super().__init__(device)
        self.candidate = candidate
        self.name = name or described(candidate)
        self.is_compiled = hasattr(candidate, "_torchdynamo_orig_callable")  # by a decorator
        if self.is_compiled:
            from opcheck.backends.torch_compile import TorchCompile, allow_recompilations

            allow_recompilations(self.torch)
            self.name = f"{TorchCompile.name}:{self.name}"
            self.layouts, self.concurrent = TorchCompile.layouts, TorchCompile.concurrent
            self.compiles, self.freezes = TorchCompile.compiles, TorchCompile.freezes
        if os.environ.get("TRITON_INTERPRET") == "1" and "triton" in sys.modules:
            self.concurrent = False  # its interpreter runs one kernel at a time
        self.is_function_class = inspect.isclass(candidate) and issubclass(candidate, self.torch.autograd.Function)

    def own_defaults(self, op: Op) -> dict[str, Any]:
        return {} if self.is_function_class else own_defaults(op, self.candidate)

    def lacks(self, op: Op, case: Case) -> str:
        if self.writes(op):
            return destination.lacking(op, case, self.candidate)
        if not self.is_function_class:
            return lacking(op, case, self.candidate)
        taken = self.places(op)
        return next((name for name in [*case.arrays, *case.params] if name not in taken), "")

    def places(self, op: Op) -> list[str]:
        """Which argument of the operator each argument of a Function class is: by name, and tensors with other names in
        the operator's order."""
        places = list(inspect.signature(self.candidate.forward).parameters)
        if getattr(self.candidate, "setup_context", None) is self.torch.autograd.Function.setup_context:
            places = places[1:]  # without ctx
        names = [each.name for each in op.arguments]
        rest = iter([each.name for each in op.inputs if each.name not in places])
        return [name if name in names else next(rest, name) for name in places]

    def writes(self, op: Op) -> bool:
        """Whether it writes its results into tensors that it is given."""
        return not self.is_function_class and destination.writes(op, self.candidate)

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        writes = self.writes(op)
        kind: type[TensorSession] = WritingSession if writes else TensorSession
        if self.is_compiled:
            from opcheck.backends.torch_compile import CompiledSession

            kind = CompiledSession

        def call(tensors: dict[str, Any]) -> Any:
            return self._written(op, case, dtype, tensors, layout) if writes else self._call(op, case, tensors)

        session = kind(self.torch, op, case, dtype, call, self.device, layout, gradients and not writes)
        if not self.is_function_class and destination.takes_out(self.candidate):
            session.call_into = lambda tensors, out: self._call(op, case, tensors, out=out)
        return session

    def _written(self, op: Op, case: Case, dtype: str, tensors: dict[str, Any], layout: str) -> Any:
        positional, keywords = arguments(op, tensors, case.params, self.candidate)
        zoned = destination.ZonedTensors(self.torch, self.device)

        def make(shape: Shape, whole: bool) -> Any:
            made = zoned.tensor(shape, self.torch.int64 if whole else getattr(self.torch, dtype))
            return laid_out_tensor(self.torch, made, layout) if layout in guarded.LAYOUTS else made

        found = destination.with_outputs(op, case, self.candidate, positional, keywords, make)
        zoned.check()
        return found

    def _call(self, op: Op, case: Case, tensors: dict[str, Any], **more: Any) -> Any:
        positional, keywords = arguments(op, tensors, case.params, self.candidate)
        if not self.is_function_class:
            return self.candidate(*positional, **{**keywords, **more})
        values = {**tensors, **case.params}
        defaults = {each.name: each.default for each in op.params}
        return self.candidate.apply(*(values.get(name, defaults.get(name)) for name in self.places(op)))


class WritingSession(TensorSession):
    """Results written into an output argument have no gradient."""

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        raise NoCounterpart(say("it writes into its output arguments: no gradients"))

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        raise NoCounterpart(say("it writes into its output arguments: no tangents"))

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        raise NoCounterpart(say("it writes into its output arguments: no gradients"))


class NumpyFunction(Backend):
    """candidate(*arrays, **params) -> array(s); gradients by candidate.vjp and candidate.jvp, if it has them:
    vjp(cotangent, *arrays, **params) -> {input: gradient}, jvp({input: tangent}, *arrays, **params) -> array. Both get
    what the call drew at random (mask=...), as read off the outputs."""

    layouts: tuple[str, ...] = ("contiguous", "transposed", "strided", "offset")
    guards = guarded.LAYOUTS

    def __init__(self, candidate: Callable[..., Any], name: str = "") -> None:
        self.candidate = candidate
        self.name = name or described(candidate)

    def version(self) -> str:
        return f"numpy {np.__version__}"

    def unavailable(self, op: Op, dtype: str) -> str:
        try:
            numpy_dtype(dtype)
        except CouldNotRun as error:
            return str(error)
        return ""

    def own_defaults(self, op: Op) -> dict[str, Any]:
        return own_defaults(op, self.candidate)

    def lacks(self, op: Op, case: Case) -> str:
        if destination.writes(op, self.candidate):
            return destination.lacking(op, case, self.candidate)
        return lacking(op, case, self.candidate)

    def open(
        self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True
    ) -> "NumpySession":
        return NumpySession(self.candidate, op, case, dtype, layout)


class NumpySession(Session):
    """One call of a numpy candidate, on copies of the arrays in the dtype and layout under test."""

    def __init__(self, candidate: Any, op: Op, case: Case, dtype: str, layout: str) -> None:
        self.candidate, self.op, self.case = candidate, op, case
        self.number = numpy_dtype(dtype)
        self.layout = layout
        self.dtypes: dict[str, str] = {}
        self.arrays = {name: laid_out(self._cast(array), layout) for name, array in case.arrays.items()}
        self._results: dict[str, Any] | None = None

    def _cast(self, array: Array) -> Array:
        return np.array(array, self.number if array.dtype.kind == "f" else array.dtype)  # an array, of one number too

    def _call(self, function: Callable[..., Any], *first: Any) -> Any:
        positional, keywords = arguments(self.op, self.arrays, self.case.params, self.candidate)
        if first and self.op.draws and self.op.draws not in self.arrays:  # what the forward call drew
            keywords[self.op.draws] = self._drawn()
        with np.errstate(all="ignore"), environment.calling():
            if not first and destination.writes(self.op, self.candidate):
                return self._written(positional, keywords)
            return function(*first, *positional, **keywords)

    def _written(self, positional: list[Any], keywords: dict[str, Any]) -> Any:
        zoned = destination.Zoned()

        def make(shape: Shape, whole: bool) -> Array:
            return zoned.array(shape, np.int64 if whole else self.number, self.layout)

        found = destination.with_outputs(self.op, self.case, self.candidate, positional, keywords, make)
        zoned.check()
        return found

    def _drawn(self) -> Array:
        p, _ = self.op.checked(self.case)
        made = next(iter(self.outputs().values()))
        return self._cast(self.op.observed(p, next(iter(self.case.arrays.values())), made))

    def results(self) -> dict[str, Any]:
        if self._results is None:
            results = named_outputs(self.op, self._call(self.candidate), self.shapes, self.arrays)
            given = {name: as_given(each, name) for name, each in results.items()}
            self.dtypes = {name: str(each.dtype) for name, each in given.items() if PROMOTES_ONE_NUMBER or each.ndim}
            self._results = results
        return self._results

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        return self.op.checked(self.case)[1]

    def attempt(self) -> None:
        self._call(self.candidate)

    def outputs(self) -> Outputs:
        return {name: numbers(each, name) for name, each in self.results().items()}

    def renewed(self, arrays: Mapping[str, Array]) -> Outputs:
        for name, array in arrays.items():
            self.arrays[name][...] = self._cast(array)
        self._results = None
        return self.outputs()

    def alias(self, names: Sequence[str]) -> None:
        for name in names:
            self.arrays[name] = self.arrays[names[0]]

    @property
    def takes_out(self) -> bool:  # type: ignore[override]
        return destination.takes_out(self.candidate) and len(self.shapes) == 1

    def into(self, name: str = "") -> Outputs:
        if not self.takes_out:
            raise NoCounterpart(say("no argument out"))
        (output, shape), zoned = next(iter(self.shapes.items())), destination.Zoned()
        out = self.arrays[name] if name else zoned.array(shape, self.number, self.layout)
        positional, keywords = arguments(self.op, self.arrays, self.case.params, self.candidate)
        with np.errstate(all="ignore"), environment.calling():
            self.candidate(*positional, **{**keywords, "out": out})
        zoned.check()
        return {output: numbers(out, output)}

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        function = getattr(self.candidate, "vjp", None)
        if function is None:
            raise NoCounterpart(say("a numpy function without .vjp"))
        first = {name: laid_out(self._cast(each), self.layout) for name, each in cotangent.items()}
        smooth = [each for each in self.op.outputs if each.differentiable]
        found = self._call(function, first if len(smooth) > 1 else next(iter(first.values())))
        self.changed_cotangent = not all(np.array_equal(each, self._cast(cotangent[n])) for n, each in first.items())
        if not isinstance(found, Mapping):
            raise Malformed(say("vjp returns a dict of gradients by input name, not {type}", type=type(found).__name__))
        return {name: numbers(each, name) for name, each in self.op.parted(found).items()}

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        function = getattr(self.candidate, "jvp", None)
        if function is None:
            raise NoCounterpart(say("a numpy function without .jvp"))
        found = self._call(function, {name: self._cast(each) for name, each in tangents.items()})
        names = {
            each.name: self.shapes[each.name]
            for each in self.op.outputs
            if each.differentiable and each.name in self.shapes
        }
        return {name: numbers(each, name) for name, each in named_outputs(self.op, found, names).items()}

    @property
    def changed(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(
            name
            for name, array in self.case.arrays.items()
            if name not in self.op.updated(self.shapes)
            and not np.array_equal(self.arrays[name].astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
        )

    def shares_memory(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, each in self.results().items()
            if isinstance(each, np.ndarray)
            and name not in self.op.updated(self.shapes)
            and any(np.may_share_memory(each, a) for a in self.arrays.values() if a.size)
        )


def numbers(value: Any, name: str) -> Array:
    """An answer as float64 or int64; raises Malformed for what is not a rectangular array of real numbers."""
    array = as_given(value, name)
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    if array.dtype.kind == "f" or array.dtype.name in ("bfloat16", "float16"):
        return array.astype(np.float64)
    raise Malformed(say("{name} is not an array of real numbers but {type}", name=name, type=array.dtype))


def as_given(value: Any, name: str) -> Array:
    """A plain array with a copy of the numbers, whatever their type; raises Malformed."""
    try:
        return np.array(value)
    except ValueError:
        raise Malformed(say("{name} is not a rectangular array", name=name)) from None


def numpy_dtype(dtype: str) -> Any:
    """numpy's type with that name; bfloat16 needs ml_dtypes."""
    if dtype == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            raise CouldNotRun(say("numpy has no bfloat16: pip install ml_dtypes")) from None
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype)


def described(candidate: Any) -> str:
    """What to call a candidate in a report; torch's own functions are torch, with its known deviations."""
    name = str(getattr(candidate, "__qualname__", None) or type(candidate).__name__)
    home = str(getattr(candidate, "__module__", "") or "").partition(".")[0]
    is_module = inspect.isclass(candidate) or hasattr(candidate, "forward")
    return f"torch:{name}" if home == "torch" and not is_module else name
