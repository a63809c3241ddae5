"""Asks problems about one operator, one after the other, and keeps the score."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from opcheck.language import say
from opcheck.learning import problems
from opcheck.learning.drawing import LEVELS
from opcheck.learning.hints import hints, setting
from opcheck.learning.judging import Judged
from opcheck.learning.problems import Kind, Problem
from opcheck.learning.screen import HINT, QUIT, SKIP, Quit, Screen, prompt
from opcheck.operators.spec import Op
from opcheck.steps import Prose

FILE = "practice.json"  # where the scores are kept
TRIES = 3
FAR = 4  # the level from which on a shape is no question to begin with
RIGHT_FOR_NEXT = 2  # problems right at once, one after the other, until the next level


@dataclass
class Score:
    """How a practice went: problems that were answered or given up, right ones, and right at once without a hint."""

    asked: int = 0
    right: int = 0
    at_once: int = 0
    level: int = 1

    def told(self) -> str:
        """The score in a sentence."""
        if not self.asked:
            return say("No problem was answered.")
        return say(
            "{right} of {all} right, {once} of them on the first try.",
            right=self.right,
            all=self.asked,
            once=self.at_once,
        )


@dataclass
class Practice:
    """`count` problems from `seed`; harder ones when two in a row were right at once. `grad`: gradients only."""

    op: Op
    screen: Screen
    seed: int
    count: int = 5
    level: int = 1
    grad: bool = False
    score: Score = field(default_factory=Score)

    def run(self) -> Score:
        """Until all problems are done, or nobody answers any more."""
        self.score.level = self.level
        in_a_row = 0
        try:
            for number in range(self.count):
                before = self.score.at_once
                self.ask(number)
                in_a_row = in_a_row + 1 if self.score.at_once > before else 0
                if in_a_row == RIGHT_FOR_NEXT and self.score.level < LEVELS:
                    self.score.level, in_a_row = self.score.level + 1, 0
        except Quit:
            pass
        self.screen.tell(self.score.told())
        return self.score

    def problem(self, number: int) -> Problem:
        """Problem `number` at the present level: the same for the same seed."""
        return drawn(self.op, self.seed, number, self.score.level, (Kind.GRADIENT,) if self.grad else ())

    def ask(self, number: int) -> None:
        """One problem, until it is right, given up or tried often enough; raises Quit."""
        problem = self.problem(number)
        title = say("problem {k} of {n}, level {level}", k=number + 1, n=self.count, level=self.score.level)
        self.screen.document((Prose(title, "title"),))
        self.screen.document(setting(problem))
        self.screen.tell(problems.question(problem))
        left, tries, helped = hints(problem), 0, False
        while tries < TRIES:
            line = self.screen.ask(prompt(len(left)))
            if line is None:
                raise Quit
            word = line.strip().lower()
            if word in QUIT:
                raise Quit
            if word in SKIP:
                break
            if word in HINT:
                helped = True
                if left:
                    self.screen.document(left.pop(0))
                else:
                    self.screen.tell(say("There are no more hints; s shows the answer."))
            elif word:
                judged = problem.judge(line)
                if judged.right:
                    self.screen.tell(judged.told)
                    self._count(right=True, at_once=tries == 0 and not helped)
                    return
                tries += judged.read
                self.screen.tell(judged.told + self._more(judged, tries))
        self._count(right=False, at_once=False)
        self.screen.document((Prose(say("It goes like this:")), *hints(problem)[-1]))

    def _more(self, judged: Judged, tries: int) -> str:
        return " " + say("Try again.") if judged.read and tries < TRIES else ""

    def _count(self, right: bool, at_once: bool) -> None:
        self.score.asked += 1
        self.score.right += right
        self.score.at_once += at_once


def drawn(op: Op, seed: int, number: int, level: int, asked: Sequence[Kind] = ()) -> Problem:
    """Problem `number` of a level; the kinds of problems take turns, unless `asked` says which. Who has come far is
    asked for a shape last."""
    asked = asked or sorted(problems.kinds(op), key=lambda each: level >= FAR and each is Kind.SHAPE)
    return problems.drawn(op, asked[number % len(asked)], level, np.random.default_rng([seed, number, level]))
