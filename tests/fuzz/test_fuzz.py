"""Bad input is refused in a sentence: no internal error, no traceback, within 20 s and 2 GB, whatever is given.

A slice runs with the other tests; OPCHECK_FUZZ_SECONDS=1200 lets each test draw for its share of that time.
"""

import os
import time
from collections.abc import Iterator
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from opcheck.app import COMMANDS, cli
from tests.conftest import PROFILE
from tests.fuzz import inputs, words
from tests.fuzz.runner import MEMORY, SECONDS, Runner

TESTS = 8
TIME = float(os.environ.get("OPCHECK_FUZZ_SECONDS") or 0) / TESTS
FILES = {"kernels.py": inputs.KERNELS, "relu.py": inputs.SUBMISSION}

fuzz = settings(
    settings.get_profile("nightly" if TIME else PROFILE),
    max_examples=200 if TIME else 15,
    suppress_health_check=list(HealthCheck),
    phases=[each for each in Phase if each is not Phase.explain],
)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    made = Runner()
    yield made
    made.close()


def again_and_again(test: Any) -> None:
    """Runs a property once, or with fresh draws as long as there is time."""
    end = time.monotonic() + TIME
    test()
    while time.monotonic() < end:
        test()


def ends_well(runner: Runner, arguments: list[str], files: dict[str, bytes], answers: str = "") -> None:
    ended = runner.run(arguments, FILES | files, answers)
    told = f"{ended.code}\n{ended.out[-1500:]}\n{ended.err[-1500:]}"
    codes = (0, 1, 2, 3, *([130] if arguments[:1] == ["serve"] else []))  # Ctrl-C ends what serves pages
    assert ended.code in codes, told
    assert "Traceback (most recent call last)" not in ended.out + ended.err, told
    assert ended.seconds < SECONDS, f"{ended.seconds} s\n{told}"
    if ended.memory >= MEMORY:
        runner.stop()  # the next one has a fresh process
        raise AssertionError(f"{ended.memory / 2**30:.1f} GiB\n{told}")


def command(*names: str) -> click.Command:
    """The click command of these words, such as explain, conv2d."""
    found: click.Command = cli
    for name in names:
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(found), name)  # type: ignore[assignment]
    return found


def operators() -> list[str]:
    from opcheck.operators import catalog

    return [op.name for op in catalog.every()]


def test_any_words(runner: Runner) -> None:
    @fuzz
    @given(
        st.sampled_from([*COMMANDS, "", "--version", "help"]),
        st.lists(words.hostile | st.sampled_from(operators()), max_size=3),
    )
    def one(name: str, more: list[str]) -> None:
        bounded = {"verify": ["--in-process", "--cases", "1"], "practice": ["--count", "1"]}.get(name, [])
        ends_well(runner, [name, *more, *bounded], {}, "1\nq\n")

    again_and_again(one)


def test_small_commands(runner: Runner) -> None:
    names = st.sampled_from(("ops", "doctor", "practice", "learn"))
    typed = st.lists(
        words.hostile | st.sampled_from(("1", "1/0", "9**9**9", "exp(800)", "[1,", "yes", "?")), max_size=4
    )

    @fuzz
    @given(st.data(), names, words.hostile, typed)
    def one(data: st.DataObject, name: str, word: str, answers: list[str]) -> None:
        first = data.draw(st.sampled_from(operators()) if name in ("ops", "practice") else st.just(word))
        first = f"{first}0" if first.isdigit() and len(first) < 3 else first  # a lesson takes longer than a command may
        more = data.draw(words.options(command(name), 3, without=("count",)))
        count = ["--count", "2"] if name == "practice" else []
        ends_well(runner, [name, *data.draw(st.sampled_from(([], [first]))), *more, *count], {}, "\n".join(answers))

    again_and_again(one)


def test_explain(runner: Runner) -> None:
    @fuzz
    @given(st.data(), st.sampled_from(operators()), inputs.arrays())
    def one(data: st.DataObject, op: str, files: dict[str, bytes]) -> None:
        ends_well(runner, ["explain", op, *data.draw(words.options(command("explain", op), 6))], files)

    again_and_again(one)


def test_trace_of_an_expression(runner: Runner) -> None:
    options = words.options(command("trace"), 3, without=("at",))
    value = st.one_of(words.numbers, words.arrays, words.expressions)

    @fuzz
    @given(words.expressions | words.hostile, st.dictionaries(st.sampled_from(("x", "y", "x1", "z")), value), options)
    def one(what: str, at: dict[str, str], more: list[str]) -> None:
        given = [word for name, text in at.items() for word in ("--at", f"{name}={text}")]
        ends_well(runner, ["trace", what, *given, *more], {})

    again_and_again(one)


def test_trace_of_a_program(runner: Runner) -> None:
    options = words.options(command("trace"), 3, without=("at", "check"))
    values = st.sampled_from(("2", "-1.5", "[1,2,3]", "[[1,2],[3,4]]", "0x2", "nan", "ones:2x2", "[]", "1e308", "0"))

    @fuzz
    @given(inputs.programs(), values, values, options)
    def one(program: bytes, x: str, y: str, more: list[str]) -> None:
        ends_well(runner, ["trace", "p.py:f", "--at", f"x={x}", "--at", f"y={y}", *more], {"p.py": program})

    again_and_again(one)


def test_replay(runner: Runner) -> None:
    how = st.sampled_from(
        ([], ["--snippet"], ["--impl", "kernels.py:relu"], ["--impl", "kernels.py:wrong", "--snippet"])
    )

    @fuzz
    @given(inputs.case_files(), how, words.options(command("replay"), 1, without=("device", "known")))
    def one(case: bytes, how: list[str], more: list[str]) -> None:
        impl = [] if "--impl" in how or TIME else ["--impl", "kernels.py:relu"]
        ends_well(runner, ["replay", "case.json", *impl, *how, *more], {"case.json": case})

    again_and_again(one)


def test_verify(runner: Runner) -> None:
    # what may run for as long as somebody asks is not asked for
    unbounded = (
        "cases",
        "seconds",
        "everything",
        "impl",
        "jobs",
        "timeout",
        "executor",
        "save",
        "module",
        "in_process",
    )
    impls = st.sampled_from(
        [f"kernels.py:{name}" for name in ("relu", "wrong", "fails", "generator", "number", "gone", "", "a.b")]
    )
    places = st.sampled_from(
        (*words.OUTPUTS, "missing.py:f", "missing:f", "p.py:f", ":", "a" * 4096 + ".py:f", "onnx", "jax")
    )

    @fuzz
    @given(
        impls | places,
        words.options(command("verify"), 3, unbounded),
        st.sampled_from(words.OUTPUTS),
        inputs.programs(),
    )
    def one(impl: str, more: list[str], save: str, program: bytes) -> None:
        bounded = ["--in-process", "--cases", "2", "--save", save]
        ends_well(runner, ["verify", "relu", "--impl", impl, *more, *bounded], {"p.py": program})

    again_and_again(one)


def test_grade(runner: Runner) -> None:
    ways = st.sampled_from((["missing", "--assignment"], ["hw.toml", "-o", "out.zip", "--bundle", "gradescope"]))
    slow = ("check", "seeds", "bundle", "executor", "jobs", "assignment", "unsafe")

    @fuzz
    @given(inputs.assignments(), ways, words.options(command("grade"), 2, slow))
    def one(text: bytes, way: list[str], more: list[str]) -> None:
        last = [] if "--bundle" in way else ["hw.toml"]
        ends_well(runner, ["grade", *way, *last, *more], {"hw.toml": text})

    again_and_again(one)
