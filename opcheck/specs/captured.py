"""A torch program as an operator: captured with torch's own means, each ATen operation read over arrays.

    class Model(torch.nn.Module): ...
    def get_inputs(): return [torch.randn(4, 16)]
    def get_init_inputs(): return [16]

The inputs of `forward` keep their names, the parameters and buffers of the module are inputs as well (`linear.weight`
is `linear_weight`). Python runs once for each shape; decisions that depend on sizes are made again, and torch refuses
to capture decisions that depend on values.
"""

import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.loading import line_of
from opcheck.operators.choosers import Chooser
from opcheck.operators.program import Program
from opcheck.operators.spec import Array, Case, Input, Output, Params, Shape
from opcheck.programs.arrays import TracedArray
from opcheck.specs import sizes
from opcheck.specs.aten import ATEN
from opcheck.specs.function import Function

MOST_NUMBERS = 300_000  # in the arrays of a case
HOW = ("least", "one", "one", "least", "one", "one", "least", "one", "one", "least", "one", "given")
BATCHES = (2, 1, 3, 5)  # sizes of a shared leading dimension that are tried beside the one that is given


class Made:
    """The module at one choice of sizes: how it is built, its arguments, its parameters."""

    def __init__(self, kind: Any, made_from: Sequence[Any], given: Sequence[Any]) -> None:
        import torch

        torch.manual_seed(0)
        self.made_from, self.given = list(made_from), list(given)
        self.module = kind(*self.made_from) if isinstance(kind, type) else kind
        self.state = {
            each.replace(".", "_"): (each, tensor.detach())
            for each, tensor in (*self.module.named_parameters(), *statistics(self.module))
        }

    def runs(self) -> "Made":
        """Itself, if it can be called; raises what it raises else."""
        import torch

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.module(*(each.clone() if isinstance(each, torch.Tensor) else each for each in self.given))
        return self


def statistics(module: Any) -> Iterator[tuple[str, Any]]:
    """The buffers that may have other numbers: what a layer in evaluation mode has counted before. Any other, such as a
    mask, is as it was made, a constant of the program."""
    for path, layer in module.named_modules():
        for name, each in layer.named_buffers(path, recurse=False):
            if name.rpartition(".")[2].startswith("running_") and not layer.training:
                yield name, each


