"""jax: lax and jax.nn, with gradients by jax.vjp and tangents by jax.jvp."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.backends.allowance import FLUSH
from opcheck.backends.base import Backend, NoCounterpart, Outputs, Session, given, laid_out, named_outputs
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op, Params

# operator: the arguments that have a counterpart in jax
TAKES = {
    "linear": {"input", "weight", "bias"},
    "conv1d": {"input", "weight", "bias", "stride", "padding", "dilation", "groups"},
    "conv2d": {"input", "weight", "bias", "stride", "padding", "dilation", "groups"},
    "max_pool1d": {"input", "kernel_size", "stride", "padding", "dilation"},
    "max_pool2d": {"input", "kernel_size", "stride", "padding", "dilation"},
    "relu": {"input"},
    "sigmoid": {"input"},
    "tanh": {"input"},
    "softmax": {"input", "dim"},
    "log_softmax": {"input", "dim"},
}
KEPT = 500  # calls of which jax keeps what it compiled: each shape costs it megabytes


class Jax(Backend):
    """jax on the CPU (or its default device), in the dtype of the arrays; float64 needs jax_enable_x64, set here."""

    name = "jax"
    compiles = True
    layouts = ("contiguous", "transposed", "strided")

    def __init__(self, device: str = "cpu") -> None:
        try:
            import jax
        except ImportError:
            raise CouldNotRun(say("jax is not installed: pip install 'opcheck[jax]'")) from None
        jax.config.update("jax_enable_x64", True)
        self.jax = jax
        self.opened = 0

    def version(self) -> str:
        return f"jax {self.jax.__version__} on {self.jax.default_backend()}"

    def lower(self, dtype: str, convolves: bool) -> frozenset[str]:
        return super().lower(dtype, convolves) | {FLUSH}  # XLA does so on the CPU, as jax documents

    def settings(self) -> dict[str, Any]:
        return {"default_matmul_precision": str(self.jax.config.jax_default_matmul_precision)}

    def unavailable(self, op: Op, dtype: str) -> str:
        return "" if op.name in TAKES else say("no counterpart in jax")

    def lacks(self, op: Op, case: Case) -> str:
        wanted = [*case.arrays, *given(op, case.params)]
        return next((name for name in wanted if name not in TAKES[op.name]), "")

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> "JaxSession":
        self.opened += 1
        if self.opened % KEPT == 0:
            self.jax.clear_caches()
        return JaxSession(self.jax, op, case, dtype, layout)


class JaxSession(Session):
    def __init__(self, jax: Any, op: Op, case: Case, dtype: str, layout: str) -> None:
        self.jax, self.op, self.case, self.dtype = jax, op, case, dtype
        self.dtypes: dict[str, str] = {}
        self.arrays = {name: self._array(laid_out(array, layout)) for name, array in case.arrays.items()}
        self.smooth = [each.name for each in op.inputs if each.differentiable and each.name in case.arrays]

    def _array(self, array: Array) -> Any:
        return self.jax.numpy.asarray(array, dtype=self.dtype if array.dtype.kind == "f" else None)

    @cached_property
    def checked(self) -> tuple[Params, dict[str, Any]]:
        return self.op.checked(self.case)

    def _function(self) -> Callable[..., Any]:
        p, _ = self.checked
        rest = {name: a for name, a in self.arrays.items() if name not in self.smooth}
        return lambda *leaves: compute(
            self.jax, self.op.name, p, {**rest, **dict(zip(self.smooth, leaves, strict=True))}
        )

    def _leaves(self) -> list[Any]:
        return [self.arrays[name] for name in self.smooth]

    def attempt(self) -> None:
        """jax broadcasts what torch refuses, and has no rules of its own about it."""
        raise NoCounterpart(say("jax does not document what it refuses"))

    def outputs(self) -> Outputs:
        _, shapes = self.checked
        found = named_outputs(self.op, self._function()(*self._leaves()), shapes)
        self.dtypes = {name: str(each.dtype) for name, each in found.items()}
        return {name: np.asarray(each, dtype=np.float64) for name, each in found.items()}

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        try:
            _, pull = self.jax.vjp(self._function(), *self._leaves())
            gradients = pull(self._array(next(iter(cotangent.values()))))
        except NotImplementedError as error:  # such as the gradient of a dilated max pool
            raise NoCounterpart(str(error).split(",")[0].rstrip(".")) from None
        return {name: np.asarray(g, dtype=np.float64) for name, g in zip(self.smooth, gradients, strict=True)}

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        directions = [self._array(tangents[name]) for name in self.smooth]
        _, found = self.jax.jvp(self._function(), tuple(self._leaves()), tuple(directions))
        return {self.op.outputs[0].name: np.asarray(found, dtype=np.float64)}

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        g = self._array(next(iter(cotangent.values())))
        d = [self._array(directions[name]) for name in self.smooth]

        def along(*leaves: Any) -> Any:
            _, pull = self.jax.vjp(self._function(), *leaves)
            return sum((x * y).sum() for x, y in zip(pull(g), d, strict=True))

        found = self.jax.grad(along, argnums=tuple(range(len(d))))(*self._leaves())
        return {name: np.asarray(each, dtype=np.float64) for name, each in zip(self.smooth, found, strict=True)}


def compute(jax: Any, name: str, p: Params, a: Mapping[str, Any]) -> Any:
    """The operator in jax's terms."""
    lax, jnp = jax.lax, jax.numpy
    x = a["input"]
    if name == "linear":
        w = a["weight"]
        y = jnp.matmul(x, w.T, precision=lax.Precision.HIGHEST)
        return y + a["bias"] if "bias" in a else y
    if name.startswith("conv"):
        return convolution(jax, p, x, a["weight"], a.get("bias"))
    if name.startswith("max_pool"):
        return max_pool(jax, p, x)
    if name in ("softmax", "log_softmax"):
        return getattr(jax.nn, name)(x, axis=p.dim) if x.ndim else getattr(jax.nn, name)(x[None], axis=0)[0]
    return {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh}[name](x)


def convolution(jax: Any, p: Params, x: Any, w: Any, b: Any) -> Any:
    dims = w.ndim - 2
    batched = x if x.ndim == w.ndim else x[None]
    if p.padding == "same":
        both = [d * (k - 1) for d, k in zip(p.dilation, w.shape[2:], strict=True)]
        margins: Any = [(n // 2, n - n // 2) for n in both]
    else:
        margins = "VALID" if p.padding == "valid" else [(n, n) for n in p.padding]
    y = jax.lax.conv_general_dilated(
        batched, w, p.stride, margins, rhs_dilation=p.dilation, feature_group_count=p.groups,
        precision=jax.lax.Precision.HIGHEST,
    )  # fmt: skip
    y = y if b is None else y + b.reshape(-1, *[1] * dims)
    return y if x.ndim == w.ndim else y[0]


def max_pool(jax: Any, p: Params, x: Any) -> Any:
    lead = x.ndim - len(p.kernel_size)
    return jax.lax.reduce_window(
        x, np.array(-np.inf, dtype=x.dtype), jax.lax.max, (1,) * lead + tuple(p.kernel_size),
        (1,) * lead + tuple(p.stride), [(0, 0)] * lead + [(n, n) for n in p.padding],
        window_dilation=(1,) * lead + tuple(p.dilation),
    )  # fmt: skip
