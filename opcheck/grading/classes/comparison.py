"""Results of two runs side by side: whose score changed, and in which part."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from opcheck.grading.formats import clean, wording
from opcheck.grading.results import Check, Outcome, Result
from opcheck.language import say
from opcheck.render import render as render_steps
from opcheck.steps import Block, Prose, Step, Table

MOST = 6  # changed parts of one student that are named


class Change(NamedTuple):
    """One student's old and new results, and the parts that differ."""

    old: Result
    new: Result
    parts: tuple[tuple[Check | None, Check | None], ...]

    @property
    def points(self) -> float:
        return round(self.new.score - self.old.score, 10)


class Comparison(NamedTuple):
    changes: list[Change]  # only those that have some
    same: int
    added: list[str]  # students that the old results have not
    gone: list[str]


def compare(old: Sequence[Result], new: Sequence[Result]) -> Comparison:
    """Students are the same by name, or, where a roster gave them another, by where their submission lay."""
    by_name = {each.student: each for each in old}
    by_path = {each.path: each for each in old if each.path}
    changes, same, added, met = [], 0, [], set()
    for result in new:
        before = by_name.get(result.student) or by_path.get(result.path)
        if before is None:
            added.append(result.student)
            continue
        met.add(before.student)
        if parts := _parts(before, result):
            changes.append(Change(before, result, tuple(parts)))
        else:
            same += 1
    return Comparison(changes, same, added, [each.student for each in old if each.student not in met])


def _parts(old: Result, new: Result) -> list[tuple[Check | None, Check | None]]:
    before = {(each.question, each.part): each for each in old.checks}
    after = {(each.question, each.part): each for each in new.checks}
    pairs = [(before.get(key), after.get(key)) for key in {**before, **after}]
    return [(a, b) for a, b in pairs if a is None or b is None or (a.score, a.points, a.outcome) != (
        b.score, b.points, b.outcome)]  # fmt: skip


def render(found: Comparison) -> str:
    """The comparison as text: the counts, the students, and the parts in which several changed."""
    up, down = (sum(sign * each.points > 0 for each in found.changes) for sign in (1, -1))
    title = say("{up} up, {down} down, {other} changed at the same score, {same} unchanged", up=up, down=down,
                other=len(found.changes) - up - down, same=found.same)  # fmt: skip
    blocks: list[Block] = []
    if found.changes:
        headers = (say("student"), say("old"), say("new"), say("change"), say("what changed"))
        blocks.append(Table(headers, tuple(map(_row, found.changes))))
    if several := _several(found.changes):
        blocks.append(Table((say("part"), say("up"), say("down")), several, say("parts in which several changed")))
    for names, told in ((found.added, say("not in the old results")), (found.gone, say("only in the old results"))):
        if names:
            listed = ", ".join(map(clean.line, names))
            blocks.append(Prose(say("{told}: {names}", told=told, names=listed), "quoted"))
    return clean.text(render_steps(Step(title, tuple(blocks)), "text", interactive=False))


def _row(change: Change) -> tuple[str, ...]:
    old, new = wording.score_of(change.old), wording.score_of(change.new)
    told = [_told(*pair) for pair in change.parts[:MOST]]
    if len(change.parts) > MOST:
        told.append(say("and {n} more", n=len(change.parts) - MOST))
    return clean.line(change.new.student), old, new, wording.signed(change.points), "; ".join(told)


def _told(old: Check | None, new: Check | None) -> str:
    if old is None or new is None:
        check = new or old
        assert check is not None
        how = say("new") if old is None else say("removed")
        return say("{name}: {points}, {how}", name=wording.name(check), points=wording.points(check), how=how)
    before, after = wording.number(old.score), wording.number(new.score)
    if old.outcome is new.outcome:
        return say("{name}: {before} → {after}", name=wording.name(new), before=before, after=after)
    return say("{name}: {before} → {after} ({was} → {outcome})", name=wording.name(new), before=before, after=after,
               was=wording.outcome(old), outcome=wording.outcome(new))  # fmt: skip


def _several(changes: Sequence[Change]) -> tuple[tuple[str, str, str], ...]:
    """How many went up and down in each part in which more than one did."""
    up: Counter[str] = Counter()
    down: Counter[str] = Counter()
    for change in changes:
        for old, new in change.parts:
            if old is not None and new is not None and new.outcome is not Outcome.ADJUSTED:
                (up if new.score > old.score else down)[wording.name(new)] += new.score != old.score
    names = [name for name in {**up, **down} if up[name] + down[name] > 1]
    return tuple((name, str(up[name]), str(down[name])) for name in names)
