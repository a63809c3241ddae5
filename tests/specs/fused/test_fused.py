"""Fused programs: what is right agrees in any order of summation, and what is wrong is refused.

`python -m tests.specs.fused.test_fused agree 2000` and `... refuse 10` ask more than a continuous run has time for.
"""

import inspect
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import opcheck
from opcheck import loading
from opcheck.backends import load
from opcheck.specs import get
from tests.specs.fused import forms, specs
from tests.verification.refusal import refusal

NAMES = [name for name, each in vars(specs).items() if inspect.isfunction(each) and each.__module__ == specs.__name__]
WRONG = Path(__file__).parent / "wrong"
TORCH = "torch_"


def right(name):
    """The right forms of a spec, by name."""
    return {each: form for each, form in vars(forms).items() if each.removeprefix(TORCH).startswith(name)}


def wrong(name):
    """The wrong variants of a spec, by name."""
    path = WRONG / f"{name}.py"
    if not path.exists():
        return {}
    home = loading.load_file(path)
    own = {each: f for each, f in vars(home).items() if callable(f) and not each.startswith("_")}
    return {each: f for each, f in own.items() if getattr(type(f) if not inspect.isfunction(f) else f, "__module__", "")
            == home.__name__ and not inspect.isclass(f)}  # fmt: skip


def verified(name, form, cases, seed):
    arrays = "torch" if getattr(form, "__name__", "").startswith(TORCH) else "numpy"
    return opcheck.verify(getattr(specs, name), form, arrays=arrays, cases=cases, seed=seed)


@pytest.mark.share(5)
@pytest.mark.parametrize(("name", "form"), [(name, form) for name in NAMES for form in right(name)])
def test_what_is_right_agrees(name, form):
    if form.startswith(TORCH):
        pytest.importorskip("torch")
    report = verified(name, right(name)[form], 10, 0)
    assert report.agrees, str(report)
    assert report.checked


def test_every_spec_has_torch_and_two_other_orders():
    assert len(NAMES) == 7
    for name in NAMES:
        found = right(name)
        assert len(found) == 3, name
        assert sum(each.startswith(TORCH) for each in found) == 1


def refused(name, variant, seed):
    """Whether a variant is refused within 300 cases."""
    arrays = "torch" if getattr(variant, "__name__", "").startswith(TORCH) else "numpy"
    failure, _ = refusal(get(getattr(specs, name)), load(variant, arrays), 300, seed)
    return failure is not None


@pytest.mark.nightly
@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_is_refused(name, nightly):
    found = {each: f for each, f in wrong(name).items() if find_spec("torch") or not each.startswith(TORCH)}
    fresh = np.random.default_rng()
    quick = [each for each in found if inspect.isfunction(found[each]) and not each.startswith(TORCH)]
    for each in found if nightly else [fresh.choice(quick)]:
        seed = int(fresh.integers(2**32))
        assert refused(name, found[each], seed), f"{each}, seed {seed}"


def agree(cases, names):
    """Every right form on many cases."""
    for name in names or NAMES:
        for each, form in right(name).items():
            start = time.perf_counter()
            report = verified(name, form, cases, 1)
            free = sum(row.free for row in report.rows.values()) / max(1, sum(r.elements for r in report.rows.values()))
            print(f"{each}: {report} ({free:.3%} free, {time.perf_counter() - start:.0f} s)", flush=True)


def refuse(seeds, names):
    """Every wrong variant on fresh seeds."""
    for name in names or NAMES:
        for each, variant in wrong(name).items():
            fresh = [int(k) for k in np.random.default_rng().integers(2**32, size=seeds)]
            passed = [seed for seed in fresh if not refused(name, variant, seed)]
            print(f"{name} {each}: refused on {seeds - len(passed)} of {seeds} seeds {passed or ''}", flush=True)


if __name__ == "__main__":
    {"agree": agree, "refuse": refuse}[sys.argv[1]](int(sys.argv[2]), sys.argv[3:])
