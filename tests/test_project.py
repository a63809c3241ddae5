"""The project as a whole: its pins, its light import, its import rules, the size of its files, and its README."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

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


def installed(name: str) -> str:
    """The version that is here; "" for none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


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
    if any(installed(each.name) not in ("", PINS[canonicalize_name(each.name)]) for each in declared()):
        pytest.skip("other versions are installed than those of constraints.txt, which may bring other packages")
    # CUDA builds of torch bring parts that torch pins itself and that no CPU machine can test.
    parts_of_torch = re.compile(r"nvidia-|cuda-|triton")
    loose = {name: by for name, by in brought_in().items() if name not in PINS and not parts_of_torch.match(name)}
    assert not loose, f"add to constraints.txt: {loose}"


def test_the_oldest_versions_are_the_floors_of_what_runs_without_torch():
    """constraints-oldest.txt is what `.ci/release oldest` tests: each floor of the core and of the testing tools."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *extras["testing"], *extras["data"], *extras["web"], *extras["test"]]
    floors = {
        canonicalize_name(each.name): str(each.specifier).removeprefix(">=")
        for each in map(Requirement, wanted) if each.name != "opcheck"
    }  # fmt: skip
    lines = [line for line in (ROOT / "constraints-oldest.txt").read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert {name: Version(pin) for name, pin in pins.items()} == {name: Version(at) for name, at in floors.items()}
    assert list(pins) == sorted(pins)


def test_pre_commit_uses_the_pinned_versions():
    found = re.findall(r"([\w-]+)==([\w.]+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert {"ruff", "mypy"} <= dict(found).keys()
    assert [(name, version) for name, version in found if PINS[name] != version] == []


# --- what `import opcheck` and a plain explanation load ---

HEAVY = {"hypothesis", "jax", "mpmath", "onnx", "onnxruntime", "pytest", "scipy", "sympy", "torch"}


def imports(*arguments: str) -> set[str]:
    """The modules that `python ARGUMENTS` imports, by Python's own account of it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, re.sub(r"^import time:.*\n", "", done.stderr, flags=re.MULTILINE)
    names = re.findall(r"^import time: +\d+ \| +\d+ \| *([\w.]+)$", done.stderr, re.MULTILINE)
    assert "site" in names, "the table of imports was not understood"
    return set(names)


def heavy_imports(*arguments: str) -> set[str]:
    """The heavy packages among them."""
    return {name.partition(".")[0] for name in imports(*arguments)} & HEAVY


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


# What a worked calculation does without, each a hundredth or more of the time that a user waits for it; numpy and click
# may import some of them. (tests/benchmarks/startup.py has the time.)
SLOW = {
    "bz2", "dataclasses", "jinja2", "json", "lzma", "pygments", "rich", "shutil", "opcheck.explanation.gradient",
    "opcheck.explanation.motion", "opcheck.explanation.observed", "opcheck.grading", "opcheck.learning.lesson",
    "opcheck.render.html", "opcheck.render.json", "opcheck.render.tex", "opcheck.verification",
}  # fmt: skip


def test_a_worked_calculation_imports_nothing_that_it_does_not_need():
    needed = imports("-c", "import numpy, click")
    assert imports("cli.py", "explain", "conv2d", "--input", "4x4") & SLOW <= needed
    assert imports("cli.py", "explain", "linear", "--grad") & SLOW <= needed | {"opcheck.explanation.gradient"}


def test_help_imports_no_numpy_and_no_operator():
    found = imports("cli.py", "--help")
    assert "click" in found and not {"numpy", "opcheck.operators.spec", "opcheck.operators.catalog"} & found


def test_a_command_ends_without_a_last_search_for_garbage():
    script = "import atexit, gc, opcheck.app; atexit.register(lambda: print(gc.get_freeze_count())); opcheck.app.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout.split()[-1]) > 10_000


def test_a_heavy_import_would_be_seen():
    assert heavy_imports("-c", "import sympy") == {"mpmath", "sympy"}
    assert heavy_imports("-c", "def late(): import mpmath.libmp\nlate()") == {"mpmath"}


# --- who may import whom ---


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("importlinter")  # a tool for working on opcheck, which its tests run without
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
        ("tracing/bad.py", "import opcheck.operators.spec"),
        ("tracing/bad.py", "import numpy"),
        ("operators/spec.py", "import opcheck.operators.catalog"),
        ("render/bad.py", "import opcheck.operators"),
        ("sandbox/inside/bad.py", "import opcheck.language"),
    ],
)
def test_a_broken_import_rule_would_be_seen(tmp_path, file, line):
    shutil.copytree(ROOT / "opcheck", tmp_path / "opcheck", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "opcheck" / file).open("a") as module:
        module.write(line + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"[1-9] broken", done.stdout), done.stdout


ABOVE = {"opcheck.operators.catalog", "opcheck.operators.recorded"}


