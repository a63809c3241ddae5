"""opcheck.explain: what a call means, what is shown of it, and in which order."""

import contextlib

import numpy as np
import pytest

from opcheck import Refused, explain
from opcheck.explanation.document import prepare
from opcheck.explanation.gradient import differentiable, upstream_gradient
from opcheck.explanation.unfold import barred
from opcheck.operators import catalog
from opcheck.steps import Grids, Step


def lines(*args, **kwargs):
    return str(explain(*args, **kwargs)).split("\n")


def test_a_call_that_torch_takes_is_explained_as_it_stands():
    text = str(explain("linear", np.array([1.0, 2.0]), np.array([3.0, 4.0])))  # a weight of one dimension
    assert "y = x[0]·w[0] + x[1]·w[1]" in text
    assert "x 2 · w 2  →  y a number" in text


def test_dimensions_that_torch_wants_and_nobody_wrote_are_not_shown():
    text = str(explain("conv2d", np.ones((3, 3)), np.ones((2, 2))))
    assert "x 3×3 · w 2×2" in text
    assert "y[0,0] = x[0,0]·w[0,0] + x[0,1]·w[0,1] + x[1,0]·w[1,0] + x[1,1]·w[1,1]" in text


def test_a_name_that_a_later_step_computes_again_is_shown_again():
    x = np.array([[[1.0, 2.0, 1.0, 3.0]], [[0.0, 0.0, 0.0, 0.0]]]).reshape(1, 2, 4)
    w = np.array([1.0, 1.0]).reshape(1, 2, 1)
    shown = [line.strip() for line in lines("conv1d", x, w, all=True)]
    assert sum(line.startswith("channel[0] = x[0,0,") for line in shown) == 4  # 1, 2 and then 1 once more, and 3


def test_a_value_with_a_name_is_shown_once_in_a_step():
    shown = lines("rmsprop", centered=True)
    assert sum(line.strip().startswith("a′[0] =") for line in shown) == 1


def test_the_adjoint_of_a_value_has_a_line_before_it_is_used():
    shown = [line.strip() for line in lines("sgd", momentum=0.9, momentum_buffer=np.ones(3), grad=True)]
    first = next(k for k, line in enumerate(shown) if "v̄′[0]" in line)
    assert shown[first].startswith("v̄′[0] = ")


def test_no_line_is_about_the_gradient_of_padding_or_of_a_constant():
    padded = str(explain("avg_pool1d", np.ones((1, 1, 3)), 4, 3, 1, grad=True))
    assert "-1]" not in padded
    assert "ε̄" not in str(explain("adam", grad=True))


def test_a_number_that_is_not_a_fraction_is_never_said_to_be_exact():
    text = str(explain("softmax", np.array([0.0, 2000.0])))  # the sum is 1 + exp(−2000), which prints as 1.0000
    assert "≈ 1.0000" in text
    assert "S = e[0] + e[1] ≈ 8.6836e−" not in text
    assert "= 1\n" in text  # exp(0)


@pytest.mark.parametrize("format", ["text", "json", "latex", "markdown", "html"])
def test_an_explanation_renders_itself(format):
    assert "conv2d" in explain("conv2d").render(format)


def test_jupyter_finds_a_representation_for_each_of_its_frontends():
    bundle = explain("conv2d")._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "text/latex", "text/markdown"}
    assert bundle["text/html"].startswith("<style>")
    assert r"\documentclass" not in bundle["text/latex"]
    assert set(explain("conv2d")._repr_mimebundle_(include={"text/html"})) == {"text/html"}


def test_what_torch_refuses_is_refused():
    with pytest.raises(Refused, match="the kernel must fit"):
        explain("conv2d", np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)))
    with pytest.raises(Refused, match="there is no operator 'nope'"):
        explain("nope")


