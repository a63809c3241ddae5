"""Specs that are wrong: one message each, and it says what to write. (What torch cannot capture: test_captured.py.)"""

import numpy as np
import pytest

import opcheck
from opcheck import specs
from opcheck.errors import Refused
from opcheck.learning import drawing
from opcheck.operators import catalog
from tests.specs import programs


def test_letters_that_contradict_each_other():
    with pytest.raises(Refused, match=r'y has the shape "N"|x has the shape "N N[+]1"'):
        opcheck.explain(programs.contradicting, np.ones((2, 4)), np.ones(2))


def test_an_annotation_that_is_no_shape():
    def wrong(x):
        return x

    wrong.__annotations__ = {"x": "N (In"}
    with pytest.raises(Refused, match=r'a shape is letters and numbers separated by spaces, such as "N In"'):
        specs.get(wrong)


def test_two_readings_that_differ(tmp_path):
    other = "\n    def element(self, p, at, *, input):\n        return input[at] / 3\n"
    (tmp_path / "mine.py").write_text(WHOLE.replace("\n    def sample", other + "\n    def sample"))
    half = f"{tmp_path}/mine.py:Half"
    with pytest.raises(Refused, match=r"Half gives different values over arrays.* is [\d.-]+ and [\d.-]+\..*fix"):
        opcheck.verify(half, lambda x: x / 3, arrays="numpy", cases=20, claims=["exact"])


def without_return(x):
    y = x * 2  # noqa: F841


def a_list(x):
    return [x, x]


def complex_numbers(x):
    return x * 1j


def a_word(x):
    return "y"


def in_place(x):
    x -= x.mean()
    return x


def random_mask(x):
    return x * (np.random.default_rng().random(x.shape) < 0.5)


@pytest.mark.parametrize(
    ("function", "letters", "told"),
    [
        (without_return, "N C", r"without_return returned nothing\. end it with return y"),
        (a_list, "N C", r"a_list must return arrays.* Got list\. .*several outputs are a tuple"),
        (complex_numbers, "N C", "must return arrays of real numbers. Got complex128"),
        (a_word, "N C", "must return arrays of real numbers. Got str"),
        (in_place, "N C", "an input is not changed: write x = x - y instead of x -= y"),
        (random_mask, "N 40", r'two results for the same arrays: it draws random numbers.* noise: "N D"'),
        (np.tanh, "N D-5", "the size D-5 is negative"),
    ],
)
def test_what_a_spec_returns_is_an_array(function, letters, told):
    """The commonest slip of all, a forgotten return, was an internal error."""

    def spec(x):
        return function(x)

    spec.__name__, spec.__annotations__ = function.__name__, {"x": letters}
    with pytest.raises(Refused, match=told):
        opcheck.explain(spec)


