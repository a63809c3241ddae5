"""How many cases are done, of tasks that run side by side, whose workers may die."""

from opcheck.verification.run import Shard
from opcheck.verification.workers.tally import Tally
from opcheck.verification.workers.worker import EXPLAINING, STARTING

FIRST, SECOND = Shard("relu", "float32", 1, -50, 50), Shard("relu", "float32", 1, 50, 80)


def test_the_cases_of_all_tasks_count():
    told = []
    tally = Tally([FIRST, SECOND], lambda *words: told.append(words), timed=False)
    for task, index in ((FIRST, STARTING), (FIRST, -40), (SECOND, 60), (FIRST, 50), (FIRST, EXPLAINING), (SECOND, 80)):
        tally.at(task, index - task.first)
    assert {words[:2] for words in told} == {("relu", "float32")}
    assert [words[2:] for words in told] == [(n, 130) for n in (0, 0, 10, 20, 110, 110, 130)]


def test_a_task_that_is_done_again_in_parts_counts_no_more_than_once_in_all():
    told = []
    tally = Tally([FIRST], lambda *words: told.append(words[2:]), timed=False)
    tally.at(FIRST, 60)
    tally.at(Shard("relu", "float32", 1, -50, 10), 60)
    assert told[-1] == (100, 100)


def test_a_run_by_time_has_no_total():
    told = []
    Tally([FIRST], lambda *words: told.append(words[2:]), timed=True).at(FIRST, 60)
    assert told == [(0, 0), (60, 0)]
