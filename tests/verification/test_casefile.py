"""Case files give back every bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from opcheck.operators.spec import Case, Refused
from opcheck.verification import casefile
from opcheck.verification.casefile import Trial

FLOATS = arrays.arrays(np.float64, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
WHOLE = arrays.arrays(np.int64, arrays.array_shapes(max_dims=2, max_side=3))
PARAMS = st.dictionaries(
    st.sampled_from(["stride", "padding", "eps"]),
    st.one_of(
        st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.text(max_size=3),
        st.tuples(st.integers(), st.integers()),
    ),
)  # fmt: skip


def bits(array):
    """The bytes, but for the payload of NaN, which no operator keeps."""
    return np.where(np.isnan(array), np.nan, array).tobytes() if array.dtype.kind == "f" else array.tobytes()


@given(FLOATS, WHOLE, FLOATS, PARAMS)
def test_round_trip_is_bit_exact(x, t, g, params):
    trial = Trial(Case("conv2d", {"input": x, "target": t}, params), "bfloat16", "special", "strided", {"output": g})
    again = casefile.from_json(json.loads(json.dumps(casefile.to_json(trial))))
    for name, array in trial.case.arrays.items():
        other = again.case.arrays[name]
        assert (other.shape, other.dtype, bits(other)) == (array.shape, array.dtype, bits(array))
    assert bits(again.cotangent["output"]) == bits(g)
    assert again.case.params == params and {k: type(v) for k, v in again.case.params.items()} == {
        k: type(v) for k, v in params.items()
    }
    assert (again.dtype, again.policy, again.layout) == ("bfloat16", "special", "strided")


def test_the_call_before_is_saved_with_it():
    before = Case("relu", {"input": np.array([[np.nan, 0.1]])}, {})
    trial = Trial(Case("relu", {"input": np.zeros(2)}, {}), before=before)
    again = casefile.from_json(json.loads(json.dumps(casefile.to_json(trial)))).before
    assert again is not None and np.array_equal(again.arrays["input"], before.arrays["input"], equal_nan=True)
    assert casefile.from_json(casefile.to_json(trial.replace(before=None))).before is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "a case file is a JSON object"),
        ("{", "a case file is JSON"),
    ],
)
def test_what_is_no_case_file_is_refused(tmp_path, text, message):
    path = tmp_path / "case.json"
    path.write_text(text)
    with pytest.raises(Refused, match=message):
        casefile.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Refused, match=r"cannot read the case file. Got .*nowhere.json: No such file"):
        casefile.load(tmp_path / "nowhere.json")


def test_another_schema_and_damage_are_refused():
    with pytest.raises(Refused, match=r"a case file is JSON with schema opcheck\.case/1"):
        casefile.from_json({"schema": "opcheck.report/1"})
    trial = casefile.to_json(Trial(Case("relu", {"input": np.zeros(2)}, {})))
    trial["arrays"]["input"]["data"] = ["0x1p0"]
    with pytest.raises(Refused, match="this case file is damaged"):
        casefile.from_json(trial)
