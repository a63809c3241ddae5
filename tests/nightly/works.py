"""All that a nightly run can do, with the floors of a release, and the command for each."""

import json
import re
import subprocess
import sys
from pathlib import Path

from opcheck.operators import catalog
from tests.nightly.schedule import Run, Work
from tests.verification.alternatives import forms

ROOT = Path(__file__).parents[2]
OPCHECK = (sys.executable, str(ROOT / "cli.py"))
PYTHON = (sys.executable, "-m")
DTYPES = "float32,float64,float16,bfloat16"

PEERS = {  # implementation: (floor, cases to begin with) for an operator, over all dtypes
    "torch": (100_000, 400),
    "torch:func": (5_000, 100),
    "onnx": (5_000, 100),
    "onnxruntime": (5_000, 100),
    "jax": (1_000, 16),
    "torch:compile": (300, 8),
    "tinygrad": (300, 16),
}
ALTERNATIVES = 10_000  # cases of right implementations that sum in other orders and compute in other forms
SEEDS = 10_000  # by which a right solution is graded
EXAMPLES = 2_000  # of hypothesis for each property
FUZZ = 1_200  # seconds of bad input: the fuzzer counts in them
SCORES = 10  # mutation scores with other seeds
TOLD = 4000  # characters that are kept of what a failing run printed

COUNTS = {  # what a command prints of the cases that it did; without it, they are those that it was asked for
    "verify": re.compile(r'"trials": (\d+)'),
    "alarms": re.compile(r"alarms in ([\d,]+) cases"),
}
UNAVAILABLE = {"verify": 3, "properties": 5, "fuzz": 4}  # exit codes: no such library, no such tests, no such folder


def every() -> list[Work]:
    """All works, operator by operator: the first minutes try every kind."""
    found = [Work("fuzz", "seconds", FUZZ, 60)]
    found += [Work("release", what, 1, 1, most=1) for what in ("wheel", "oldest")]
    for op in catalog.every():
        found += [Work(f"verify {peer}", op.name, *numbers) for peer, numbers in PEERS.items()]
        kinds_of = ("orders", "forms") if any(each.op == op.name for each in forms()) else ("orders",)
        found += [Work(f"alarms {kind}", op.name, ALTERNATIVES, 100) for kind in kinds_of]
        found.append(Work("grade", op.name, SEEDS, 20))
        found.append(Work("mutation", op.name, SCORES, 1, most=1))
    found += [Work("properties", room, EXAMPLES, 50) for room in rooms("@given")]
    return found + [
        Work("thorough", room, 1, 1, most=1) for room in rooms("@pytest.mark.nightly", "@pytest.mark.share")
    ]


def rooms(*words: str) -> list[str]:
    """The rooms of tests that have one of these in a file."""
    lines = tuple(f"\n{word}" for word in words)
    files = [
        path for path in (ROOT / "tests").rglob("test_*.py")
        if any(line in path.read_text(encoding="utf-8") for line in lines)
    ]  # fmt: skip
    return sorted({path.relative_to(ROOT / "tests").parts[0] for path in files} - {"fuzz"})


def command(work: Work, cases: int, seed: int, folder: Path) -> list[str]:
    """The command that does so many cases of a work; `folder`: where failing cases and assignments are kept."""
    kind, _, which = work.kind.partition(" ")
    if kind == "verify":
        each = -(-cases // len(DTYPES.split(",")))
        return [*OPCHECK, "verify", work.of, "--impl", which, "--dtype", DTYPES, "--cases", str(each),
                "--seed", str(seed), "--jobs", "1", "--json", "--save", str(folder / "cases")]  # fmt: skip
    if kind == "alarms":
        return [*PYTHON, "tests.verification.alarms", work.of, "--only", which, "--cases", str(-(-cases // 2)),
                "--seed", str(seed)]  # fmt: skip
    if kind == "grade":
        return [*OPCHECK, "grade", "--check", str(assignment(work.of, folder)), "--seeds", str(cases),
                "--seed", str(seed)]  # fmt: skip
    if kind == "mutation":
        return [*PYTHON, "opcheck.verification.mutation", work.of, "--form", "numpy", "--form", "torch",
                "--cases", "3000", "--seed", str(seed)]  # fmt: skip
    if kind == "release":
        return [str(ROOT / ".ci" / "release"), *(["oldest"] if work.of == "oldest" else [])]
    tests = {"fuzz": ["tests/fuzz"], "properties": ["-m", "hypothesis", f"tests/{work.of}"],
             "thorough": ["-m", "nightly or share", f"tests/{work.of}"]}[kind]  # fmt: skip
    return [*PYTHON, "pytest", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *tests]


def environment(work: Work, cases: int) -> dict[str, str]:
    """What tests read: the profile, and how many examples each property has, or how many seconds the fuzzer."""
    how_many = "OPCHECK_FUZZ_SECONDS" if work.kind == "fuzz" else "OPCHECK_EXAMPLES"
    return {"OPCHECK_PROFILE": "nightly", how_many: str(cases), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


def assignment(op: str, folder: Path) -> Path:
    """An assignment that asks for one operator, as `opcheck grade --init` writes it."""
    path = folder / f"{op}.toml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([*OPCHECK, "grade", "--init", op], capture_output=True, text=True, check=True)
        path.write_text(done.stdout, encoding="utf-8")
    return path


def outcome(work: Work, seed: int, asked: int, code: int, seconds: float, printed: str, how: str = "") -> Run:
    """What came of a run that ended with this exit code: the cases that it did, as it says itself, and what is wrong.

    `how`: the command, to be told if it failed.
    """
    kind = work.kind.partition(" ")[0]
    if code == UNAVAILABLE.get(kind):
        return Run(work.name, seed, asked, 0, seconds, unavailable=last_line(printed))
    done = asked if code >= 0 else 0
    if kind in COUNTS:
        found = COUNTS[kind].search(printed)
        done = int(found[1].replace(",", "")) if found else 0
    failed = f"{how}\nexit code {code}\n{readable(printed)[-TOLD:]}" if code else ""
    return Run(work.name, seed, asked, done, seconds, failed)


def readable(printed: str) -> str:
    """What a run printed, with a report in JSON told by its failures."""
    start = printed.find('{"schema": "opcheck.report')
    if start < 0:
        return printed
    report, end = json.JSONDecoder().raw_decode(printed, start)
    failures = [f"{each['claim']}: {each['message']}" for each in report["failures"]]
    return "\n".join(part for part in (printed[:start].strip(), printed[end:].strip(), *failures) if part)


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it said nothing").strip()


def kinds() -> list[str]:
    """The kinds of work, each once."""
    return list(dict.fromkeys(work.kind for work in every()))
