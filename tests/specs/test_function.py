"""A Python function over annotated arrays: its arguments, cases, readings and refusals."""

import numpy as np
import pytest

import opcheck
from opcheck import backends, specs
from opcheck.errors import Refused
from opcheck.explanation.document import prepare
from opcheck.operators.choosers import ExactValues, RandomChooser
from opcheck.specs.function import Function
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import correctness
from tests.specs import programs


def test_arguments_follow_from_the_signature():
    op = specs.get(programs.gated)
    assert [(each.name, each.optional) for each in op.inputs] == [("x", False), ("w", False), ("b", True)]
    assert [(each.name, each.default) for each in op.params] == [("kind", "tanh"), ("double", False)]
    assert str(op.signature) == "(x, w, b=None, kind='tanh', double=False)"
    assert op.summary == "a program"
    assert specs.get(programs.residual_norm).summary == "Layer normalisation with a residual connection"


@pytest.mark.parametrize("function", [programs.residual_norm, programs.gated, programs.moments, programs.scored])
def test_cases_have_the_shapes_that_are_declared(function):
    op = Function(function)
    for seed in range(30):
        case = op.sample(RandomChooser(seed, ExactValues))
        p, shapes = op.checked(case)
        found = op.run(case)
        assert {name: y.shape for name, y in found.items()} == shapes
        direct = function(**{**{each.name: None for each in op.inputs}, **case.arrays}, **p)
        direct = direct if isinstance(direct, dict) else {"output": direct}
        assert all(np.array_equal(found[name], direct[name]) for name in direct)


def test_every_choice_is_drawn():
    op = Function(programs.gated)
    cases = [op.sample(RandomChooser(seed)) for seed in range(60)]
    assert {(case.params["kind"], case.params["double"], "b" in case.arrays) for case in cases} == {
        (kind, double, bias) for kind in ("tanh", "relu") for double in (False, True) for bias in (False, True)
    }


@pytest.mark.parametrize("function", [programs.residual_norm, programs.gated, programs.moments, programs.scored])
def test_elements_gradients_and_tangents_agree(function):
    from opcheck.verification.truth.definition import Definition

    op = Function(function)
    for seed in range(8):
        case = op.sample(RandomChooser(seed))
        p, shapes = op.checked(case)
        by_element = Definition(op, case).outputs()
        value = op.run(case)
        rng = np.random.default_rng(seed)
        g = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        gradients = op.vjp(p, g if len(g) > 1 else g["output"], **case.arrays)
        steps = {name: rng.normal(size=x.shape) for name, x in case.arrays.items() if name in gradients}
        moved = op.by_name(op.jvp(p, steps, **case.arrays), shapes)
        by_definition = Definition(op, case).gradients(g)
        for name in shapes:
            assert np.allclose(by_element[name], value[name], rtol=1e-12, atol=1e-12)
        for name in gradients:
            assert np.allclose(by_definition[name], gradients[name], rtol=1e-10, atol=1e-10)
        left = sum(float((g[name] * moved[name]).sum()) for name in g)
        right = sum(float((gradients[name] * steps[name]).sum()) for name in steps)
        assert left == pytest.approx(right, rel=1e-10, abs=1e-10)


def test_a_program_is_worked_out_with_its_own_names():
    text = str(opcheck.explain(programs.residual_norm, [[1.0, 2.0, 3.0]], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]))
    assert "mean[0,0] = (x[0,0] + x[0,1] + x[0,2])/3" in text
    assert "d[0,0] = x[0,0] − mean[0,0] = 1 − 2 = −1" in text
    assert text.startswith("residual_norm   x 1×3")


def test_right_and_wrong_kernels_are_told_apart():
    def right(x, weight, bias, eps=1e-5):
        centred = x - x.mean(-1, keepdims=True)
        var = np.square(centred).mean(-1, keepdims=True)
        return (x + centred / np.sqrt(var + np.float32(eps)) * weight + bias).astype(x.dtype)

    def outside(x, weight, bias, eps=1e-5):
        return (x + (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + eps) * weight + bias).astype(x.dtype)

    assert opcheck.verify(programs.residual_norm, right, cases=60).agrees
    report = opcheck.verify(programs.residual_norm, outside, cases=60)
    assert not report.agrees
    assert report.counterexample.trial.case.arrays["x"].size <= 8


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (programs.unannotated, "x of unannotated says neither a shape nor a default.*an array is annotated, x:"),
        (programs.branches, "Python asked for the values of a traced array"),
        (lambda: 1.0, "has no array: annotate its arrays with their shapes"),
        (lambda *xs: xs[0], r"must name its arrays: \*xs has no shape"),
    ],
)
def test_a_bad_spec_is_told_what_to_write(function, message):
    with pytest.raises((Refused, TypeError), match=message):
        opcheck.explain(function, shapes={"x": (3,)} if function is programs.branches else None)


def test_a_shape_that_the_function_refuses_says_so():
    with pytest.raises(Refused, match=r"even raised ValueError: D must be even.*cases\(chooser\)"):
        opcheck.explain(programs.even, np.ones((2, 3)))


def test_classes_must_be_below_their_letter():
    with pytest.raises(Refused, match="target must hold whole numbers from 0 to 2"):
        opcheck.explain(programs.scored, np.ones((2, 3)), np.array([0, 3]))


