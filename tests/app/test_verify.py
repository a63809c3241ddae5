"""`opcheck verify` and `opcheck replay` as a user runs them: exit codes, messages, files."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import opcheck
from opcheck.app.failures import for_the_shell, whole
from opcheck.app.findings import legend

ROOT = Path(opcheck.__file__).parents[1]
KERNELS = """
import numpy as np

def relu(x):
    return np.where(x < 0, np.zeros_like(x), x)

def wrong(x):
    return np.abs(x)

def linear(x, weight, bias=None):
    return x @ weight.T

def broadcasts(x, weight, bias=None):
    return x @ weight.T if bias is None else x @ weight.T + bias

def steep(x):
    return relu(x)

steep.vjp = lambda g, x: {"input": np.where(x > 0, 2 * g, np.zeros_like(g))}
"""


@pytest.fixture
def run(tmp_path):
    """Runs opcheck in an empty folder that has kernels.py."""
    (tmp_path / "kernels.py").write_text(KERNELS)

    def opcheck_command(*words):
        command = [sys.executable, str(ROOT / "cli.py"), *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return opcheck_command


def test_a_right_kernel_is_exit_0(run):
    done = run("verify", "relu", "--impl", "kernels.py:relu", "--cases", "30", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert "all agree: 130 cases (100 directed, 29 of them wide; 30 random)" in done.stdout and "seed 7" in done.stdout
    assert "a numpy function without .vjp (relu)" in done.stdout


def again(done):
    """The words of the command that runs the failure again."""
    text = done.stdout.partition("reproduce: opcheck ")[2].replace("\\\n", " ")
    return shlex.split(text.partition("\n")[0])


def test_a_wrong_kernel_is_exit_1_named_saved_and_replayed(run, tmp_path):
    done = run("verify", "linear", "--impl", "kernels.py:linear", "--cases", "40", "--seed", "1")
    assert done.returncode == 1
    assert "looks like: bias_missing (The bias was not added.)" in done.stdout
    words = again(done)
    replayed = run(*words)
    assert replayed.returncode == 1 and "linear float32" in replayed.stdout
    snippet = run("replay", words[1], "--snippet")
    assert snippet.returncode == 0 and "torch.nn.functional.linear(" in snippet.stdout
    compile(snippet.stdout, "snippet", "exec")
    case = json.loads((tmp_path / words[1]).read_text())
    assert case["schema"] == "opcheck.case/1"


def test_a_wrong_gradient_is_worked_out(run):
    done = run("verify", "relu", "--impl", "kernels.py:steep", "--cases", "60", "--seed", "1", "--html", "page.html")
    assert done.returncode == 1
    assert "DIFFERS  relu float32 vjp:input" in done.stdout and "looks like: 2 times the right answer" in done.stdout
    assert "  gradient of input\n" in done.stdout and "x̄[" in done.stdout
    assert "only where" not in done.stdout  # every case fails


def test_what_should_have_been_refused_is_replayed_too(run):
    done = run("verify", "linear", "--impl", "kernels.py:broadcasts", "--cases", "300", "--seed", "1",
               "--claims", "refuses")  # fmt: skip
    assert done.returncode == 1 and "refuses: computed something, although bias must have" in done.stdout
    words = again(done)
    replayed = run(*words)
    assert replayed.returncode == 1 and "refuses: computed something, although bias must have" in replayed.stdout
    right = run(*words[:2])  # torch raises
    assert right.returncode == 0 and "all agree" in right.stdout
    snippet = run(*words, "--snippet").stdout
    assert snippet.endswith("print(y)  # should raise\n")


def test_reports_are_json_junit_and_a_page(run, tmp_path):
    done = run("verify", "relu", "--impl", "kernels.py:wrong", "--cases", "20", "--seed", "1", "--json",
               "--junit", "r.xml", "--html", "r.html")  # fmt: skip
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["schema"] == "opcheck.report/1" and not report["agrees"] and report["seed"] == 1
    suites = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert int(suites.get("failures")) == len(suites.findall(".//failure")) > 0
    page = (tmp_path / "r.html").read_text()
    assert "<title>relu: kernels.py:wrong: " in page and "checks differ</title>" in page
    assert "opcheck replay opcheck-cases/relu-float32-" in page and "--impl kernels.py:wrong" in page
    assert not [word for word in page.split() if "://" in word and "w3.org" not in word]  # no network
    assert balanced(page)


def balanced(page):
    """Whether every element that is opened is closed, in order."""
    from html.parser import HTMLParser

    class Tags(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open, self.ok = [], True

        def handle_starttag(self, tag, attributes):
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag):
            self.ok = self.ok and bool(self.open) and self.open.pop() == tag

    tags = Tags()
    tags.feed(page)
    return tags.ok and not tags.open


def test_junit_counts_crashes_as_errors(run, tmp_path):
    (tmp_path / "crash.py").write_text("import os\n\ndef relu(x):\n    os.abort()\n")
    done = run("verify", "relu", "--impl", "crash.py:relu", "--cases", "3", "--seed", "1", "--junit", "r.xml")
    assert done.returncode == 1 and "CRASHED  relu float32 answers" in done.stdout
    root = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert root.tag == "testsuites" and {each.tag for each in root} == {"testsuite"}
    suite = root[0]
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases) == int(root.get("tests"))
    assert int(suite.get("errors")) == len(suite.findall("testcase/error")) == 1
    assert all(case.get("classname") == "opcheck.relu.float32" and float(case.get("time")) >= 0 for case in cases)


def test_nothing_in_the_terminal_is_wider_than_80_columns(run):
    done = run("verify", "linear", "--impl", "kernels.py:linear", "--cases", "40", "--seed", "1", "--save", "x" * 25)
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    assert run(*again(done)).returncode == 1


def test_a_command_that_goes_on_in_the_next_line_is_one_command():
    path = Path("a folder", "x" * 60, "case.json")
    lines = for_the_shell(f"reproduce: opcheck replay {whole(path)} --impl kernels.py:linear", 80, "  ")
    text = "\n".join(lines).partition("reproduce: ")[2]
    printed = subprocess.run(["sh", "-c", f"printf '%s|' {text}"], capture_output=True, text=True, check=True).stdout
    assert printed == f"opcheck|replay|{path}|--impl|kernels.py:linear|"


def test_one_bug_is_opened_once_and_the_claims_that_follow_are_listed(run):
    done = run("verify", "linear", "--impl", "kernels.py:linear", "--cases", "60", "--seed", "1")
    assert done.stdout.count("reproduce: opcheck replay") == 1
    assert "  also rounding: output" in done.stdout


def test_a_run_in_which_nothing_is_checked_does_not_say_that_all_agree(run, tmp_path):
    (tmp_path / "nothing.py").write_text("def conv2d(*, other=None):\n    return other\n")
    done = run("verify", "conv2d", "--impl", "nothing.py:conv2d", "--cases", "5")
    assert done.returncode == 3 and "all agree" not in done.stdout and "nothing was checked" in done.stdout


def test_time_that_runs_out_before_a_random_case_is_told_and_is_no_agreement(run, tmp_path):
    (tmp_path / "slow.py").write_text("import time\n\ndef relu(x):\n    time.sleep(0.1)\n    return x.clip(0)\n")
    done = run("verify", "relu", "--impl", "slow.py:relu", "--seconds", "0.2", "--in-process")
    assert done.returncode == 3 and "all agree" not in done.stdout
    assert "time ran out; everything checked so far agrees: 1 case (1 directed, 0 of them wide; 0 random)" in " ".join(
        done.stdout.split()
    )
    assert "time ran out before the first random case of relu float32" in done.stderr


def test_what_differs_is_counted_in_cases(run):
    done = run("verify", "relu", "--impl", "kernels.py:wrong", "--cases", "5", "--seed", "1", "--in-process")
    line = r"(\d+) checks differ: a check is one claim on one case; (\d+) of (\d+) cases"
    kinds = r" \((\d+) directed, \d+ of them wide; (\d+) random\) fail"
    found = re.search(line + kinds, " ".join(done.stdout.split()))
    checks, failing, cases, directed, random = map(int, found.groups())
    assert failing <= cases == directed + random and failing <= checks


def test_cases_of_another_candidate_are_kept(run, tmp_path):
    """A name that does not say whose they are was overwritten by the next run of another kernel."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "kernels.py").write_text(KERNELS)
    for impl in ("kernels.py:wrong", "kernels.py:steep", "other/kernels.py:wrong", "kernels.py:wrong"):
        run("verify", "relu", "--impl", impl, "--cases", "3", "--seed", "1", "--in-process", "--claims", "exact,vjp")
    names = sorted(each.name for each in (tmp_path / "opcheck-cases").iterdir())
    whose = {re.match(r"relu-float32-.*-((?:wrong|steep)-[0-9a-f]{6})(?:-\d)?\.json", name)[1] for name in names}
    assert len(whose) == 3, names


