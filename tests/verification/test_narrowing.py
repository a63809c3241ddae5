"""Fewer cases: fixed parameters, the shapes that a kernel was written for, and defaults of its own."""

import numpy as np
import pytest

import opcheck
from opcheck import specs
from opcheck.errors import Refused
from opcheck.verification import casefile
from opcheck.verification.narrowing import Narrowing
from opcheck.verification.streams import trial
from tests.app.support import run


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def unshifted(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


MATRICES = {"fixed": {"dim": -1}, "shapes": {"input": "N C"}}


@pytest.mark.parametrize(
    ("name", "fixed", "shapes"),
    [
        ("softmax", {"dim": -1}, {"input": "N C"}),
        ("softmax", {"dim": 1}, {"input": "N 32"}),
        ("linear", {}, {"input": "N 2*K", "weight": "N 2*K"}),
        ("conv1d", {"stride": 2}, {"input": "2 4 L", "weight": "O 4 3"}),
        ("cross_entropy", {"reduction": "sum"}, {"input": "N C", "target": "N"}),
    ],
)
def test_every_case_fits(name, fixed, shapes):
    from opcheck.operators.shapes import Letters, Sizes

    op = Narrowing(fixed, shapes).of(specs.get(name))
    declared = {each: Letters.parse(text) for each, text in shapes.items()}
    seen = set()
    for index in range(16):
        case = trial(op, "float32", 0, index).case
        given = {each: case.arrays[each].shape for each in shapes}
        Sizes.match(declared, given)
        assert 0 not in [n for shape in given.values() for n in shape]
        kinds = {each.name: each.kind for each in op.params}
        assert {each: case.params[each] for each in fixed} == {
            each: kinds[each].check(each, fixed[each]) for each in fixed
        }
        seen.add(tuple(given.values()))
    assert len(seen) > 4


def test_a_kernel_without_the_parameter_agrees_or_fails_in_these_cases():
    assert opcheck.verify("softmax", softmax, arrays="numpy", cases=40, **MATRICES).agrees
    report = opcheck.verify("softmax", unshifted, arrays="numpy", cases=40, **MATRICES)
    found = report.counterexample.trial
    assert found.case.arrays["input"].ndim == 2
    assert 0 not in found.case.arrays["input"].shape
    assert found.fixed == ("dim",)
    assert casefile.from_json(casefile.to_json(found)).fixed == ("dim",)


def test_worker_processes_have_the_same_cases():
    alone = opcheck.verify("softmax", "torch", cases=20, **MATRICES)
    apart = opcheck.verify("softmax", "torch", cases=20, jobs=1, **MATRICES)
    counts = [
        {key: (row.cases, row.elements) for key, row in report.rows.items() if key[2] != "layout"}
        for report in (alone, apart)
    ]
    assert counts[0] == counts[1]
    layout = [report.rows["softmax", "float32", "layout"].cases for report in (alone, apart)]
    assert layout[0] < layout[1]  # beside guarded memory, where a process may end


def test_a_saved_case_replays_without_the_parameter(tmp_path):
    kernel = tmp_path / "kernel.py"
    kernel.write_text("import numpy as np\ndef f(x):\n    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)\n")
    call = ("verify", "softmax", "--impl", f"{kernel}:f", "--fix", "dim=-1", "--shapes", 'input="N C"')
    ran = run(*call, "--cases", "40", "--in-process", "--save", str(tmp_path / "cases"))
    assert ran.code == 1
    saved = next((tmp_path / "cases").glob("*exact*.json"))
    assert run("replay", str(saved), "--impl", f"{kernel}:f").code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fixed": {"dim": 9}}, "no case of softmax fits. Got dim=9"),
        ({"shapes": {"input": "A B C D E F G H"}}, 'no case of softmax fits. Got input "A B C D E F G H"'),
        ({"fixed": {"axis": 1}}, "softmax has no parameter axis. its parameters are dim"),
        ({"shapes": {"x": "N"}}, "softmax has no array x. its arrays are input"),
        ({"shapes": {"input": "N (C"}}, "a shape is letters and numbers"),
    ],
)
def test_what_fits_nothing_is_refused(options, message):
    with pytest.raises(Refused) as refused:
        opcheck.verify("softmax", softmax, arrays="numpy", **options)
    assert message in str(refused.value)


def test_a_default_of_its_own_is_what_a_kernel_is_judged_by():
    def summed(input, target, reduction="sum"):
        each = (input - target) ** 2
        return each.sum() if reduction == "sum" else each.mean() if reduction == "mean" else each

    def wrong(input, target, reduction="sum"):
        return ((input - target) ** 2).mean()

    report = opcheck.verify("mse_loss", summed, arrays="numpy", cases=24)
    assert report.agrees, str(report)
    assert report.left_out["mse_loss", "torch's default of reduction"]
    assert not opcheck.verify("mse_loss", wrong, arrays="numpy", cases=24).agrees


def test_what_is_fixed_is_passed_where_the_signature_takes_it():
    calls = []

    def kernel(x, dim=5):
        calls.append(dim)
        return softmax(x)

    assert opcheck.verify("softmax", kernel, arrays="numpy", cases=8, **MATRICES).agrees
    assert set(calls) == {-1}


def test_a_word_without_a_value_is_refused():
    ran = run("verify", "softmax", "--fix", "dim")
    assert (ran.code, "--fix takes a name and its value: --fix NAME=VALUE" in ran.err) == (2, True)
