"""Problems and solutions as other people's benchmarks write them: JSON definitions, and ref_kernel with its data."""

import json

import numpy as np
import pytest

from opcheck import specs, verify
from opcheck.errors import Refused
from opcheck.operators.spec import Case

pytestmark = pytest.mark.torch
pytest.importorskip("torch")

DEFINITION = {
    "name": "gemm_n8",
    "axes": {"M": {"type": "var"}, "N": {"type": "const", "value": 8}, "K": {"type": "var"}},
    "inputs": {"A": {"shape": ["M", "K"], "dtype": "float16"}, "B": {"shape": ["N", "K"], "dtype": "float16"}},
    "outputs": {"C": {"shape": ["M", "N"], "dtype": "float16"}},
    "reference": "import torch\n\ndef run(A, B):\n    return torch.matmul(A, B.T)\n",
}


def test_an_edited_definition_is_the_new_one(tmp_path):
    path = tmp_path / "problem.json"
    for factor in (1, 2):
        code = DEFINITION["reference"].replace("A, B.T)", f"{factor} * A, B.T)")
        path.write_text(json.dumps({**DEFINITION, "reference": code}))
        op = specs.get(f"{path}:gemm_n8")
        arrays = {"A": np.ones((1, 1)), "B": np.ones((8, 1))}
        assert op.run(Case(op.name, arrays, {}))["output"][0, 0] == factor


def solution(path, content, **spec):
    path.write_text(
        json.dumps(
            {"name": "mine", "spec": {"entry_point": "main.py::run", **spec},
             "sources": [{"path": "main.py", "content": f"import torch\n\n{content}\n"}]}
        )
    )  # fmt: skip
    return str(path)


@pytest.fixture
def definition(tmp_path):
    path = tmp_path / "gemm.json"
    path.write_text(json.dumps(DEFINITION))
    return str(path)


def test_a_definition_in_json_is_a_spec(definition, tmp_path):
    op = specs.get(definition)
    assert (op.title, [each.letters for each in op.inputs]) == ("gemm_n8", ["M K", "8 K"])
    assert specs.get(op.name).title == "gemm_n8"  # a saved case says it by name
    written = solution(tmp_path / "a.json", "def run(A, B, C):\n    C.copy_(A @ B.T)", destination_passing_style=True)
    returned = solution(tmp_path / "b.json", "def run(A, B):\n    return A @ B.T")
    for each in (written, returned):
        report = verify(definition, each, cases=4)
        assert report.agrees and report.checked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": None}, r"lacks axes"),
        ({"inputs": {"A": {"shape": ["M"], "dtype": "int32"}}}, r"A holds whole numbers, and a definition does not"),
    ],
)
def test_a_definition_that_is_none_is_told(tmp_path, change, message):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({k: v for k, v in {**DEFINITION, **change}.items() if v is not None}))
    with pytest.raises(Refused, match=message):
        specs.get(str(path))


REFERENCE = """
import torch

def generate_input(size: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, size, generator=generator), {"scale": 2.0, "b": torch.randn(size, generator=generator)}

def ref_kernel(data):
    a, options = data
    return torch.relu(a) * options["scale"] + options["b"]
"""
SUBMISSION = """
import torch

def custom_kernel(data):
    a, options = data
    return a.relu() * options["scale"] + options["b"]

def in_fours(data):
    y = custom_kernel(data)
    return y if y.shape[-1] % 4 == 0 else y * 1.001
"""


def test_a_reference_of_generated_data_is_a_spec(tmp_path):
    (tmp_path / "reference.py").write_text(REFERENCE)
    (tmp_path / "task.yml").write_text('tests:\n  - {"size": 12, "seed": 1}\n  - {"size": 64, "seed": 2}\n')
    (tmp_path / "submission.py").write_text(SUBMISSION)
    op = specs.get(f"{tmp_path}/reference.py:ref_kernel")
    assert [each.letters for each in op.inputs] == ["12 12", "12"]
    assert verify(op, f"{tmp_path}/submission.py:custom_kernel", cases=8).agrees
    report = verify(op, f"{tmp_path}/submission.py:in_fours", cases=8)
    assert not report.agrees and all(each.trial.case.arrays["data0"].shape[-1] % 4 for each in report.failures)
