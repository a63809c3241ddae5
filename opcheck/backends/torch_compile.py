"""torch.compile of torch's own operators."""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opcheck.backends.base import NoCounterpart, Outputs
from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.errors import CouldNotRun
from opcheck.language import say
from opcheck.operators.spec import Array, Case, Op


@contextmanager
def unlogged() -> Iterator[None]:
    """torch logs a traceback of what it raises as well, of what it refuses, and of backward passes."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def allow_recompilations(torch: Any) -> None:
    """A graph for each set of parameters and ranks is more than torch's limit for one function; what it does not
    compile beyond that raises, so that nobody takes eager mode for it."""
    torch._dynamo.config.cache_size_limit = 256
    torch._dynamo.config.accumulated_cache_size_limit = 1024
    torch._dynamo.config.fail_on_recompile_limit_hit = True


class CompiledSession(TensorSession):
    """A compiled backward pass frees what it read, so each gradient is of its own call, and there is no second."""

    keeps_graph = False

    def attempt(self) -> None:
        with unlogged():
            super().attempt()

    def results(self) -> dict[str, Any]:
        with unlogged():
            try:
                return super().results()
            except self.torch._dynamo.exc.FailOnRecompileLimitHit:
                raise NoCounterpart(say("torch.compile leaves this call to eager mode")) from None

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        with unlogged():
            found = super().vjp(cotangent)
        self._results = None
        return found

    def jvp(self, tangents: Mapping[str, Array]) -> Outputs:
        # what torch 2.13 compiles has none, without a word: github.com/pytorch/pytorch/issues/187284; later ones leave
        # such calls to eager mode, so that there is nothing to check either
        raise NoCounterpart(say("torch.compile drops tangents"))

    def second(self, cotangent: Mapping[str, Array], directions: Mapping[str, Array]) -> dict[str, Array]:
        raise NoCounterpart(say("torch.compile has no second derivative"))


class TorchCompile(TensorBackend):
    """Each operator compiled with dynamic shapes, so that one compilation serves many cases."""

    name = "torch:compile"
    layouts: tuple[str, ...] = ("contiguous", "transposed")
    concurrent = False  # compilation holds one lock
    compiles = True
    freezes = False  # every choice of inputs would be compiled again

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        if device == "cpu" and not any(shutil.which(each) for each in (os.environ.get("CXX", "g++"), "clang++", "cl")):
            raise CouldNotRun(say("torch.compile needs a C++ compiler: install g++, or name one in CXX"))
        self._compiled: dict[tuple[str, str], Any] = {}

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        key = (op.name, repr(sorted(case.params.items())))
        if key not in self._compiled:
            allow_recompilations(self.torch)
            # what an operator works out once takes a lock, at which a graph ends: it is worked out before that
            op.gathered({}), op.torch_function
            self._compiled[key] = self.torch.compile(
                lambda tensors: op.torch(self.torch, case.params, **tensors), dynamic=True
            )
        compiled = self._compiled[key]
        return CompiledSession(self.torch, op, case, dtype, compiled, self.device, layout, gradients)
