"""Candidates that write into memory that they are given: functions with outputs among their arguments, C, commands."""

import shutil
import sys

import numpy as np
import pytest

import opcheck
from opcheck import backends, specs
from opcheck.backends import destination
from opcheck.errors import Refused
from opcheck.operators import catalog
from opcheck.verification.run import Shard, run_shard


def matmul(a, b):
    return a @ b


def add(a, b):
    return a + b


matmul.__annotations__ = {"a": "M N", "b": "N K"}
add.__annotations__ = {"a": "N", "b": "N"}


SOURCE = """
void solve(const float* A, const float* B, float* C, int M, int N, int K) {
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++) {
            float s = 0;
            for (int j = 0; j < N; j++) s += A[i * N + j] * B[j * K + k];
            C[i * K + k] = s;
        }
}
void overrun(const float* A, const float* B, float* C, int M, int N, int K) {
    solve(A, B, C, M, N, K);
    C[M * K] = 1;
}
void relu(const float* x, float* y, int n) {
    for (int i = 0; i < n; i++) y[i] = x[i] < 0 ? 0 : x[i];
}
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("c") / "solve.c"
    path.write_text(SOURCE)
    return path


def test_a_function_in_c_is_given_pointers_and_sizes(source):
    report = opcheck.verify(matmul, f"{source}:solve", cases=60, seed=None)
    assert report.agrees and report.checked, f"{report} (seed {report.seed})"


def test_a_function_in_c_of_an_operator_is_given_the_number_of_elements(source):
    report = opcheck.verify("relu", f"{source}:relu", cases=60, seed=None)
    assert report.agrees and report.checked, f"{report} (seed {report.seed})"


def test_what_is_written_behind_an_output_is_found(source):
    report = opcheck.verify(matmul, f"{source}:overrun", cases=8)
    assert report.counterexample.message == "it writes past the end of its output's memory"


def test_what_is_not_there_is_told(source, tmp_path):
    with pytest.raises(Refused, match=r'solve\.c has no matmul.*extern "C"'):
        opcheck.verify(matmul, f"{source}:matmul")
    (tmp_path / "bad.c").write_text("void f( {")
    with pytest.raises(Refused, match=r"bad\.c cannot be compiled"):
        opcheck.verify(matmul, f"{tmp_path}/bad.c:f")
    with pytest.raises(Refused, match=r"there is no file absent\.so"):
        opcheck.verify(matmul, "absent.so:f")


def solve(a, b, c, m, n, k):
    assert (a.shape, b.shape, c.shape) == ((m, n), (n, k), (m, k))
    c[...] = a @ b


def by_keyword(a, b, *, out):
    return np.matmul(a, b, out=out)


def passing(a, b, output):
    output[...] = a @ b


@pytest.mark.parametrize("candidate", [solve, by_keyword, passing])
def test_a_function_may_write_into_what_it_is_given(candidate):
    report = opcheck.verify(matmul, candidate, cases=40, seed=None)
    assert report.agrees and report.checked, f"{report} (seed {report.seed})"


def test_what_is_not_written_is_found():
    def first(a, b, out):
        out[1:] = (a + b)[1:]

    report = opcheck.verify(add, first, cases=8)
    assert np.isnan(report.counterexample.got)


def test_an_argument_of_another_name_is_no_output():
    assert not destination.writes(catalog.get("linear"), lambda x, w, b: x @ w.T + b)
    assert destination.writes(catalog.get("linear"), lambda x, w, out: None)


PROGRAM = "import sys, numpy as np\na, b = map(np.load, sys.argv[1:3])\nnp.save(sys.argv[3], a @ b)\n"


def test_a_command_reads_and_writes_files(tmp_path):
    (tmp_path / "kernel.py").write_text(PROGRAM)
    command = f"sh:{sys.executable} {tmp_path}/kernel.py {{a}} {{b}}"
    op = specs.get(matmul)  # of the random cases alone: each call starts Python and imports numpy
    report = run_shard(
        op, Shard(op.name, "float32", 3, 0, 12), backends.load(f"{command} {{output}}"), wanted=["exact"]
    )
    assert report.agrees and report.rows[op.name, "float32", "exact"].cases > 2
    with pytest.raises(Refused, match=r"has no place for output.*sh:./kernel {a} {b} {output}"):
        opcheck.verify(matmul, command)
    report = opcheck.verify(matmul, "sh:echo no kernel; false {a} {b} {output}", cases=1, claims=["exact"])
    assert report.counterexample.message == "the command ended with 1: no kernel"
    report = opcheck.verify(matmul, "sh:true {a} {b} {output}", cases=1, claims=["exact"])
    assert report.counterexample.message == "the command wrote no output"
