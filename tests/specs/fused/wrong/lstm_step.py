"""Wrong variants of `lstm_step`."""

import numpy as np
from scipy.special import expit

from tests.specs.fused.wrong.parts import bfloat16, float16, full_blocks, scaled_gradient, tf32


def _gates(x, h, w_ih, w_hh, b):
    return x @ w_ih.T + h @ w_hh.T + b


def _stepped(i, f, g, o, c):
    c_next = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c_next), c_next


def _from_gates(gates, c):
    return _stepped(*np.split(gates, 4, axis=1), c)


def gates_as_in_onnx(x, h, c, w_ih, w_hh, b):
    """The gates are in the order of ONNX: input, output, forget, cell."""
    i, o, f, g = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    return _stepped(i, f, g, o, c)


def gates_as_in_tensorflow(x, h, c, w_ih, w_hh, b):
    """The gates are in the order of TensorFlow's first cells: input, cell, forget, output."""
    i, g, f, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    return _stepped(i, f, g, o, c)


def gates_forget_first(x, h, c, w_ih, w_hh, b):
    """The forget gate comes before the input gate."""
    f, i, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    return _stepped(i, f, g, o, c)


def gates_interleaved(x, h, c, w_ih, w_hh, b):
    """The four gates of a unit lie side by side."""
    gates = _gates(x, h, w_ih, w_hh, b).reshape(len(x), -1, 4)
    return _stepped(*np.moveaxis(gates, 2, 0), c)


def forget_bias_of_one(x, h, c, w_ih, w_hh, b):
    """One is added to the forget gate."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    return _stepped(i, f + 1, g, o, c)


def forget_gate_coupled(x, h, c, w_ih, w_hh, b):
    """The forget gate is one less the input gate."""
    i, _, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    return _stepped(i, -i, g, o, c)


def cell_gate_by_sigmoid(x, h, c, w_ih, w_hh, b):
    """The cell gate goes through the sigmoid, not the hyperbolic tangent."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = expit(f) * c + expit(i) * expit(g)
    return expit(o) * np.tanh(c_next), c_next


def output_without_tanh(x, h, c, w_ih, w_hh, b):
    """The output gate multiplies the cell itself."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = _stepped(i, f, g, o, c)[1]
    return expit(o) * c_next, c_next


def output_of_old_cell(x, h, c, w_ih, w_hh, b):
    """The output is made of the cell before the step."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    return expit(o) * np.tanh(c), _stepped(i, f, g, o, c)[1]


def tanh_of_cell_twice(x, h, c, w_ih, w_hh, b):
    """The cell is returned after the hyperbolic tangent."""
    h_next, c_next = _from_gates(_gates(x, h, w_ih, w_hh, b), c)
    return h_next, np.tanh(c_next)


def outputs_swapped(x, h, c, w_ih, w_hh, b):
    """The cell is returned before the hidden state."""
    return _from_gates(_gates(x, h, w_ih, w_hh, b), c)[::-1]