class Captured(Program):
    """A torch.nn.Module with example inputs, seen as an operator.

    Its cases have the sizes that are given, and others that the module can be built and called with (sizes.py).
    """

    elsewhere = False
    refuses = False
    source = ""

    def __init__(self, kind: Any, name: str, inputs: Callable[[], Sequence[Any]], made_from: Sequence[Any]) -> None:
        import torch

        self.torch_ = torch
        self.kind = kind
        known = getattr(kind, "__name__", type(kind).__name__)
        self.name, self.title = name or known, known
        self.made = Made(kind, made_from, inputs())
        self._sized: dict[tuple[tuple[int, int], ...], Made | None] = {(): self.made}
        self.state, self.given = self.made.state, self.made.given
        self.buffers = {each.replace(".", "_") for each, _ in statistics(self.made.module)}
        self.summary = (inspect.getdoc(kind) or say("a torch module")).partition("\n")[0].rstrip(".")
        self.source = say("the module {name}", name=known)
        self.example = ("", "")
        self.arguments = tuple(self._arguments())
        self._graphs: dict[Any, Any] = {}
        self._leave_out_unused()
        self.outputs = tuple(self._outputs())
        self.formula = f"{', '.join(each.symbol for each in self.outputs)} = {self.title}({', '.join(self.names)})"

    @cached_property
    def names(self) -> list[str]:
        """The names of what `forward` takes."""
        found = list(inspect.signature(self.made.module.forward).parameters)
        return [*found[: len(self.given)], *(f"input{k}" for k in range(len(found), len(self.given)))]

    def _arguments(self) -> Iterator[Input]:
        torch = self.torch_
        for name, value in zip(self.names, self.given, strict=True):
            if isinstance(value, torch.Tensor):
                yield _input(name, value)
        for name, (_, tensor) in self.state.items():
            yield _input(name, tensor, smooth=tensor.is_floating_point() and name not in self.buffers)

    def _leave_out_unused(self) -> None:
        """A buffer of which nothing is computed (a count of batches) is not an input."""
        graph = self._graph(self.shapes_of(self.made))
        places = [node for node in graph.nodes if node.op == "placeholder"]
        parameters = {path for path, _ in self.made.module.named_parameters()}
        for name, node in zip(graph.names_of_inputs, places, strict=True):
            if name in self.state and not node.users and self.state[name][0] not in parameters:
                del self.state[name]
        self.arguments = tuple(each for each in self.arguments if each.name in {*self.names, *self.state})
        del self.__dict__["inputs"]
        self._graphs.clear()

    def construction(
        self, params: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        return (self.of(shapes) if shapes else self.made).made_from, {}

    @property
    def weights(self) -> Mapping[str, str]:
        return {name: path for name, (path, _) in self.state.items()}

    @property
    def initial(self) -> Mapping[str, Any]:
        return dict(self.state.values())

    def arguments_of(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        waiting = iter(tensors)
        return tuple(next(waiting) if isinstance(each, self.torch_.Tensor) else each for each in self.given)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        self.of(shapes)
        return self.shape_by_running(p, shapes)

    def program(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        graph = self._graph({name: np.shape(x) for name, x in arrays.items()})
        return _interpreted(graph, arrays)

    def sample(self, chooser: Chooser) -> Case:
        made, size = self._drawn(chooser), chooser.choice(self.batches)
        arrays: dict[str, Array] = {}
        for each in self.inputs:
            tensor = self.tensor(each.name, made)
            shape = tuple(tensor.shape)
            if made is self.made and each.name in self.names and self.batch and shape[:1] == (self.batch,):
                shape = (size, *shape[1:])
            if tensor.is_floating_point():
                arrays[each.name] = np.abs(chooser.array(*shape)) if _is_variance(each.name) else chooser.array(*shape)
            else:
                top = int(tensor.max()) + 1 if tensor.numel() else 1
                arrays[each.name] = chooser.classes(shape, range(top))
        return Case(self.name, arrays, {})

    def tensor(self, name: str, made: Made | None = None) -> Any:
        made = made or self.made
        return made.state[name][1] if name in self.state else made.given[self.names.index(name)]

    # --- sizes --------------------------------------------------------------------------------------------------------

    @cached_property
    def every_size(self) -> list[int]:
        """The sizes of the example inputs and of the arguments that the module is built with."""
        shapes = [tuple(each.shape) for each in self.given if isinstance(each, self.torch_.Tensor)]
        built = self.made.made_from if isinstance(self.kind, type) else []
        return sorted(set(sizes.found_in([*shapes, *built])))

    @cached_property
    def least(self) -> Mapping[int, int]:
        """The smallest sizes that the module takes."""
        return sizes.smallest(self.every_size, lambda each: self._of_sizes(each) is not None)

    def _of_sizes(self, replaced: Mapping[int, int]) -> Made | None:
        """The module in these sizes; None where it cannot be built or called."""
        key = tuple(sorted(replaced.items()))
        if key not in self._sized:
            try:
                made = Made(self.kind, sizes.changed(self.made.made_from, replaced),
                            [sizes.resized(self.torch_, each, replaced) for each in self.given]).runs()  # fmt: skip
                self._sized[key] = made
            except Exception:  # whatever a module raises for sizes that it does not take
                self._sized[key] = None
        return self._sized[key]

    def _drawn(self, chooser: Chooser) -> Made:
        """The smallest sizes, one of them replaced, or those that are given, if they are not too many numbers."""
        if not self.every_size:
            return self.made
        which = chooser.choice(HOW)
        if which == "given" and self.is_moderate(self.made):
            return self.made
        found = self._of_sizes(self.least) or self.made
        if which == "one":
            size = self.every_size[chooser.whole(0, len(self.every_size) - 1)]
            other = self._of_sizes({**self.least, size: chooser.choice(sizes.NEAR_BLOCKS)})
            found = other if other is not None and self.is_moderate(other) else found
        return found

    def is_moderate(self, made: Made) -> bool:
        """Whether a case of these sizes is quick."""
        count: int = sum(self.tensor(each.name, made).numel() for each in self.inputs)
        return count < MOST_NUMBERS

    def shapes_of(self, made: Made) -> dict[str, Shape]:
        return {each.name: tuple(self.tensor(each.name, made).shape) for each in self.inputs}

    def of(self, shapes: Mapping[str, Shape]) -> Made:
        """The module whose arrays have these shapes, except for the batch; raises Refused if there is none."""
        for made in self._candidates(shapes):
            own = self.shapes_of(made)
            if all(self._fits(name, shape, own[name]) for name, shape in shapes.items()):
                return made
        own = self.shapes_of(self.made)
        name = next((name for name, shape in shapes.items() if shape != own[name]), next(iter(shapes)))
        raise Refused(
            say("{name} must have the shape that get_inputs() and the module give it", name=name),
            got=f"{shapes[name]}", fix=f"{own[name]}",
        )  # fmt: skip

    def _fits(self, name: str, shape: Shape, own: Shape) -> bool:
        of_another_batch = name in self.names and len(shape) == len(own) and shape[1:] == own[1:]
        return shape == own or of_another_batch

    def _candidates(self, shapes: Mapping[str, Shape]) -> Iterator[Made]:
        yield from (made for made in self._sized.values() if made is not None)
        if not self.every_size:
            return
        own, replaced = self.shapes_of(self.made), dict[int, int]()
        for name, shape in shapes.items():  # the sizes that can be seen in the shapes
            replaced |= {old: new for old, new in zip(own[name], shape, strict=False) if old in self.every_size}
        for each in (replaced, *({**self.least, size: n} for size in self.every_size for n in sizes.NEAR_BLOCKS)):
            made = self._of_sizes(each)
            if made is not None:
                yield made

    @cached_property
    def batch(self) -> int | None:
        """The leading size that all inputs share, if they do."""
        sizes = {tuple(value.shape)[:1] for value in self.given if isinstance(value, self.torch_.Tensor)}
        only = next(iter(sizes)) if len(sizes) == 1 else ()
        return only[0] if only else None

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """The leading sizes that the module takes; the one that was given is among them."""
        if self.batch is None or self.batch in self.every_size:
            return (self.batch or 1,)
        found = []
        for size in dict.fromkeys((self.batch, *BATCHES)):
            shapes = self.shapes_of(self.made)
            shapes |= {name: (size, *shapes[name][1:]) for name in self.names if name in shapes}
            try:
                self._graph(shapes)
                found.append(size)
            except Refused:
                if size == self.batch:
                    raise
        return tuple(found)

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        return tuple(self.tensor(name).shape)

    def choices(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> int:
        return int(self.tensor(name).max()) + 1

    # --- what it computes ---------------------------------------------------------------------------------------------

    def _graph(self, shapes: Mapping[str, Shape]) -> Any:
        key = tuple(sorted(shapes.items()))
        if key not in self._graphs:
            self._graphs[key] = self._captured(shapes)
        return self._graphs[key]

    def _captured(self, shapes: Mapping[str, Shape]) -> Any:
        torch = self.torch_
        made = self.of(shapes)
        examples = {each.name: self._example(each.name, shapes[each.name], made) for each in self.inputs}

        def call(**tensors: Any) -> Any:
            state = {path: tensors[name] for name, (path, _) in self.state.items() if name in tensors}
            inputs = [tensors.get(name, value) for name, value in zip(self.names, made.given, strict=True)]
            return torch.func.functional_call(made.module, state, tuple(inputs))

        return capture(call, examples, self.title, self.buffers)

    def _example(self, name: str, shape: Shape, made: Made) -> Any:
        tensor = self.tensor(name, made)
        if tuple(tensor.shape) == tuple(shape):
            return tensor.detach().clone()
        return self.torch_.zeros(shape, dtype=tensor.dtype)

    def _outputs(self) -> Iterator[Output]:
        made = (self._of_sizes(self.least) if self.every_size else None) or self.made  # cheaper, and as many outputs
        graph = self._graph(self.shapes_of(made))
        arrays = {each.name: as_numpy(self.tensor(each.name, made)) for each in self.inputs}
        with np.errstate(all="ignore"):
            result = _interpreted(graph, arrays)
        results = result if isinstance(result, tuple) else (result,)
        for k, y in enumerate(results):
            many = len(results) > 1
            letters = " ".join(f"d{d}" for d in range(np.ndim(y)))
            yield Output(f"output{k}" if many else "output", f"y{k}" if many else "y", letters)


def capture(
    call: Callable[..., Any], examples: Mapping[str, Any], title: str, buffers: Collection[str] = ()
) -> Any:  # fmt: skip
    """What `call(**tensors)` does to tensors of these shapes, as a graph of ATen operations; raises Refused. `buffers`
    may be written, as batch norm in training counts on: what of it is no output is not looked at."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    names = list(examples)
    apart = _decompositions()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # without mkldnn an LSTM consists of common operations
            with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
                first = make_fx(
                    lambda *tensors: call(**dict(zip(names, tensors, strict=True))), decomposition_table=apart
                )(*examples.values())
                # what is written in place becomes its own value
                pure = torch.func.functionalize(first, remove="mutations")
                graph = make_fx(pure)(*examples.values()).graph
    except Refused:
        raise
    except Exception as error:
        raise Refused(
            say("torch cannot capture {name}: {kind}: {error}", name=title, kind=type(error).__name__,
                error=str(error).strip().partition("\n")[0]),
            got=line_of(error),
            fix=say("a captured program cannot branch on the values of its tensors"),
        ) from error  # fmt: skip
    _leave_out_counts(graph, names, buffers)
    _refuse_writes(graph, names, title)
    graph.eliminate_dead_code()
    used = {_operation(node) for node in graph.nodes if node.op == "call_function"}
    if used & RANDOM:
        raise Refused(
            say("{name} draws random numbers: no two calls agree", name=title),
            got=", ".join(f"aten.{each}" for each in sorted(used & RANDOM)),
            fix=say("put it in evaluation mode (self.eval() at the end of __init__), or remove the dropout"),
        )
    if used - KNOWN:
        raise Refused(
            say("{name} uses operations that have no rule", name=title),
            got=", ".join(f"aten.{each}" for each in sorted(used - KNOWN)),
            fix=say("write the spec with numpy's functions, or with operations that opcheck knows"),
        )
    graph.names_of_inputs = names
    return graph


@cache
def _decompositions() -> dict[Any, Any]:
    """torch's own decompositions of operations that have no rule here."""
    from torch._decomp import core_aten_decompositions

    return {op: made for op, made in core_aten_decompositions().items() if _named(op) not in KNOWN}


def _leave_out_counts(graph: Any, names: Sequence[str], buffers: Collection[str]) -> None:
    """Removes what is written into buffers at the end of a call."""
    places = (node for node in graph.nodes if node.op == "placeholder")
    held = {node for node, name in zip(places, names, strict=True) if name in buffers}
    held |= {node for node in graph.nodes if node.op == "get_attr"}
    for node in reversed(list(graph.nodes)):
        if node.op == "call_function" and _operation(node).endswith("_") and node.args[0] in held and not node.users:
            graph.erase_node(node)


def _refuse_writes(graph: Any, names: list[str], title: str) -> None:
    """Raises Refused if an input (a buffer) is written to: a function has no state."""
    places = dict(zip((node for node in graph.nodes if node.op == "placeholder"), names, strict=True))
    for node in graph.nodes:
        written = node.op == "call_function" and _operation(node).endswith("_") and node.args[0]
        if written in places:
            raise Refused(
                say("{name} writes into {buffer}: a spec has no state", name=title, buffer=places[written]),
                got=f"aten.{_operation(node)}",
                fix=say(
                    "put it in evaluation mode (self.eval() at the end of __init__), or do not track running statistics"
                ),
            )


class CapturedFunction(Function):
    """A function over annotated tensors, captured for each shape and each choice of its parameters."""

    @property
    def code(self) -> Any:
        return None  # its variables are tensors: operations name the lines

    def program(self, p: Params, /, *args: Any, **arrays: Any) -> Any:
        known: dict[Any, Any] = self.__dict__.setdefault("_graphs", {})
        key = (repr(p), *sorted((name, np.shape(x)) for name, x in arrays.items()))
        if key not in known:
            known[key] = self._captured(p, arrays)
        return _interpreted(known[key], arrays)

    def _captured(self, p: Params, arrays: Mapping[str, Any]) -> Any:
        import torch

        examples = {
            name: torch.zeros(np.shape(x), dtype=torch.int64 if self.letters[name].below else torch.float32)
            for name, x in arrays.items()
        }
        names: list[str] = []

        def call(**tensors: Any) -> Any:
            result = self.function(**{each.name: tensors.get(each.name) for each in self.inputs}, **p)
            if isinstance(result, Mapping):
                names.extend(map(str, result))
                return list(result.values())
            return result

        graph = capture(call, examples, self.title)
        graph.names_of_outputs = names
        return graph


def uses_torch(function: Any, seen: set[int] | None = None) -> bool:
    """Whether a function is written with torch, or one of its file that it calls; torch is not imported to find out."""
    seen = set() if seen is None else seen
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen or "torch" not in sys.modules:
        return False
    seen.add(id(code))
    home = function.__globals__
    if not any(each is np for each in home.values()) and any(_is_torchs(each) for each in home.values()):
        return True
    named = [home[name] for name in code.co_names if name in home]
    return any(_is_torchs(each) or (inspect.isfunction(each) and uses_torch(each, seen)) for each in named)


def _is_torchs(value: Any) -> bool:
    home = getattr(value, "__module__", None) or getattr(value, "__name__", "")
    home = value.__name__ if inspect.ismodule(value) else home
    return isinstance(home, str) and home.partition(".")[0] == "torch"


def _input(name: str, tensor: Any, smooth: bool = True) -> Input:
    letters = " ".join(map(str, tensor.shape))
    real = tensor.is_floating_point()
    return Input(name, name, letters, letters, differentiable=real and smooth, whole=not real)


def _is_variance(name: str) -> bool:
    return name.endswith("running_var")


def _operation(node: Any) -> str:
    return _named(node.target)


def _named(operation: Any) -> str:
    """What ATen calls an operation, without its overload."""
    name = getattr(operation, "_schema", None)
    return str(name.name).partition("::")[2] if name is not None else str(getattr(operation, "__name__", operation))


KNOWN = {*ATEN, "getitem"}
RANDOM = {
    "bernoulli",
    "native_dropout",
    "rand",
    "randn",
    "rand_like",
    "randn_like",
    "uniform",
    "normal",
    "randint",
    "multinomial",
}


def _interpreted(graph: Any, arrays: Mapping[str, Any]) -> Any:
    """The graph over arrays, operation by operation."""
    found: dict[Any, Any] = {}
    waiting = iter(graph.names_of_inputs)

    def value(x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return [value(each) for each in x]
        return found[x] if type(x).__name__ == "Node" else x

    for node in graph.nodes:
        if node.op == "placeholder":
            found[node] = arrays[next(waiting)]
        elif node.op == "get_attr":
            constant = getattr(node.graph.owning_module, node.target)
            found[node] = as_numpy(constant)
        elif node.op == "output":
            result = value(node.args[0])
            if names := getattr(graph, "names_of_outputs", []):
                return dict(zip(names, result, strict=True))
            several = isinstance(result, list) and len(result) > 1
            return tuple(result) if several else result[0] if isinstance(result, list) else result
        elif _operation(node) == "getitem":
            found[node] = found[node.args[0]][node.args[1]]
        else:
            words = {key: value(x) for key, x in node.kwargs.items() if key not in _LAYOUT}
            found[node] = _typed(ATEN[_operation(node)](*map(value, node.args), **words), node.kwargs.get("dtype"))
            if isinstance(found[node], TracedArray):  # a worked calculation calls it as torch does
                found[node].tape.names.setdefault(found[node].id, node.name)
    raise AssertionError("a graph ends with its output")


def as_numpy(tensor: Any) -> Array:
    """A tensor as numpy's array, real numbers in float64."""
    tensor = tensor.detach().double() if tensor.is_floating_point() else tensor.detach()
    array: Array = tensor.numpy()
    return array


def _typed(found: Any, dtype: Any) -> Any:
    """Integers and masks in the requested type; real numbers have a single type here."""
    if dtype is None or not isinstance(found, np.ndarray):
        return found
    kind = str(dtype).removeprefix("torch.")
    return found.astype(bool if kind == "bool" else np.int64 if kind.startswith(("int", "uint")) else np.float64)


_LAYOUT = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")


def captured(kind: Any, name: str) -> Captured:
    """The module class `kind` with the get_inputs() and get_init_inputs() beside it; raises Refused."""
    home = sys.modules.get(kind.__module__)
    inputs = getattr(home, "get_inputs", None)
    if not callable(inputs):
        raise Refused(
            say("{name} needs example inputs", name=kind.__name__),
            fix=say("write get_inputs() beside it, which returns the arguments of forward as a list of tensors"),
        )
    made_from = getattr(home, "get_init_inputs", list)
    return Captured(kind, name, inputs, made_from())