def titles(channels):
    shown = lines("conv2d", np.ones((1, channels, 4, 4)), np.ones((1, channels, 3, 3)), cell=(0, 0, 0, 0))
    return [line.split() for line in shown if line.lstrip().startswith(("x[0,", "w[0,")) and "=" not in line]


def test_the_channels_of_an_image_are_drawn_and_said_to_be_more_if_they_are():
    assert titles(3) == [["x[0,0]", "x[0,1]", "x[0,2]"], ["w[0,0]", "w[0,1]", "w[0,2]", "y[0,0]"]]
    assert [line[2:8] for line in titles(5)] == [f"{each}[0,2] (and 2 more like it)".split() for each in "xw"]


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_few_elements_are_all_shown_and_of_more_the_first_two(size, grad):
    shown = lines("tanh", np.arange(1.0, size + 1), grad=grad)
    left = "x̄[" if grad else "y["
    places = {line.split("]")[0] for line in "\n".join(shown).replace("  ", "\n").split("\n") if line.startswith(left)}
    few = size if size <= 3 else 2
    assert len(places - ({f"y[{k}" for k in range(size)} if grad else set())) == few
    assert any("(--all, or --cell" in line for line in shown) == (size > few)


@pytest.mark.parametrize("values", [[-1.0, 1.0, 2.0], [1.0, 1.0, -1.0, 2.0], [-1.0, -2.0, 1.0, 1.0]])
def test_the_cell_that_is_offered_is_one_that_was_left_out(values):
    shown = lines("relu", np.array(values), grad=True)
    (offered,) = (line.split("--cell ")[1].split(" ")[0] for line in shown if "--cell" in line)
    assert not any(line.strip().startswith(f"x̄[{offered}]") for line in shown)
    assert f"  x̄[{offered}] = " in str(explain("relu", np.array(values), grad=True, cell=(int(offered),)))


@pytest.mark.parametrize("op", ["adam", "rmsprop"])
def test_terms_that_cancel_are_said_to_where_their_digits_are_not_all_shown(op):
    note = "(the terms cancel almost completely: --precision 14 shows the digits that decide)"
    _, _, gradient = str(explain(op, grad=True)).partition("gradient of gradient")
    assert note in " ".join(gradient.split())
    assert note not in str(explain(op))
    assert note not in str(explain("linear", np.array([1.0, 2.0]), np.array([[2.0, -0.9999]]), grad=True))
    assert note not in str(explain("softmax", grad=True))


def marked(op, *args, **kwargs):
    """The grids of the first gradient by their titles: the places whose numbers stand in brackets."""
    first = next(block for block in explain(op, *args, grad=True, **kwargs).step.blocks if isinstance(block, Step))
    (grids,) = (block for block in first.blocks if isinstance(block, Grids))
    return {
        grid.title.partition("  ")[0]: {
            (i, j) for i, row in enumerate(grid.rows) for j, cell in enumerate(row) if cell.marked
        }
        for grid in grids.grids
    }


def test_a_gradient_shows_the_window_whose_maximum_takes_it():
    x = np.arange(25.0).reshape(5, 5)
    winner = marked("max_pool2d", x, kernel_size=2, cell=(3, 1))
    assert winner[barred("y")] == {(1, 0)}
    assert winner["x"] == {(2, 0), (2, 1), (3, 0), (3, 1)}
    loser = marked("max_pool2d", x, kernel_size=2, cell=(0, 0))
    assert (loser[barred("y")], loser["x"]) == (set(), {(0, 0), (0, 1), (1, 0), (1, 1)})


def test_a_gradient_shows_what_it_depends_on_and_nothing_else():
    assert marked("relu", np.array([-1.0, 0.0, 2.0]), cell=(0,))["x"] == {(0, 0)}
    assert marked("relu", -np.ones((200, 200)), cell=(3, 2))["x"] == {(1, 1)}  # of the part that is drawn
    loss = marked("cross_entropy", np.ones((2, 3)), np.array([2, 0]))
    assert (loss["x"], loss["t"]) == ({(0, 0), (0, 1), (0, 2)}, set())
    assert list(marked("linear", np.ones((2, 3)), np.ones((4, 3)), np.ones(4))) == [barred("y"), "w", barred("x")]


