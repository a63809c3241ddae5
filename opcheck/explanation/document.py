"""`opcheck.explain`: an operator and a call become an Explanation, which any renderer can print."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opcheck import specs
from opcheck.explanation import worked
from opcheck.explanation.calculation import Calculation, default_array, lifted
from opcheck.explanation.readable import readable
from opcheck.language import say
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Array, Case, Op, Refused, RefusedType, Shape, as_array
from opcheck.specs import Spec
from opcheck.steps import Block, Board, Formula, Number, Prose, Step


class Explanation:
    """A worked calculation. str() is text for a terminal of 80 columns; Jupyter shows HTML or LaTeX.

    `asked` makes the same document for a page, which answers questions about every number.
    """

    def __init__(
        self, step: Step | Callable[[], Step], fractions: bool = False, asked: Callable[[], Step] | None = None
    ) -> None:
        self._step = step
        self.fractions = fractions
        self.asked = asked

    @property
    def step(self) -> Step:
        """The document; written down when it is first asked for."""
        if not isinstance(self._step, Step):
            self._step = self._step()
        return self._step

    def document(self, format: str = "text", page: bool = True) -> Step:
        """What is rendered in that format: a page of HTML answers, everything else stands still."""
        return self.asked() if self.asked is not None and page and format == "html" else self.step

    def render(self, format: str = "text", **options: Any) -> str:
        """As "text", "markdown", "latex", "html" or "json"; options are those of `opcheck.render.Options`."""
        from opcheck.render import render

        step = self.document(format, options.get("page", True))
        return render(step, format, **{"fractions": self.fractions, **options})

    def to_json(self) -> str:
        return self.render("json")

    def __str__(self) -> str:
        return self.render("text", interactive=False)

    def _repr_html_(self) -> str:
        return self.render("html", page=False)

    def _repr_latex_(self) -> str:
        return self.render("latex", page=False)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = {
            "text/plain": str(self),
            "text/html": self._repr_html_(),
            "text/latex": self._repr_latex_(),
            "text/markdown": self.render("markdown"),
        }
        wanted = set(include or bundle) - set(exclude or ())
        return {kind: text for kind, text in bundle.items() if kind in wanted}


def explain(
    op: Spec,
    *args: Any,
    cell: Shape | None = None,
    grad: bool = False,
    upstream: Any = None,
    all: bool = False,
    exact: bool = False,
    dtype: str | None = None,
    got: Any = None,
    printed_digits: int | None = None,
    shapes: Mapping[str, Shape] | None = None,
    seed: int | None = None,
    given: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Explanation:
    """The worked calculation of operator `op` called as torch.nn.functional would be.

    Arrays may be left out (consecutive numbers stand in) or have fewer leading dimensions than torch wants (a 4x4
    input of conv2d is one image with one channel). cell: the one output element to show; grad: the gradient of every
    differentiable input, for the given `upstream` gradient (default 1, 2, 3, ...); all: leave nothing out; exact:
    print fractions; dtype: what float32, float16 or bfloat16 makes of it, with the bound; got: an observed value or
    array, to say what explains the difference; printed_digits: decimals to which the inputs were printed; shapes: the
    shapes of arrays whose values do not matter; seed: small random numbers for these instead of 1, 2, 3, ...;
    given: arguments by name, for those that are named as an option here is (the `seed` of a program).

    Raises opcheck.Refused (a ValueError) for what torch refuses.

    >>> import numpy as np
    >>> print(explain("linear", np.array([1.0, 2.0]), np.array([[3.0, 4.0]])))
    linear   x 2 · w 1×2  →  y 1
    y[n,o] = b[o] + Σ_i x[n,i]·w[o,i]
    <BLANKLINE>
       x         w         y
      [1][2]    [3][4]    [11]
    <BLANKLINE>
      y[0] = x[0]·w[0,0] + x[1]·w[0,1] = 1·3 + 2·4 = 3 + 8 = 11
    """
    call = called(operator := specs.get(op), args, {**kwargs, **(given or {})})
    calculation = prepare(operator, call, shapes or {}, seed)
    place = None if grad else calculation_cell(calculation, cell)
    head = worked.heading(calculation)
    given_upstream = None if upstream is None else as_array(upstream, "upstream") * 1.0

    def written(everything: bool) -> list[Block]:
        if not grad:
            return worked.forward_steps(calculation, place, everything or all, decimal=True, symbolic=exact)
        from opcheck.explanation.gradient import gradient_steps

        return gradient_steps(calculation, given_upstream, cell, everything or all, symbolic=exact)

    def still() -> Step:
        blocks = written(all)
        return Step("", (*head, *worked.sizes(calculation), *blocks, *tail, *(_no_fractions(blocks) if exact else ())))

    if grad:
        from opcheck.explanation.gradient import differentiable, upstream_gradient

        differentiable(calculation)
        upstream_gradient(calculation, given_upstream)
    tail = _observed(calculation, cell if grad else place, dtype, got, printed_digits, grad, given_upstream)

    def asked() -> Step:
        first = cell if grad else place
        shown = _page(calculation, given_upstream, first, grad, written)
        noted = _no_fractions(shown) if exact else ()
        listing = (Prose(operator.listing, "code"),) if operator.listing else ()
        return Step("", (*head, *listing, *shown, *_sizes(calculation), *tail, *noted, *_errors(calculation, dtype)))

    # what is small is never refused, so that it may be written down when somebody reads it
    return Explanation(still if calculation.is_small else still(), fractions=exact, asked=asked)


def _page(
    calculation: Calculation, upstream: Array | None, first: Shape | None, grad: bool,
    written: Callable[[bool], list[Block]],
) -> list[Block]:  # fmt: skip
    """What a page shows: pictures of what is large, the board, and plots."""
    from opcheck.explanation.board import board
    from opcheck.explanation.pictures import pictures
    from opcheck.explanation.plots import plots

    asked = board(calculation, upstream, first, grad, written)
    still = asked[0].still if isinstance(asked[0], Board) else ()
    seen = [each for block in asked if isinstance(block, Board) for each in pictures(calculation, block)]
    return [*seen, *asked, *_rules(still), *plots(calculation)]


def _rules(still: Iterable[Block]) -> list[Block]:
    """The gradients in closed form, each under its name."""
    found: list[Block] = []
    for part in (each for each in still if isinstance(each, Step)):
        said = tuple(block for block in part.blocks if isinstance(block, Prose))
        if said and said[0].kind == "definition":
            found.append(Step(part.title, said))
    return found


def _sizes(calculation: Calculation) -> list[Block]:
    """On a page the board comes first, and what decides its size after it."""
    found = worked.sizes(calculation)
    return [Step(say("the size of the output"), tuple(found))] if found else []


def _errors(calculation: Calculation, dtype: str | None) -> list[Block]:
    """A plot of what `dtype` makes of each element, where somebody asked for a type."""
    if dtype is None:
        return []
    from opcheck.explanation.plots import errors

    return errors(calculation, dtype)


def called(op: Op, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, as far as they were given; raises Refused."""
    try:
        return op.parted(op.signature.bind_partial(*args, **op.gathered(kwargs)).arguments)
    except TypeError as error:
        raise RefusedType(
            say("{op} is called as {op}{signature}", op=op.title or op.name, signature=op.signature), got=str(error)
        ) from None