def hard_sigmoid(x, h, c, w_ih, w_hh, b):
    """The sigmoids are piecewise linear."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    i, f, o = (np.clip(0.2 * gate + 0.5, 0, 1) for gate in (i, f, o))
    c_next = f * c + i * np.tanh(g)
    return o * np.tanh(c_next), c_next


def bias_twice(x, h, c, w_ih, w_hh, b):
    """The bias is added with the input and again with the hidden state."""
    return _from_gates(_gates(x, h, w_ih, w_hh, b) + b, c)


def bias_forgotten(x, h, c, w_ih, w_hh, b):
    """The bias is never added."""
    return _from_gates(x @ w_ih.T + h @ w_hh.T, c)


def bias_of_input_gate_for_all(x, h, c, w_ih, w_hh, b):
    """Every gate gets the bias of the input gate."""
    return _from_gates(x @ w_ih.T + h @ w_hh.T + np.tile(b[: len(b) // 4], 4), c)


def hidden_state_ignored(x, h, c, w_ih, w_hh, b):
    """The hidden state does not reach the gates."""
    return _from_gates(x @ w_ih.T + b, c)


def hidden_state_of_first_row(x, h, c, w_ih, w_hh, b):
    """All rows of the batch have the hidden state of the first one."""
    return _from_gates(_gates(x, h[:1], w_ih, w_hh, b), c)


def recurrent_weights_transposed(x, h, c, w_ih, w_hh, b):
    """The recurrent weights of each gate are transposed, which their square shape hides."""
    size = h.shape[1]
    turned = w_hh.reshape(4, size, size).swapaxes(1, 2).reshape(4 * size, size)
    return _from_gates(_gates(x, h, w_ih, turned, b), c)


def input_weights_transposed_when_square(x, h, c, w_ih, w_hh, b):
    """The input weights of each gate are transposed wherever the shapes hide it."""
    size, width = h.shape[1], x.shape[1]
    turned = w_ih.reshape(4, size, width).swapaxes(1, 2).reshape(-1, width) if size == width else w_ih
    return _from_gates(_gates(x, h, turned, w_hh, b), c)


def hidden_state_overwritten(x, h, c, w_ih, w_hh, b):
    """The output gate is computed from the hidden state that is already multiplied by tanh of the new cell."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = _stepped(i, f, g, o, c)[1]
    o = np.split(_gates(x, h * np.tanh(c_next), w_ih, w_hh, b), 4, axis=1)[3]
    return expit(o) * np.tanh(c_next), c_next


def last_2_inputs_dropped(x, h, c, w_ih, w_hh, b):
    """An incomplete last block of 2 inputs is dropped."""
    end = full_blocks(x.shape[1], 2)
    return _from_gates(_gates(x[:, :end], h, w_ih[:, :end], w_hh, b), c)


def last_64_inputs_dropped(x, h, c, w_ih, w_hh, b):
    """An incomplete last block of 64 inputs is dropped."""
    end = full_blocks(x.shape[1], 64)
    return _from_gates(_gates(x[:, :end], h, w_ih[:, :end], w_hh, b), c)


def last_8_hidden_dropped(x, h, c, w_ih, w_hh, b):
    """An incomplete last block of 8 hidden units is missing from the recurrent product."""
    end = full_blocks(h.shape[1], 8)
    return _from_gates(_gates(x, h[:, :end], w_ih, w_hh[:, :end], b), c)


def last_16_units_not_updated(x, h, c, w_ih, w_hh, b):
    """An incomplete last block of 16 units keeps its state."""
    h_next, c_next = _from_gates(_gates(x, h, w_ih, w_hh, b), c)
    end = full_blocks(h.shape[1], 16)
    h_next[:, end:], c_next[:, end:] = h[:, end:], c[:, end:]
    return h_next, c_next


def last_32_rows_not_updated(x, h, c, w_ih, w_hh, b):
    """An incomplete last block of 32 rows keeps its state."""
    h_next, c_next = _from_gates(_gates(x, h, w_ih, w_hh, b), c)
    end = full_blocks(len(x), 32)
    h_next[end:], c_next[end:] = h[end:], c[end:]
    return h_next, c_next


def cell_clamped(x, h, c, w_ih, w_hh, b):
    """The cell is clamped to 3."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = np.clip(_stepped(i, f, g, o, c)[1], -3, 3)
    return expit(o) * np.tanh(c_next), c_next


def gates_clamped(x, h, c, w_ih, w_hh, b):
    """The gates are clamped to 5 before their activations."""
    return _from_gates(np.clip(_gates(x, h, w_ih, w_hh, b), -5, 5), c)


def rational_tanh(x, h, c, w_ih, w_hh, b):
    """The hyperbolic tangent of the cell is a clamped quotient of polynomials."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = _stepped(i, f, g, o, c)[1]
    t = np.clip(c_next, -3, 3)
    return expit(o) * t * (27 + t * t) / (27 + 9 * t * t), c_next