def test_arrays_of_one_shape_hold_different_numbers():
    """Whoever swaps key and value, or the two factors, must see it."""
    assert lines("matmul", shapes={"input": (2, 2), "other": (2, 2)})[4:6] == [
        "  [1][2]    [5] 6     [19] 22",
        "   3  4     [7] 8      43  50",
    ]


def test_arrays_of_a_program_whose_sizes_are_all_numbers_are_filled_in():
    def program(x: "2 3", w: "3"):  # noqa: F722
        return x @ w

    assert str(explain(program)).startswith("program   x 2×3 · w 3  →  y 2")


def test_numbers_between_0_and_1_have_few_decimals():
    assert "[0.7]  [0.8]" in str(explain("lstm_cell")).replace("[0.7][0.8]", "[0.7]  [0.8]")


def test_a_parameter_of_many_digits_is_rounded_in_the_title():
    assert "scale ≈ 0.7071" in lines("scaled_dot_product_attention")[0].replace("\u00a0", " ")
    assert "scale is about 0.7071" in " ".join(
        explain("scaled_dot_product_attention").render("text", plain=True).split()
    )
    assert "eps 1e-05" in lines("layer_norm")[0].replace("\u00a0", " ")


def test_a_row_of_several_dimensions_is_told_from_one_size():
    assert "normalized_shape 2×2" in lines("layer_norm", np.ones((2, 2)), (2, 2))[0]


def test_a_mask_is_shown_as_what_it_lets_through():
    text = str(explain("scaled_dot_product_attention", attn_mask=np.array([[True, False, True]] * 2)))
    assert "[1][0][1]" in text or "1  0  1" in text
    assert "exp(−∞" in text


@pytest.mark.parametrize(
    ("op", "given", "shape"),
    [
        ("layer_norm", {"input": [[1.0, 2.0, 3.0, 6.0]]}, (4,)),
        ("rms_norm", {"input": [1.0, 2.0]}, (2,)),
        ("layer_norm", {"weight": [[1.0, 2.0], [3.0, 4.0]]}, (2, 2)),
        ("layer_norm", {}, (3,)),
    ],
)
def test_the_shape_of_a_row_follows_from_what_is_given(op, given, shape):
    assert prepare(catalog.get(op), given).p.normalized_shape == shape


def test_the_gradients_of_a_first_example_are_more_than_a_residue_of_eps():
    for op in catalog.own():
        calculation = prepare(op, {})
        first = differentiable(calculation)[0]
        upstream = upstream_gradient(calculation, None)
        if sum(output.differentiable for output in op.outputs) > 1:
            upstream = {calculation.main_output: upstream}
        found = op.vjp(calculation.p, upstream, **calculation.case.arrays)[first]
        assert abs(found).max() > 1e-2, op.name


def test_a_gradient_of_which_nothing_is_left_says_so():
    x = np.array([[1.0, 2.0, 3.0]])

    def centred(x: "N D"):  # noqa: F722
        c = x - x.mean()
        return c / np.sqrt((c * c).mean() + 1e-5)

    assert "the upstream gradient 1, 2, 3, ... almost cancels" in str(explain(centred, x, grad=True))
    assert "almost cancels" not in str(explain(centred, x, grad=True, upstream=[[1.0, 5.0, 2.0]]))
    assert "almost cancels" not in str(explain("softmax", grad=True))


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_an_array_of_too_few_dimensions_is_refused_and_no_bug(op):
    for spec in op.inputs:
        for shape in ((), (2,), (0,), (1, 2, 1)):
            with contextlib.suppress(Refused):
                prepare(op, {spec.name: np.ones(shape, np.int64 if spec.whole else float)})
