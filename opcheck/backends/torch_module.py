"""A torch.nn.Module with torch's constructor arguments and parameter names, such as your own Conv2d, or in place of
another module whose parameters it shares by name; or one that is built already, with the sizes that it has."""

import ast
import copy
import inspect
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from opcheck import loading
from opcheck.backends.base import given
from opcheck.backends.function import described
from opcheck.backends.tensors import TensorBackend, TensorSession
from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.spec import Case, Op


class TorchModule(TensorBackend):
    """The operator says how the module is built for a case's sizes; its parameters are replaced by the case's arrays.

    Where the operator is a module itself, one candidate serves all cases, and may be built already.
    """

    def __init__(self, candidate: Any, device: str = "cpu", name: str = "") -> None:
        super().__init__(device)
        self.candidate = candidate
        self.name = name or described(candidate)
        self._paths: dict[str, str] = {}  # the spec's name of a parameter and the candidate's, where these differ
        self._built: dict[tuple[int, str, str], Any] = {}

    @cached_property
    def accepted(self) -> Mapping[str, inspect.Parameter]:
        return inspect.signature(self.candidate).parameters

    def unavailable(self, op: Op, dtype: str) -> str:
        if op.weights is not None:
            self.concurrent = False  # a call puts its weights into the one module
            self._compare(op, dtype)
        elif not inspect.isclass(self.candidate):
            self.concurrent = False
        return ""

    def _compare(self, op: Op, dtype: str) -> None:
        """Raises Refused where the candidate's parameters are not those of the spec, by name or by the seed."""
        own = {name for name, _ in self._module(op, dtype).named_parameters()}
        wanted = set((op.weights or {}).values())
        held = own | {name for name, _ in self._module(op, dtype).named_buffers()}
        missing, more = sorted(wanted - held), sorted(own - wanted)
        if not missing and not more:
            return
        self._paths = self._by_seed(op)
        if wanted - self._paths.keys() or own - set(self._paths.values()):
            raise Refused(
                say("{name} must have the parameters of {spec}, by the same names or from the same seed",
                    name=self.name, spec=op.title or op.name),
                got="; ".join(
                    [*([say("a module without {names}", names=", ".join(missing))] if missing else []),
                     *([say("a module that also has {names}", names=", ".join(more))] if more else [])]
                ),
                fix=say("rename them, create them in the same order, or give a function that takes the arrays in the "
                        "spec's order"),
            )  # fmt: skip

    def _by_seed(self, op: Op) -> dict[str, str]:
        """The candidate's name of each parameter of the spec: the one that holds the same numbers when both are built
        after the same seed."""
        module = self._module(op, "float32")
        mine = {name: each.detach().cpu() for name, each in (*module.named_parameters(), *module.named_buffers())}
        found: dict[str, str] = {}
        for path, tensor in op.initial.items():
            same = next((name for name, each in mine.items()
                         if each.shape == tensor.shape and self.torch.equal(each, tensor.to(each))), "")  # fmt: skip
            if same:
                found[path] = same
                del mine[same]
        return found

    def lacks(self, op: Op, case: Case) -> str:
        if op.weights is not None:
            return ""
        if not inspect.isclass(self.candidate):
            return lacking(op, case, self.candidate)
        needed = [
            *given(op, case.params),
            *(each.name for each in op.inputs if each.optional and each.name in case.arrays),
        ]
        missing = next((name for name in needed if name not in self.accepted), "")
        try:
            self._arguments(op, case)
        except Refused as error:
            return missing or error.rule
        return missing

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> TensorSession:
        call = self._of_case(op, case, dtype) if op.weights is None else self._shared(op, case, dtype, op.weights)
        return TensorSession(self.torch, op, case, dtype, call, self.device, layout, gradients)

    def _of_case(self, op: Op, case: Case, dtype: str) -> Any:
        """A call of the module that is built for the sizes of this case."""
        if not inspect.isclass(self.candidate):
            return self._of_instance(case, dtype)
        positional, keywords = self._arguments(op, case)
        module: Any = self.candidate(*positional, **keywords)
        module = module.to(self.device)  # it may have buffers of its own
        owned = {name for name, _ in module.named_parameters()} & set(case.arrays)

        def call(tensors: dict[str, Any]) -> Any:
            weights = {name: tensors[name] for name in owned}
            for name, tensor in tensors.items():
                if name not in owned and name in self.accepted:
                    setattr(module, name, tensor)  # class weights are buffers
            inputs = tuple(t for n, t in tensors.items() if n not in owned and n not in self.accepted)
            return self.torch.func.functional_call(module, weights, inputs)

        return call

    def _of_instance(self, case: Case, dtype: str) -> Any:
        """A call of the module that there is, whose weights take the numbers of the case."""
        if (key := (0, dtype, "")) not in self._built:
            self._built[key] = copy.deepcopy(self.candidate).to(self.device, getattr(self.torch, dtype))
        module, owned = self._built[key], held(self.candidate).keys() & case.arrays.keys()

        def call(tensors: dict[str, Any]) -> Any:
            weights = {name: tensors[name] for name in owned}
            inputs = tuple(tensor for name, tensor in tensors.items() if name not in owned)
            return self.torch.func.functional_call(module, weights, inputs)

        return call

    def _shared(self, op: Op, case: Case, dtype: str, names: Mapping[str, str]) -> Any:
        """A call of the one module (of these sizes), with the weights of the case."""
        module, paths = self._module(op, dtype, case), self._paths

        def call(tensors: dict[str, Any]) -> Any:
            weights = {paths.get(names[name], names[name]): each for name, each in tensors.items() if name in names}
            inputs = tuple(tensor for name, tensor in tensors.items() if name not in names)
            return self.torch.func.functional_call(module, weights, op.arguments_of(inputs))

        return call

    def _module(self, op: Op, dtype: str, case: Case | None = None) -> Any:
        shapes = {name: array.shape for name, array in case.arrays.items()} if case is not None else {}
        positional, keywords = op.construction({}, shapes)
        key = (id(op), dtype, repr(positional))
        if key not in self._built:
            module = self.candidate
            if inspect.isclass(module):
                self.torch.manual_seed(0)
                module = module(*positional, **keywords)
            self._built[key] = module.to(self.device, getattr(self.torch, dtype))
        return self._built[key]

    def _arguments(self, op: Op, case: Case) -> tuple[Any, dict[str, Any]]:
        """torch.nn's constructor arguments for the sizes of this case, those that the class takes."""
        shapes = {name: array.shape for name, array in case.arrays.items()}
        positional, options = op.construction(case.params, shapes)
        if "bias" in self.accepted:
            options["bias"] = "bias" in case.arrays
        return positional, {name: value for name, value in options.items() if name in self.accepted}