def operators_imported_by_operators(package: Path) -> set[tuple[str, str]]:
    """Pairs: a module of operators (it has `OPS`), and what it imports though that has or finds operators as well."""
    root = package / "operators"
    trees = {
        ".".join(("opcheck", "operators", *path.relative_to(root).with_suffix("").parts)): ast.parse(path.read_text())
        for path in root.rglob("*.py")
    }
    declares = {
        module for module, tree in trees.items() for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "OPS"
    }  # fmt: skip
    assert len(declares) >= 10, "the operators were not found"
    found = set()
    for module in declares:
        for node in ast.walk(trees[module]):
            if isinstance(node, ast.ImportFrom):
                named = {node.module or "", *(f"{node.module}.{each.name}" for each in node.names)}
                found |= {(module, each) for each in named & (declares | ABOVE) - {module}}
            elif isinstance(node, ast.Import):
                found |= {(module, each.name) for each in node.names if each.name in (declares | ABOVE) - {module}}
    return found


def test_operators_never_import_each_other():
    assert operators_imported_by_operators(ROOT / "opcheck") == set()


@pytest.mark.parametrize(
    "line", ["import opcheck.operators.linear", "import opcheck.operators.catalog",
             "from opcheck.operators import linear",
             "from opcheck.operators.losses.nll_loss import OPS as others"]
)  # fmt: skip
def test_an_operator_that_imports_another_would_be_seen(tmp_path, line):
    shutil.copytree(ROOT / "opcheck", tmp_path / "opcheck", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "opcheck" / "operators" / "losses" / "mse_loss.py").open("a") as module:
        module.write(line + "\n")
    assert operators_imported_by_operators(tmp_path / "opcheck")


# What knows operators by their names: their own files, other people's libraries and courses.
NAMED = ("operators", "backends", "grading/conventions", "grading/solutions", "specs/aten.py")
ALSO = {"relu", "sigmoid", "tanh", "matmul", "linear"}  # functions of mathematics and kinds of cases, too


def operators_named(package: Path) -> set[tuple[str, str]]:
    """The names of operators in code that is for any operator."""
    from opcheck.operators import catalog

    found, names = set(), {op.name for op in catalog.every()} - ALSO
    for path in package.rglob("*.py"):
        where = path.relative_to(package).as_posix()
        if not where.startswith(NAMED):
            words = (node.value for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                     if isinstance(node, ast.Constant))  # fmt: skip
            found |= {(where, word) for word in words if isinstance(word, str) and word in names}
    return found


def test_generic_code_knows_no_operator_by_its_name():
    assert operators_named(ROOT / "opcheck") == set()


def test_an_operator_that_generic_code_names_would_be_seen(tmp_path):
    (tmp_path / "grading").mkdir()
    (tmp_path / "grading" / "cases.py").write_text('EXTREME = ("softmax", "softly")\n')
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators" / "softmax.py").write_text('name = "softmax"\n')
    assert operators_named(tmp_path) == {("grading/cases.py", "softmax")}


# --- files ---

LONGEST = 50  # lines of a function, without its docstring


def too_long(package: Path) -> dict[str, int]:
    """The functions that are longer than LONGEST, by file and name."""
    paths = list(package.rglob("*.py"))
    assert paths, f"no Python files in {package}"
    found = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if ast.get_docstring(node) and node.body[0].end_lineno is not None:
                    length -= node.body[0].end_lineno - node.body[0].lineno + 1
                if length > LONGEST:
                    found[f"{path.relative_to(package.parent).as_posix()}: {node.name}"] = length
    return found


def test_functions_can_be_read_at_a_glance():
    assert too_long(ROOT / "opcheck") == {}


def test_a_function_that_is_too_long_would_be_seen(tmp_path):
    (tmp_path / "right.py").write_text("def f():\n" + "    pass\n" * (LONGEST - 1))
    (tmp_path / "long.py").write_text("class A:\n    def f(self):\n" + "        pass\n" * LONGEST)
    assert too_long(tmp_path) == {f"{tmp_path.name}/long.py: f": LONGEST + 1}


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


def test_what_the_readme_says_of_python_licence_and_extras_is_what_the_project_has():
    project, readme = PROJECT["project"], README.read_text(encoding="utf-8")
    minors = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    assert f"python-{minors[0]}_to_{minors[-1]}" in readme and f"licence-{project['license']}" in readme
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", readme, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert project["optional-dependencies"].keys() - {"test"} <= named


def test_version_says_the_commit_in_a_checkout(tmp_path):
    shutil.copytree(ROOT / "opcheck", tmp_path / "opcheck", ignore=shutil.ignore_patterns("__pycache__"))
    told = [sys.executable, "-c", "import opcheck.app; opcheck.app.main()", "--version"]

    def version() -> str:
        return subprocess.run(told, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert re.fullmatch(r"opcheck \d+\.\d+\.\d+\n", version())
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    assert re.fullmatch(r"opcheck \d+\.\d+\.\d+, commit [0-9a-f]{7,}\n", version())