def test_arrays_may_have_any_name():
    """An array p, of probabilities, was the parameters."""

    def named(p, cotangent, tangents, op, f, at):
        return (p * cotangent * tangents + op * f * at).sum(axis=1)

    named.__annotations__ = dict.fromkeys(("p", "cotangent", "tangents", "op", "f", "at"), "N C")
    assert "p[0,0]" in str(opcheck.explain(named, *[np.ones((1, 2))] * 6))

    def kernel(*arrays):
        return named(*arrays)

    claims = ["values", "vjp", "jvp", "second", "stable"]
    assert opcheck.verify(named, kernel, arrays="torch", cases=6, claims=claims).agrees


def test_files_are_found_by_place(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import numpy as np\n\ndef twice(x: 'N'):\n    return x * 2\n")
    op = specs.get(f"{path}:twice")
    assert (op.title, specs.title(op.name)) == ("twice", "twice")
    assert specs.get(op.name) is op
    with pytest.raises(Refused, match=r"has no thrice"):
        specs.get(f"{path}:thrice")


def test_a_function_named_as_an_operator_does_not_take_its_place():
    """`matmul` stays the catalogue's after somebody's function of that name was verified in the same process."""

    def matmul(a: "N K", b: "K M"):
        return a @ b + 1

    def attention(x: "N"):  # noqa: F821  # an alias
        return x

    for own, name in ((matmul, "matmul"), (attention, "scaled_dot_product_attention")):
        found = specs.get(own)
        assert found.title == own.__name__ and specs.get(found.name) is found
        assert specs.get(own.__name__).name == name
        assert opcheck.verify(own, own, arrays="numpy", cases=2, claims=("exact",)).agrees


def test_two_functions_of_one_name_are_each_verified_as_themselves():
    def make(k):
        def scaled(x: "N"):  # noqa: F821
            return x * k

        return scaled

    two, three = make(2.0), make(3.0)
    first = specs.get(two)
    assert specs.get(three) is not first
    assert opcheck.verify(two, lambda x: x * 2, arrays="numpy", cases=4, claims=("exact",)).agrees
    assert not opcheck.verify(three, lambda x: x * 2, arrays="numpy", cases=4, claims=("exact",)).agrees


def test_an_edited_spec_is_the_new_one(tmp_path):
    """Also within one process, as in a notebook: a wrong kernel passed by the old one."""
    path, x = tmp_path / "edited.py", np.array([1.0, 2.0], np.float32)
    path.write_text('def double(x: "N"):\n    return 2 * x\n')
    assert opcheck.check(2 * x, f"{path}:double", x) == ""
    path.write_text('def double(x: "N"):\n    y = 3 * x\n    return y\n')
    assert "should be 6" in opcheck.check(2 * x, f"{path}:double", x)
    path.unlink()
    assert opcheck.check(3 * x, f"{path}:double", x) == ""


def masked(scores, v):
    p = np.exp(np.where(np.tri(*scores.shape, dtype=bool), scores, -np.inf))
    return p / p.sum(axis=1, keepdims=True) @ v


masked.__annotations__ = {"scores": "N K", "v": "K D"}


def test_who_skips_what_is_masked_is_right_though_an_infinity_stands_there():
    def skipping(scores, v):
        rows = [np.exp(row[: k + 1]) for k, row in enumerate(scores)]
        return np.stack([(e / e.sum()) @ v[: len(e)] for e in rows]).astype(v.dtype)

    scores, v = np.zeros((2, 2)), np.array([[1.0, 2.0], [np.inf, 3.0]])
    op = specs.get(masked)
    check = Check(op, Trial(op.case(scores, v), "float32", "special"), backends.load(skipping, arrays="numpy"))
    assert not [each for each in correctness.numbers(check) if each.verdict]


def test_an_output_is_called_y_unless_the_program_has_another_y():
    def ends_in_y(x: "N 2"):
        y = x * x
        return y  # noqa: RET504

    def loss(x: "N 2"):
        y = x * x
        return y.sum()

    def added(x: "N 2", y: "N 2"):
        return x + y

    def plain(x: "N 2"):
        return x * x

    found = [Function(each).outputs[0].symbol for each in (ends_in_y, loss, added, plain)]
    assert found == ["y", "L", "z", "y"]
    assert "step 1" not in str(opcheck.explain(loss, np.array([[1.0, 2.0]])))
    assert "L = y[0,0] + y[0,1]" in str(opcheck.explain(loss, np.array([[1.0, 2.0]])))


def test_the_text_of_a_program_stands_on_its_page():
    def squares(x: "N 2"):
        return x * x  # each by itself

    op = Function(squares)
    assert op.listing == 'def squares(x: "N 2"):\n    return x * x  # each by itself'
    page = opcheck.explain(op, np.array([[1.0, 2.0]])).render("html")
    assert "return x * x  # each by itself</pre>" in page


def test_default_sizes_are_such_that_it_takes():
    def windows(x: "H W", w: "K K"):
        n = x.shape[0] - w.shape[0] + 1
        return np.stack([(x[i : i + len(w), : len(w)] * w).sum() for i in range(n)])

    shapes = prepare(specs.get(windows), {}, {}, None).case.arrays
    assert (shapes["x"].shape, shapes["w"].shape) == ((5, 4), (2, 2))