def overflowing_sigmoid(x, h, c, w_ih, w_hh, b):
    """The forget gate is exp(f) / (1 + exp(f)), which is not a number for large f."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = np.exp(f) / (1 + np.exp(f)) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c_next), c_next


def overflowing_tanh(x, h, c, w_ih, w_hh, b):
    """The hyperbolic tangent of the cell is made of exponentials that overflow."""
    i, f, g, o = np.split(_gates(x, h, w_ih, w_hh, b), 4, axis=1)
    c_next = _stepped(i, f, g, o, c)[1]
    e, inverse = np.exp(c_next), np.exp(-c_next)
    return expit(o) * (e - inverse) / (e + inverse), c_next


def float16_gates(x, h, c, w_ih, w_hh, b):
    """The gates are stored as float16."""
    return _from_gates(float16(_gates(x, h, w_ih, w_hh, b)), c)


def bfloat16_cell(x, h, c, w_ih, w_hh, b):
    """The old cell is read as bfloat16."""
    return _from_gates(_gates(x, h, w_ih, w_hh, b), bfloat16(c))


def tf32_recurrence(x, h, c, w_ih, w_hh, b):
    """The recurrent product reads its operands as TF32."""
    return _from_gates(_gates(x, tf32(h), w_ih, tf32(w_hh), b), c)


_cells = {}


def cell_kept_between_calls(x, h, c, w_ih, w_hh, b):
    """The cell of the last call of that shape is used in place of the argument."""
    h_next, c_next = _from_gates(_gates(x, h, w_ih, w_hh, b), _cells.get(c.shape, c))
    _cells[c.shape] = c_next.copy()
    return h_next, c_next


def _torch_step(gates, c):
    i, f, g, o = gates.chunk(4, dim=1)
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_next.tanh(), c_next


def torch_hidden_state_detached(x, h, c, w_ih, w_hh, b):
    """The gradient of the hidden state is forgotten."""
    return _torch_step(_gates(x, h.detach(), w_ih, w_hh, b), c)


def torch_cell_detached(x, h, c, w_ih, w_hh, b):
    """The gradient of the old cell is forgotten."""
    return _torch_step(_gates(x, h, w_ih, w_hh, b), c.detach())


def torch_forget_gate_detached(x, h, c, w_ih, w_hh, b):
    """The gradient does not pass through the forget gate."""
    i, f, g, o = _gates(x, h, w_ih, w_hh, b).chunk(4, dim=1)
    c_next = f.detach().sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_next.tanh(), c_next


def torch_new_cell_detached(x, h, c, w_ih, w_hh, b):
    """The cotangent of the new cell is ignored."""
    h_next, c_next = _torch_step(_gates(x, h, w_ih, w_hh, b), c)
    return h_next, c_next.detach()


def torch_output_stops_at_cell(x, h, c, w_ih, w_hh, b):
    """The gradient of the output does not reach the new cell."""
    i, f, g, o = _gates(x, h, w_ih, w_hh, b).chunk(4, dim=1)
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c_next.detach().tanh(), c_next


def torch_recurrent_gradient_doubled(x, h, c, w_ih, w_hh, b):
    """The gradient of the recurrent weights is doubled."""
    return _torch_step(_gates(x, h, w_ih, scaled_gradient(w_hh, 2), b), c)


def torch_bias_gradient_averaged(x, h, c, w_ih, w_hh, b):
    """The gradient of the bias is a mean over the batch, not a sum."""
    return _torch_step(_gates(x, h, w_ih, w_hh, scaled_gradient(b, 1 / len(x))), c)


def torch_output_tanh_gradient_forgotten(x, h, c, w_ih, w_hh, b):
    """The slope of the last hyperbolic tangent is taken to be 1."""
    i, f, g, o = _gates(x, h, w_ih, w_hh, b).chunk(4, dim=1)
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    t = c_next.detach()
    return o.sigmoid() * (t.tanh() + (c_next - t)), c_next