def held(module: Any) -> dict[str, Any]:
    """The parameters and buffers of a module, by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def settings(op: Op, module: Any) -> dict[str, Any]:
    """The parameters of the operator for which a module that is built has a value."""
    found = {}
    for each in op.params:
        with suppress(Refused):
            if (value := getattr(module, each.name, None)) is not None:
                found[each.name] = each.kind.check(each.name, value)
    return found


def lacking(op: Op, case: Case, module: Any) -> str:
    """What a module that is built does not take of a case: the first argument, or the case as a whole."""
    own, weights = settings(op, module), held(module)
    params = op.parameters(case.params)
    for name in (each.name for each in op.params):
        differs = name in own and own[name] != params[name]
        if differs or (name not in own and name in given(op, case.params)):
            return name
    for each in op.inputs:
        if each.name in weights and each.name not in case.arrays:
            return say("calls without {name}", name=each.name)
        if each.name in weights and tuple(weights[each.name].shape) != case.arrays[each.name].shape:
            return say("other sizes than its own")
        if each.optional and each.name in case.arrays and each.name not in weights:
            return each.name
    return ""


def limits(op: Op, module: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """What a module that is built fixes: parameters, and the shapes of its weights."""
    paths = op.weights if op.weights is not None else {each.name: each.name for each in op.inputs}
    weights = held(module)
    shapes = {name: " ".join(map(str, weights[path].shape)) for name, path in paths.items()
              if path in weights and weights[path].ndim and weights[path].numel()}  # fmt: skip
    return ({} if op.weights is not None else settings(op, module)), shapes


def built(candidate: Any) -> Any:
    """The module that a candidate is, or that FILE.py assigns to NAME; None for anything else. No other file is run."""
    if isinstance(candidate, str):
        candidate = loading.find(candidate) if _is_assigned(candidate) else None
    torch = sys.modules.get("torch")
    return candidate if torch is not None and isinstance(candidate, torch.nn.Module) else None


def _is_assigned(place: str) -> bool:
    """Whether NAME of FILE.py:NAME is what a call returned."""
    path, _, name = place.rpartition(":")
    if not path.endswith(".py") or not Path(path).is_file():
        return False
    try:
        lines = ast.parse(Path(path).read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError, OSError):  # it is told where the file is run
        return False
    return any(isinstance(line, ast.Assign) and isinstance(line.value, ast.Call)
               and any(isinstance(each, ast.Name) and each.id == name for each in line.targets)
               for line in lines)  # fmt: skip
