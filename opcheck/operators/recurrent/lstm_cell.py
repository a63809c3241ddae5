"""lstm_cell: one step of a long short-term memory."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.program import Program
from opcheck.operators.spec import Array, Case, Closed, Input, Mistake, Output, Params, Refused, Shape
from opcheck.programs.elementwise import sigmoid
from opcheck.tracing import named, tanh, total
from opcheck.tracing import sigmoid as squashed

GATES = "ifgo"  # the order of the rows of both weights: input, forget, candidate, output
CELL = (  # the gradients of what stands behind the gates, and the gates
    "c̄′[n,r] = h̄′[n,r]·o[n,r]·(1 − tanh(c′[n,r])²), i[n,r] = σ(z[n,r]), f[n,r] = σ(z[n,r + H]), "
    "g[n,r] = tanh(z[n,r + 2·H]), o[n,r] = σ(z[n,r + 3·H]), "
    "z[n,k] = Σ_j W[k,j]·x[n,j] + b[k] + Σ_a V[k,a]·h[n,a] + d[k]"
)
INNER = (  # the part of one gate is 0 in the rows of the others, where c̄′ and h̄′ end
    "z̄[n,k] = I[n,k] + F[n,k − H] + G[n,k − 2·H] + O[n,k − 3·H], I[n,r] = ī[n,r]·i[n,r]·(1 − i[n,r]), "
    "F[n,r] = f̄[n,r]·f[n,r]·(1 − f[n,r]), G[n,r] = ḡ[n,r]·(1 − g[n,r]²), O[n,r] = ō[n,r]·o[n,r]·(1 − o[n,r]), "
    "ī[n,r] = c̄′[n,r]·g[n,r], f̄[n,r] = c̄′[n,r]·c[n,r], ḡ[n,r] = c̄′[n,r]·i[n,r], ō[n,r] = h̄′[n,r]·tanh(c′[n,r]), "
    f"{CELL}"
)


def _hidden(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
    """H hidden numbers, and biases of 0 where there are none."""
    return {"H": shapes["h_0"][1], "b": 0, "d": 0}


class LSTMCell(Program):
    """torch.lstm_cell, which nn.LSTMCell calls: `hx` is the tuple (h_0, c_0), and the result is (h_1, c_1). The rows of
    both weights are those of the gates i, f, g, o. Either bias may be given without the other; there is always a batch.
    """

    name = "lstm_cell"
    taught = dict.fromkeys(("b_ih", "b_hh"), (True, False))
    aliases = ("nn.LSTMCell", "LSTMCell", "lstm")
    torch_path = "torch.lstm_cell"
    summary = "one step of a long short-term memory"
    formula = "c′ = f·c + i·g,   h′ = o·tanh(c′)   with (i, f, o) = σ(z), g = tanh(z), z = W x + b + V h + d"
    closed = (
        Closed("input", f"x̄[n,j] = Σ_k W[k,j]·z̄[n,k]   with {INNER}", _hidden),
        Closed("h_0", f"h̄[n,a] = Σ_k V[k,a]·z̄[n,k]   with {INNER}", _hidden),
        Closed(
            "c_0",
            f"c̄[n,r] = f[n,r]·c̄′[n,r]   with {CELL}",
            _hidden,
        ),
        Closed("w_ih", f"W̄[k,j] = Σ_n z̄[n,k]·x[n,j]   with {INNER}", _hidden),
        Closed("w_hh", f"V̄[k,a] = Σ_n z̄[n,k]·h[n,a]   with {INNER}", _hidden),
        Closed("b_ih", f"b̄[k] = Σ_n z̄[n,k]   with {INNER}", _hidden),
        Closed("b_hh", f"d̄[k] = Σ_n z̄[n,k]   with {INNER}", _hidden),
    )  # fmt: skip
    source = (
        "Hochreiter and Schmidhuber, Long Short-Term Memory (1997); Gers et al., Learning to Forget (2000); torch.nn"
    )
    example = (
        "lstm_cell([[1.0]], ([[0.0]], [[1.0]]), [[0], [0], [0], [0]], [[0], [0], [0], [0]])",
        "(array([[0.23105858]]), array([[0.5]]))",
    )
    arguments = (
        Input("input", "x", "N In", "one row of In numbers for each sequence of the batch"),
        Input("h_0", "h", "N H", "the previous hidden state", part_of="hx", default="half"),
        Input("c_0", "c", "N H", "the previous cell state", part_of="hx", default="half"),
        Input("w_ih", "W", "4*H In", "the weights of the input: rows of i, f, g, o", default="unit"),
        Input("w_hh", "V", "4*H H", "the weights of the hidden state: rows of i, f, g, o", default="unit"),
        Input("b_ih", "b", "4*H", "one number for each row of w_ih", optional=True, default="unit"),
        Input("b_hh", "d", "4*H", "one number for each row of w_hh", optional=True, default="unit"),
    )
    outputs = (Output("h_1", "h′", "N H"), Output("c_1", "c′", "N H"))

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        return (say("the rows of z, W, V, b and d are those of i, f, g and o, one block below the other"),)

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        x, h = shapes["input"], shapes["h_0"]
        if len(x) != 2 or len(h) != 2:
            raise Refused(say("input is (N, In) and each part of hx (N, H): there is always a batch"),
                          got=say("input {x} and h_0 {h}", x=x, h=h))  # fmt: skip
        hidden = h[1]
        wanted = {
            "h_0": (x[0], hidden), "c_0": (x[0], hidden), "w_ih": (4 * hidden, x[1]), "w_hh": (4 * hidden, hidden),
            "b_ih": (4 * hidden,), "b_hh": (4 * hidden,),
        }  # fmt: skip
        for name, shape in wanted.items():
            if shapes.get(name, shape) != shape:
                raise Refused(
                    say("{name} must be {shape} for an input {x} and {n} hidden numbers", name=name, shape=shape, x=x,
                        n=hidden),
                    got=say("{name} {own}", name=name, own=shapes[name]),
                    fix=say("the rows of a weight are those of the gates i, f, g, o, one below the other"),
                )  # fmt: skip
        return {"h_1": h, "c_1": h}

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        n, size = shapes["input"] if len(shapes.get("input", ())) == 2 else (1, 2)
        states = [shapes[each] for each in ("h_0", "c_0") if len(shapes.get(each, ())) == 2]
        weights = [shapes[each][0] // 4 for each in ("w_ih", "w_hh") if len(shapes.get(each, ())) == 2]
        hidden = states[0][1] if states else weights[0] if weights else 1
        every = {"input": (n, size), "w_ih": (4 * hidden, size), "w_hh": (4 * hidden, hidden)}
        return every.get(name, (n, hidden))

    # --- definition -------------------------------------------------------------------------------------------

    def element(
        self, p: Params, at: Shape, *, input: Any, h_0: Any, c_0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None,
        b_hh: Any = None,
    ) -> Any:  # fmt: skip
        n, k = at
        hidden = h_0.shape[1]

        def gate(which: int) -> Any:
            row = which * hidden + k
            terms = [w_ih[row, j] * input[n, j] for j in range(input.shape[1])]
            terms += [] if b_ih is None else [b_ih[row]]
            terms += [w_hh[row, j] * h_0[n, j] for j in range(hidden)]
            terms += [] if b_hh is None else [b_hh[row]]
            squash = tanh if GATES[which] == "g" else squashed
            return named(GATES[which], squash(total(terms)), at)

        i, f, g, o = map(gate, range(4))
        c = named("c′", f * c_0[n, k] + i * g, at)
        return {"h_1": o * tanh(c), "c_1": c}

    # --- program ----------------------------------------------------------------------------------------------

    def program(
        self, p: Params, *, input: Any, h_0: Any, c_0: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None,
        order: str = GATES, cell: Callable[..., Any] | None = None, squash: Callable[[Any], Any] = np.tanh,
    ) -> Any:  # fmt: skip
        gates = input @ w_ih.T + h_0 @ w_hh.T
        for bias in (b_ih, b_hh):
            gates = gates if bias is None else gates + bias
        hidden = h_0.shape[1]
        parts = {name: gates[:, k * hidden : (k + 1) * hidden] for k, name in enumerate(order)}
        i, f, g, o = sigmoid(parts["i"]), sigmoid(parts["f"]), np.tanh(parts["g"]), sigmoid(parts["o"])
        c = f * c_0 + i * g if cell is None else cell(i, f, g, c_0)
        return {"h_1": o * squash(c), "c_1": c}

    def sample(self, chooser: Chooser) -> Case:
        n, size, hidden = chooser.choice((2, 1, 3, 0)), chooser.choice((3, 2, 1, 0)), chooser.choice((2, 1, 3))
        case: dict[str, Shape] = {"input": (n, size), "h_0": (n, hidden), "c_0": (n, hidden)}
        case |= {"w_ih": (4 * hidden, size), "w_hh": (4 * hidden, hidden)}
        for name in ("b_ih", "b_hh"):
            if chooser.choice((True, False)):
                case[name] = (4 * hidden,)
        by = chooser.choice((0.25, 1.0))  # large sums saturate the gates
        return Case(self.name, {name: chooser.array(*shape) * by for name, shape in case.items()}, {})

    mistakes = (
        Mistake("gates_in_another_order", "The gates are in the order i, f, g, o; o was used as g.",
                lambda op, p, **a: op.program(p, **a, order="ifog")),
        Mistake("forget_gate_first", "The gates are in the order i, f, g, o; f was used as the first.",
                lambda op, p, **a: op.program(p, **a, order="figo")),
        Mistake("states_swapped", "The states were swapped: hx is (h, c).",
                lambda op, p, *, h_0, c_0, **a: op.program(p, h_0=c_0, c_0=h_0, **a)),
        Mistake("outputs_swapped", "The result is (h, c): the two were swapped.",
                lambda op, p, **a: _swapped(op.program(p, **a))),
        Mistake("tanh_of_c_missing", "The tanh is missing: h is o·tanh(c).",
                lambda op, p, **a: op.program(p, **a, squash=lambda c: c)),
        Mistake("forget_gate_missing", "The old cell state was added without the forget gate.",
                lambda op, p, **a: op.program(p, **a, cell=lambda i, f, g, c: c + i * g)),
        Mistake("forget_gate_is_one_minus_input", "The forget gate is separate; it is not 1 − i.",
                lambda op, p, **a: op.program(p, **a, cell=lambda i, f, g, c: (1 - i) * c + i * g)),
        Mistake("forget_gate_plus_one", "A bias of 1 was added for the forget gate; torch adds none.",
                lambda op, p, **a: op.program(p, **_more_to_forget(a))),
        Mistake("second_bias_missing", "There are two biases: that of the hidden state was not added.",
                lambda op, p, *, b_hh=None, **a: op.program(p, **a)),
        Mistake("first_bias_missing", "There are two biases: that of the input was not added.",
                lambda op, p, *, b_ih=None, **a: op.program(p, **a)),
        Mistake("old_hidden_state_forgotten", "The previous hidden state goes into all gates; it was left out.",
                lambda op, p, *, h_0, **a: op.program(p, h_0=np.zeros(h_0.shape), **a)),
        Mistake("gradient_of_c_ignored",
                "The cell state also goes to the next step: its own upstream gradient was not added.",
                vjp=lambda op, p, g, **a: op.vjp(p, {n: x for n, x in g.items() if n != "c_1"} or {
                    "h_1": np.zeros(a["h_0"].shape)}, **a)),
        Mistake("gradient_through_h_missing", "The previous hidden state got no gradient.",
                vjp=lambda op, p, g, **a: {**op.vjp(p, g, **a), "h_0": np.zeros(a["h_0"].shape)}),
    )  # fmt: skip


def _swapped(result: dict[str, Array]) -> dict[str, Array]:
    return {"h_1": result["c_1"], "c_1": result["h_1"]}


def _more_to_forget(a: dict[str, Array]) -> dict[str, Array]:
    hidden = a["h_0"].shape[1]
    one = np.zeros(4 * hidden)
    one[hidden : 2 * hidden] = 1.0
    return {**a, "b_ih": a.get("b_ih", np.zeros(4 * hidden)) + one}


OPS = (LSTMCell(),)