def test_an_operator_that_is_not_complete(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("from opcheck.operators.program import Program\n\nclass Half(Program):\n    name = 'half'\n")
    with pytest.raises(Refused, match=r"Half is not complete\. Got an operator without summary, formula.*program"):
        specs.get(f"{path}:Half")


WHOLE = """
from opcheck.operators.program import Program
from opcheck.operators.spec import Case, Input, Output

class Half(Program):
    name = "half"
    summary = "half of it"
    formula = "y = x/2"
    source = "none"
    example = ("half([2])", "array([1.])")
    arguments = (Input("input", "x", "*", "any shape"),)
    outputs = (Output("output", "y", "*"),)

    def program(self, p, *, input):
        return input / 2

    def sample(self, chooser):
        return Case(self.name, {"input": chooser.array(*chooser.choice(((3,), (2, 3))))}, {})

OPS = (Half(),)

def kernel(x):
    return x / 2
"""


def test_an_operator_of_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(WHOLE)
    assert specs.get(f"{path}:Half").title == "Half"
    assert opcheck.verify(f"{path}:Half", f"{path}:kernel", cases=16).agrees
    assert "y[0] = x[0]/2 = 2/2 = 1" in str(opcheck.explain(f"{path}:Half", [2.0]))


LETTERS = """
import numpy as np
from opcheck.operators.program import Program
from opcheck.operators.spec import Case, Input, Output

class Gate(Program):
    name, summary, formula, source = "gate", "a gate", "y = (x·gateᵀ)·(x·upᵀ)", "nobody"
    arguments = (Input("x", "x", "N In", "x"), Input("gate", "a", "H In", "a"), Input("up", "b", "H In", "b"))
    outputs = (Output("output", "y", "N H"),)

    def program(self, p, *, x, gate, up):
        if x.shape[0] == 7:
            raise ValueError("not seven")
        return (x @ gate.T) * (x @ up.T)

    def sample(self, chooser):
        n, h, i = (chooser.choice((2, 1, 3)) for _ in range(3))
        return Case(self.name, {"x": chooser.array(n, i), "gate": chooser.array(h, i), "up": chooser.array(h, i)}, {})

def kernel(x, gate, up):
    if gate.shape != up.shape:
        raise ValueError("gate and up differ")
    return (x @ gate.T) * (x @ up.T)
"""


def test_the_letters_of_an_operator_say_what_is_legal(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(LETTERS)
    op = specs.get(f"{path}:Gate")
    assert opcheck.verify(op, f"{path}:kernel", cases=40, seed=1).agrees
    assert str(opcheck.explain(op)).startswith("Gate   x 2×3 · a 4×3 · b 4×3  →  y 2×4")
    for shapes in ((2, 3), (1, 4), (4, 4)), ((2, 3), (1, 3), (4, 3)):
        with pytest.raises(Refused, match='has the shape "H In"'):  # not numpy's own words; no broadcasting
            op.case(*map(np.ones, shapes))
    with pytest.raises(Refused, match="Gate raised ValueError: not seven"):
        op.case(np.ones((7, 3)), np.ones((4, 3)), np.ones((4, 3)))


def test_an_operator_of_another_package(tmp_path, monkeypatch):
    import importlib.metadata

    from opcheck.operators import catalog

    (tmp_path / "half_ops.py").write_text(WHOLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = importlib.metadata.EntryPoint("half", "half_ops", "opcheck.operators")
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [entry] if group == "opcheck.operators" else []
    )
    caches = (catalog.elsewhere, catalog.every, catalog.get)
    try:
        for cache in caches:
            cache.cache_clear()
        assert catalog.get("half").summary == "half of it"
        assert "half" in [op.name for op in catalog.every()]
        broken = importlib.metadata.EntryPoint("gone", "no_such_module", "opcheck.operators")
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken])
        for cache in caches:
            cache.cache_clear()
        assert catalog.get("softmax").name == "softmax"
        with pytest.raises(Refused, match=r"the operators of no_such_module cannot be loaded.*entry point gone"):
            catalog.get("nothing")
    finally:
        monkeypatch.undo()
        for cache in caches:
            cache.cache_clear()


def test_a_function_of_numpy_without_a_rule_is_bad_input_and_no_bug():
    def middle(x):
        return np.median(x, axis=1)

    middle.__annotations__ = {"x": "N D"}
    with pytest.raises(Refused, match=r"np\.median is not recorded; there are np\.abs"):
        opcheck.verify(middle, lambda x: np.median(x, axis=1), arrays="numpy", cases=5)


def test_a_word_as_a_default_is_asked_for_its_choices():
    def pooled(x, mode="mean"):
        return x.mean(axis=1)

    pooled.__annotations__ = {"x": "N D"}
    with pytest.raises(
        Refused, match=r'mode of pooled does not say which words are allowed.*Literal\["mean", "\.\.\."\] ='
    ):
        specs.get(pooled)


def test_an_operator_without_small_calls_cannot_be_practised():
    op = catalog.get("relu")
    with pytest.raises(Refused, match=r"relu has no call small enough to work out by hand"):
        drawing.drawn(op, 0, np.random.default_rng(0))