def test_the_same_seed_finds_the_same(run):
    one, two = (run("verify", "relu", "--impl", "kernels.py:wrong", "--seed", "3", "--json") for _ in range(2))
    assert json.loads(one.stdout)["failures"] == json.loads(two.stdout)["failures"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["verify"], 2, "which operators?"),
        (["verify", "conv5d"], 2, "there is no operator 'conv5d'"),
        (["verify", "relu", "--impl", "nowhere.py:f"], 2, "there is no file nowhere.py"),
        (["verify", "relu", "--impl", "kernels.py:nothing"], 2, "kernels.py has no nothing"),
        (["verify", "relu", "--impl", "caffe"], 2, "--impl is a backend, FILE.py:NAME or module:NAME"),
        (["verify", "relu", "--dtype", "int8"], 2, "dtype must be one of float64, float32, float16, bfloat16"),
        (["verify", "relu", "--claims", "speed"], 2, "there is no claim 'speed'"),
        (["verify", "relu", "--cases", "0"], 2, "--cases"),
        (["verify", "relu", "--executor", "spark://x"], 2, "--executor is dask://HOST:PORT"),
        (["replay", "nowhere.json"], 2, "cannot read the case file"),
        (["replay", "--known", "nothing"], 2, "there is no known deviation nothing"),
    ],
)
def test_bad_use_is_one_message(run, words, code, message):
    done = run(*words)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr


