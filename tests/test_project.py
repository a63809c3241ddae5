"""The project as a whole: its pins, its light import, its import rules, the size of its files, and its README."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import snippets

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONSTRAINTS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
PINS = dict(line.split("==") for line in CONSTRAINTS)


# --- constraints.txt ---


def declared() -> list[Requirement]:
    """All that pyproject.toml asks for: to build, to run, and in every extra."""
    project = PROJECT["project"]
    groups = [PROJECT["build-system"]["requires"], project["dependencies"], *project["optional-dependencies"].values()]
    return [requirement for group in groups for requirement in map(Requirement, group) if requirement.name != "opcheck"]


def brought_in() -> dict[str, str]:
    """Package -> the package that asks for it, over all that the declared ones bring in where they are installed."""
    asked_by: dict[str, str] = {}
    waiting = [(requirement.name, frozenset(requirement.extras)) for requirement in declared()]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needs = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:  # an extra that is not installed here; its own pin is checked all the same
            continue
        for need in needs:
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                asked_by.setdefault(canonicalize_name(need.name), name)
                waiting.append((need.name, frozenset(need.extras)))
    return asked_by


def test_every_constraint_is_one_exact_version_under_its_normalized_name():
    for line in CONSTRAINTS:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9]+(\.[0-9]+)*", line), line
    assert len(PINS) == len(CONSTRAINTS), "a package is pinned twice"
    assert list(PINS) == sorted(PINS), "keep constraints.txt sorted by name"


@pytest.mark.parametrize("requirement", sorted(set(declared()), key=str), ids=str)
def test_what_the_project_asks_for_is_pinned_to_a_version_that_it_allows(requirement):
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_what_the_dependencies_bring_in_is_pinned_too():
    # CUDA builds of torch bring parts that torch pins itself and that no CPU machine can test.
    parts_of_torch = re.compile(r"nvidia-|cuda-|triton")
    loose = {name: by for name, by in brought_in().items() if name not in PINS and not parts_of_torch.match(name)}
    assert not loose, f"add to constraints.txt: {loose}"


def test_pre_commit_uses_the_pinned_versions():
    found = re.findall(r"([\w-]+)==([\w.]+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert {"ruff", "mypy"} <= dict(found).keys()
    assert [(name, version) for name, version in found if PINS[name] != version] == []


# --- what `import opcheck` and a plain explanation load ---

HEAVY = {"hypothesis", "jax", "mpmath", "onnx", "onnxruntime", "pytest", "scipy", "sympy", "torch"}


def heavy_imports(*arguments: str) -> set[str]:
    """The heavy packages that `python ARGUMENTS` imports, by Python's own account of it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, re.sub(r"^import time:.*\n", "", done.stderr, flags=re.MULTILINE)
    names = re.findall(r"^import time: +\d+ \| +\d+ \| *([\w.]+)$", done.stderr, re.MULTILINE)
    assert "site" in names, "the table of imports was not understood"
    return {name.partition(".")[0] for name in names} & HEAVY


def test_import_opcheck_is_light():
    assert heavy_imports("-c", "import opcheck") == set()


@pytest.mark.parametrize("operator", ["linear", "conv2d", "max_pool2d", "relu", "mse_loss"])
def test_explaining_a_rational_operator_is_light(operator):
    assert heavy_imports("cli.py", "explain", operator) == set()


@pytest.mark.parametrize("words", ["--grad", "--cell 0,0 --exact", "--dtype float16", "--got 44 --cell 0,0",
                                   "--format html", "--format html --grad", "--format json",
                                   "--format latex"])  # fmt: skip
def test_every_way_to_explain_a_rational_operator_is_light(words):
    assert heavy_imports("cli.py", "explain", "conv2d", *words.split()) == set()


@pytest.mark.parametrize("words", ["learn --list", "ops", "ops conv2d", "practice", "--help"])
def test_what_only_lists_is_light(words):
    assert heavy_imports("cli.py", *words.split()) == set()


@pytest.mark.parametrize("operator", ["softmax", "cross_entropy", "adam"])
def test_explaining_an_operator_with_exp_log_or_a_root_needs_mpmath_at_most(operator):
    assert heavy_imports("cli.py", "explain", operator) <= {"mpmath"}


def test_a_heavy_import_would_be_seen():
    assert heavy_imports("-c", "import sympy") == {"mpmath", "sympy"}
    assert heavy_imports("-c", "def late(): import mpmath.libmp\nlate()") == {"mpmath"}


# --- who may import whom ---


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, encoding="utf-8", check=False
    )


def test_the_import_rules_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tracing/bad.py", "import opcheck.spec"),
        ("tracing/bad.py", "import numpy"),
        ("ops/bad.py", "import opcheck.catalog"),
        ("render/bad.py", "import opcheck.ops"),
        ("sandbox/inside/bad.py", "import opcheck.language"),
        ("ops/bad.py", "import opcheck.ops.linear"),
    ],
)
def test_a_broken_import_rule_would_be_seen(tmp_path, file, line):
    shutil.copytree(ROOT / "opcheck", tmp_path / "opcheck", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "opcheck" / file).write_text(line + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"[1-9] broken", done.stdout), done.stdout


# --- files ---

LONGEST = 300
MAY_BE_LONGER: dict[str, int] = {}  # file -> its limit, with the reason in a comment


def too_long(package: Path) -> dict[str, int]:
    lengths = {
        path.relative_to(package.parent).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in package.rglob("*.py")
    }
    assert lengths, f"no Python files in {package}"
    return {name: length for name, length in lengths.items() if length > MAY_BE_LONGER.get(name, LONGEST)}


def test_files_can_be_read_in_one_sitting():
    assert too_long(ROOT / "opcheck") == {}


def test_a_file_that_is_too_long_would_be_seen(tmp_path):
    (tmp_path / "right.py").write_text("pass\n" * LONGEST)
    (tmp_path / "long.py").write_text("pass\n" * (LONGEST + 1))
    assert too_long(tmp_path) == {f"{tmp_path.name}/long.py": LONGEST + 1}


# Put together here, so that this file does not name them either.
LOCAL_PATH = re.compile(r"(?<![\w.-])/(" + "|".join(("work/", "tmp/venv", "root/")) + ")")


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs git and a git checkout")
def test_no_file_names_a_path_of_one_machine():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    texts = {path: path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()}
    assert ROOT / "pyproject.toml" in texts
    assert {str(path): found[0] for path, text in texts.items() if (found := LOCAL_PATH.search(text))} == {}


# --- README ---

README = ROOT / "README.md"


def test_the_readme_runs_and_prints_what_it_shows(tmp_path):
    assert any(block.language == "console" and block.runs for block in snippets.blocks(README.read_text()))
    snippets.check(README, tmp_path)


def test_ci_sets_up_with_the_commands_of_the_readme():
    set_up = [block.text for block in snippets.blocks(README.read_text()) if block.text.startswith("python3 -m venv")]
    assert len(set_up) == 2
    script = (ROOT / ".ci" / "run").read_text().replace('"$venv/bin/', ".venv/bin/").replace('"$venv"', ".venv")
    script = re.sub(r'(\.venv/bin/\w+)"', r"\1", script)
    lines = [line.strip() for line in script.splitlines()]
    for command in " && ".join(set_up).replace("\n", "").split(" && "):
        assert command in lines, f".ci/run lacks the README's `{command}`"
