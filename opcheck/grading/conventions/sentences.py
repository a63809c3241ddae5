"""What students read about mistakes where the catalogue's sentence speaks of torch's layout: by operator, by name."""

from collections.abc import Mapping

Sentences = Mapping[str, Mapping[str, str]]

IN_OUT: Sentences = {  # weights of affine layers are (In, Out)
    "linear": {
        "weight_not_transposed": "The weight was transposed: it is (In, Out), so the product is x @ w.",
        "input_gradient_weight_transposed": "The weight was not transposed in the input gradient; in the backward "
        "pass the product is g @ w.T.",
        "weight_gradient_transposed": "The weight gradient is transposed: it has the shape of the weight, x.T @ g.",
    }
}
DIVIDED_TWICE = {
    "weight_gradient_divided_by_batch": "The weight gradient was divided by the batch size twice; once is enough.",
    "bias_gradient_averaged": "The bias gradient was divided by the batch size twice; once is enough.",
}
BIAS_COLUMN = {
    "bias_gradient_kept_as_a_row": "The bias gradient is a row, (1, Out); it should have the shape of the bias, "
    "(Out, 1).",
}
COLUMNS: Sentences = {  # examples are columns: A is (In, m), W is (Out, In)
    "linear": {
        **DIVIDED_TWICE,
        **BIAS_COLUMN,
        "bias_along_the_wrong_axis": "The bias was added along the batch: each column got one of its numbers, but "
        "each row should.",
        "weight_not_transposed": "The weight was transposed: its rows belong to the outputs, so the product is W @ A.",
        "first_row_only": "Only the first example of the batch was computed; the others stayed zero.",
        "input_gradient_weight_transposed": "The weight was not transposed in the input gradient; in the backward "
        "pass the product is W.T @ dZ.",
        "weight_gradient_transposed": "The weight gradient is transposed: it has the shape of the weight, dZ @ A.T, "
        "divided by m.",
    },
    "sgd": {
        "dampening_missing": "The gradient was added whole; it is weighted with 1 − beta.",
        "velocity_added": "The velocity was added; it is subtracted, times the learning rate.",
    },
    "lstm_cell": {
        "forget_gate_first": "The forget gate and the update gate were swapped: c is ft·c_prev + it·cct.",
        "gates_in_another_order": "The output gate and the candidate were swapped: cct is a tanh, ot a sigmoid.",
    },
}
CMU: Sentences = {"linear": BIAS_COLUMN}
CMU2022: Sentences = {
    "linear": {**BIAS_COLUMN, **DIVIDED_TWICE},
    "mse_loss": {  # the loss has a factor 1/2, and its gradient is A - Y
        "half_factor": "The factor 1/2 of the loss was applied twice.",
        "gradient_without_factor_two": "The gradient is half of what it should be: here it is A − Y.",
        "gradient_sign_flipped": "The gradient has the wrong sign: for the input it is A − Y, not Y − A.",
        "gradient_of_sum_for_mean": "The gradient was multiplied by the number of losses: here it is A − Y.",
    },
    "cross_entropy": {
        "gradient_of_sum_for_mean": "The gradient was multiplied by the batch size: here it is softmax(A) − Y.",
    },
}