def test_no_device_is_exit_3(run):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a device")
    done = run("verify", "--all", "--device", "cuda", "--json")
    assert done.returncode == 3 and "there is no CUDA device here" in done.stderr


def test_claims_are_listed(run):
    done = run("verify", "--list-claims")
    assert done.returncode == 0
    for name in ("exact:", "vjp", "layout", "pure", "repeat", "refuses", "second", "batch"):
        assert name in done.stdout


def test_a_module_is_audited(run, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Linear(torch.nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return torch.nn.functional.linear(x, self.weight)\n"
        "def right():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Flatten()), torch.ones(2, 4)\n"
        "def wrong():\n"
        "    return torch.nn.Sequential(torch.nn.Tanh(), Linear(4, 3), torch.nn.ReLU()), torch.randn(2, 4)\n"
    )
    right, wrong = run("verify", "--module", "net.py:right"), run("verify", "--module", "net.py:wrong")
    assert right.returncode == 0 and "2 leaves checked: 0 (linear), 1 (relu)" in right.stdout
    assert "not in the catalogue: 2 (Flatten)" in right.stdout
    assert wrong.returncode == 1 and "1 deviates: rounding" in wrong.stdout


def test_a_module_of_which_nothing_is_checked_is_exit_3(run, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "def attention():\n"
        "    x = torch.ones(2, 3, 8)\n"
        "    return torch.nn.MultiheadAttention(8, 2), x, x, x\n"
    )
    ran = run("verify", "--module", "net.py:attention")
    assert ran.returncode == 3 and "nothing was checked: no layer of MultiheadAttention" in ran.stderr
    assert "not in the catalogue: (itself) (MultiheadAttention)" in ran.stdout
    assert "parameters that no check covered: in_proj_weight, in_proj_bias, out_proj.weight" in ran.stdout


def test_what_stands_in_the_table_is_explained_below_it():
    asked = {"arrays": "numpy", "cases": 3, "claims": ("exact", "rounding"), "seed": 1}
    right = legend(opcheck.verify("mse_loss", lambda x, t: ((x - t) ** 2).mean(), fixed={"reduction": "mean"}, **asked))
    assert right[0].startswith("exact: inputs that round nothing, round: rounding, vjp: gradients, jvp: tangents")
    assert right[1].startswith(".41: the worst error is that part of its proven bound")
    assert right[1].endswith("–: nothing to check")
    wrong = legend(opcheck.verify("relu", lambda x: np.maximum(x, 1), **asked))
    assert wrong[1].startswith("✗ 3: so many checks differ")