def _no_fractions(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """With fractions, what is said where some numbers are none."""
    if not any(_is_inexact(block) for block in blocks):
        return ()
    told = say("A number after ≈ comes from exp, ln or a root; it is not a fraction, and its decimals are rounded.")
    return (Prose(told, "note"),)


def _is_inexact(block: Block) -> bool:
    if isinstance(block, Step):
        return any(map(_is_inexact, block.blocks))
    return isinstance(block, Formula) and any(isinstance(right, Number) and right.inexact for right in block.rights)


def _observed(
    calculation: Calculation, place: Shape | None, dtype: str | None, got: Any, printed_digits: int | None,
    grad: bool, upstream: Array | None,
) -> list[Block]:  # fmt: skip
    """What follows the calculation: what a type makes of the element, and what explains an observed number."""
    if dtype is None and got is None:
        return []
    from opcheck.explanation.observed import dtype_lines, got_lines, gradients, output

    first = calculation.cells[0] if calculation.cells else None
    focus = place if place is not None and not grad else first
    tail: list[Block] = []
    if focus is not None and dtype is not None:
        tail += dtype_lines(calculation, focus, dtype)
    if got is not None:
        watched = [output(calculation)]
        if grad:
            from opcheck.explanation.gradient import upstream_gradient

            watched = gradients(calculation, upstream_gradient(calculation, upstream))
        tail += got_lines(calculation, watched, place, as_array(got, "got") * 1.0, dtype or "float32", printed_digits)
    return tail


def prepare(
    op: Op, given: Mapping[str, Any], wanted: Mapping[str, Shape] | None = None, seed: int | None = None
) -> Calculation:
    """A calculation from some arguments: the rest is filled in, missing leading dimensions are added and hidden."""
    params = {each.name: given[each.name] for each in op.params if each.name in given}
    arrays: dict[str, Array] = {}
    hidden: dict[str, int] = {}
    for spec in op.inputs:
        if given.get(spec.name) is not None:
            array = as_array(given[spec.name], spec.name)
            whole = array.dtype.kind in "iub" and not spec.whole
            arrays[spec.name] = array.astype(float) if whole else array
    shapes = {**(wanted or {}), **{name: array.shape for name, array in arrays.items()}}
    for each in op.params:
        if each.default is REQUIRED and each.name not in params and each.example is not None:
            params[each.name] = op.example_of(each, shapes)
    if not wanted and _is_call(op, arrays, params):  # nothing is missing
        return Calculation(op, op.completed(Case(op.name, arrays, params), seed or 0))
    own = {name: array.shape for name, array in arrays.items()}
    for name, array in arrays.items():
        arrays[name], hidden[op.input(name).symbol] = lifted(op, name, array)
    ramps = _fill(op, arrays, hidden, params, wanted or {}, own, seed)
    ordered = {spec.name: arrays[spec.name] for spec in op.inputs if spec.name in arrays}
    examples = {each.name: each.example for each in op.params if each.name not in params and each.example is not None}
    if examples and not _is_call(op, ordered, params) and _is_call(op, ordered, {**examples, **params}):
        params = {**examples, **params}  # what is computed by default needs more than was given
    names = op.signature.parameters
    case = op.completed(Case(op.name, ordered, {name: params[name] for name in names if name in params}), seed or 0)
    return readable(Calculation(op, case, _hidden(op, hidden, ordered)), ramps, own)


def _fill(
    op: Op, arrays: dict[str, Array], hidden: dict[str, int], params: Mapping[str, Any],
    wanted: Mapping[str, Shape], own: Mapping[str, Shape], seed: int | None,
) -> dict[str, Array]:  # fmt: skip
    """Fills in what was not given. Returns what stands, or would stand, in each array of consecutive numbers: the
    numbers of one array do not depend on whether another one was given."""
    ramps: dict[str, Array] = {}
    alike: Counter[Shape] = Counter()  # the shapes of those that hold 1, 2, 3, ...: another one goes on counting
    for spec in op.inputs:
        is_open = spec.name in wanted or (spec.name not in arrays and not spec.optional)
        if not is_open and spec.name not in own:
            continue
        known = {**wanted, **{name: array.shape for name, array in arrays.items()}}
        shape = {**own, **wanted}.get(spec.name)
        shape = op.default_shape(spec.name, params, known) if shape is None else shape
        choices = op.choices(spec.name, params, known) if spec.whole and is_open else 0
        array = default_array(op, spec.name, shape, choices, seed)
        if spec.default == "ramp" and not spec.whole:
            array = array + (alike[shape] * array.size if seed is None else 0)
            alike[shape] += 1
            ramps[spec.name] = array
        if is_open:
            arrays[spec.name], hidden[spec.symbol] = lifted(op, spec.name, array)
    return ramps


def _is_call(op: Op, arrays: Mapping[str, Array], params: Mapping[str, Any]) -> bool:
    """Whether torch would take these arguments as they stand."""
    if any(spec.name not in arrays and not spec.optional for spec in op.inputs):
        return False
    try:
        op.checked(Case(op.name, dict(arrays), dict(params)))
    except Refused:
        return False
    return True


def _hidden(op: Op, hidden: dict[str, int], arrays: Mapping[str, Array]) -> dict[str, int]:
    """Leading dimensions are hidden only if every array of that rank hides them: then the output hides them too."""
    main = op.inputs[0]
    depth = hidden.get(main.symbol, 0)
    alike = [
        spec for spec in op.inputs if spec.name in arrays and len(spec.letters.split()) == len(main.letters.split())
    ]
    if any(hidden.get(spec.symbol, 0) != depth for spec in alike):
        return {}
    return {symbol: n for symbol, n in hidden.items() if n} | {out.symbol: depth for out in op.outputs if depth}


def calculation_cell(calculation: Calculation, cell: Shape | None) -> Shape | None:
    """The output place that the user means; leading places that are hidden may be left out."""
    if cell is None:
        return None
    shape = calculation.shapes[calculation.main_output]
    hidden = calculation.hidden.get(calculation.op.output(calculation.main_output).symbol, 0)
    full = (0,) * (len(shape) - len(cell)) + tuple(cell)
    if (
        len(cell) not in (len(shape), len(shape) - hidden)
        or len(full) != len(shape)
        or not all(0 <= i < n for i, n in zip(full, shape, strict=True))
    ):
        raise Refused(
            say("a cell is a position in the output, whose shape is {shape}", shape=shape[hidden:]),
            got=",".join(map(str, cell)),
            fix=say("positions count from 0"),
        )
    return full
