"""How a nightly run divides its time, its floors and its results."""

import pytest

from tests.nightly.schedule import (
    SLICE,
    Journal,
    Run,
    Tally,
    Work,
    amount,
    hours_to_floors,
    shares,
    slice_of,
    tallies,
    upcoming,
)

FAST, SLOW, ONE = Work("fast", "a", 100_000, 400), Work("slow", "a", 300, 8), Work("one", "a", 10, 1, most=1)


def simulated(works, rates, seconds, runs=()):
    """The tallies after so many seconds in which runs take just as long as their rates say."""
    done, left = tallies(works, runs), seconds
    each = slice_of(seconds, len(works), 1)
    while left > 0 and (found := upcoming(works, done, (), left, each)):
        work, cases = found
        took = cases / rates[work.name]
        left -= took
        if left >= 0:
            done[work.name].add(Run(work.name, 0, cases, cases, took))
    return done


def test_what_is_slow_gets_more_time_so_that_all_come_closer_to_their_floors_together():
    works = [FAST, SLOW, ONE]
    done = simulated(works, {"fast a": 100.0, "slow a": 0.1, "one a": 0.01}, 3600)
    fractions = [done[work.name].done / work.floor for work in works]
    assert max(fractions) - min(fractions) < 0.15 and 0.5 < min(fractions) < 1
    assert done["slow a"].seconds > 2 * done["fast a"].seconds


def test_the_time_is_used_and_not_exceeded():
    works = [FAST, SLOW]
    done = simulated(works, {"fast a": 50.0, "slow a": 2.0}, 500)
    assert 480 < sum(tally.seconds for tally in done.values()) <= 500


def test_floors_are_met_and_the_time_that_is_left_goes_on_beyond_them():
    done = simulated([FAST, SLOW, ONE], {"fast a": 1000.0, "slow a": 5.0, "one a": 1.0}, 1000)
    assert done["fast a"].done > 200_000 and done["slow a"].done > 600 and done["one a"].done > 20


def test_a_floor_is_met_exactly_before_more_is_done():
    tally = Tally(done=99_990, seconds=10.0, runs=3)
    assert amount(FAST, tally, left=100, each=60) == 10
    assert amount(FAST, Tally(done=100_000, seconds=1000.0, runs=3), left=100, each=60) == 6000


def test_nothing_is_started_that_cannot_end_in_time():
    slow = {"slow a": Tally(done=2, seconds=100.0, runs=1)}
    assert upcoming([SLOW], slow, (), left=40, each=60) is None
    assert upcoming([SLOW], slow, (), left=60, each=1) == (SLOW, 1)  # one case takes longer than a slice
    assert upcoming([SLOW], {"slow a": Tally()}, (), left=1, each=60) == (SLOW, 8)  # who knows how long it takes


def test_two_runs_of_one_work_are_not_done_at_a_time():
    done = tallies([FAST, SLOW], ())
    assert upcoming([FAST, SLOW], done, {"fast a"}, 100, 60) == (SLOW, 8)
    assert upcoming([FAST, SLOW], done, {"fast a", "slow a"}, 100, 60) is None


@pytest.mark.parametrize("run", [Run("slow a", 0, 8, 0, 1.0, unavailable="jax is not installed"),
                                 Run("slow a", 0, 8, 0, 1.0)])  # fmt: skip
def test_what_gives_no_case_is_not_asked_again(run):
    assert upcoming([SLOW], tallies([SLOW], [run]), (), 100, 60) is None


def test_a_short_time_has_short_runs():
    assert slice_of(8 * 3600, 200, 2) == SLICE
    assert slice_of(72, 10, 2) == 7.2
    assert slice_of(72, 1000, 2) == 1.0


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_the_shares_of_all_machines_are_the_floors(parts):
    works = [Work("kind", str(k), floor, 1) for k, floor in enumerate([100_000, 300, 10, 1, 1, 1, 1, 1])]
    dealt = [shares(works, part, parts) for part in range(1, parts + 1)]
    for work in works:
        assert sum(each.floor for share in dealt for each in share if each.name == work.name) == work.floor
    sizes = [len(share) for share in dealt]
    assert max(sizes) - min(sizes) <= 1  # what cannot be divided is dealt evenly


def test_hours_to_the_floors_are_at_the_rates_of_all_jobs():
    done = {"fast a": Tally(done=28_000, seconds=1000.0, runs=1), "slow a": Tally(done=300, seconds=9.0, runs=1)}
    assert hours_to_floors([FAST, SLOW], done, jobs=2) == pytest.approx(72_000 / 28 / 2 / 3600)


# --- what is kept -----------------------------------------------------------------------------------------------------

RUNS = [Run("fast a", 1, 400, 400, 4.0), Run("slow a", 2, 8, 7, 9.5, failed="exit code 1\nμ differs")]


def journal_of(path, runs):
    journal = Journal(path)
    for run in runs:
        journal.add(run)
    return journal


def resumed(path):
    journal = Journal(path)
    journal.resume()
    return journal


def test_a_journal_gives_back_what_was_kept_and_goes_on(tmp_path):
    path = tmp_path / "folder" / "part-1-of-1.jsonl"
    journal_of(path, RUNS)
    journal = resumed(path)
    assert journal.runs == RUNS
    journal.add(Run("fast a", 3, 5, 5, 1.0))
    assert resumed(path).runs == journal.runs and len(journal.runs) == 3


def test_a_line_that_was_cut_off_is_a_run_that_did_not_end(tmp_path):
    path = tmp_path / "part-1-of-1.jsonl"
    journal_of(path, RUNS)
    path.write_text(path.read_text()[:-20])
    journal = resumed(path)
    assert journal.runs == RUNS[:1]
    journal.add(RUNS[1])
    assert resumed(path).runs == RUNS


def test_a_run_that_begins_keeps_what_was_there(tmp_path):
    path = tmp_path / "part-1-of-1.jsonl"
    journal_of(path, RUNS)
    journal = Journal(path)
    journal.begin()
    assert journal.runs == resumed(path).runs == []
    assert resumed(tmp_path / "part-1-of-1.jsonl.before").runs == RUNS


def test_a_resumed_run_does_what_is_furthest_behind():
    done = simulated([FAST, SLOW], {"fast a": 100.0, "slow a": 1.0}, 100, [Run("fast a", 0, 9, 50_000, 500.0)])
    assert done["fast a"].done == 50_000 and done["slow a"].done > 90
