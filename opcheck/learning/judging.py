"""Judges an answer: right, right except for shape or rounding, a known mistake, or partly right."""

import copy
import re
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning import answers
from opcheck.learning.answers import Answer, Match
from opcheck.operators.spec import Mistake, Op

COMMA = re.compile(r"[-+−]?\d+,\d+")  # 1,5 as most of the world writes 1.5


class Judged(NamedTuple):
    """Whether an answer is right, and the reply to the learner; `read` is False if it could not be read."""

    right: bool
    told: str
    read: bool = True


def judge(
    line: str, wanted: Answer, decimals: int | None, slips: Iterable[tuple[str, Any]], sizes: bool = False
) -> Judged:  # fmt: skip
    """How the answer `line` stands to `wanted`.

    `slips`: what goes wrong, each as a sentence and what it gives. `sizes`: a shape is asked for."""
    try:
        answer = answers.read(line)
    except Refused as error:
        return Judged(False, _spoken(error), read=False)
    if isinstance(answer, str) and not isinstance(wanted, str):
        return Judged(False, _form(wanted), read=False)
    if COMMA.fullmatch(line.strip()) and isinstance(wanted, answers.Number):
        told = say("A comma stands between numbers here: write a decimal with a point, such as {example}.",
                   example=line.strip().replace(",", "."))  # fmt: skip
        return Judged(False, told, read=False)
    if sizes and isinstance(answer, answers.Number) and isinstance(wanted, tuple) and len(wanted) > 1:
        return Judged(False, _form(wanted), read=False)  # "12" for 1x2: as if it had not been typed
    match answers.compare(answer, wanted, decimals):
        case Match.RIGHT:
            return Judged(True, say("Right."))
        case Match.SHAPED:
            return Judged(
                False,
                say("The numbers are right; their shape is {wanted}, not {got}.",
                    wanted=_sizes(wanted), got=_sizes(answer)),
            )  # fmt: skip
        case Match.ROUNDED:
            return Judged(False, _rounding(decimals))
    return Judged(False, _what_went_wrong(answer, wanted, decimals, slips))


def _spoken(error: Refused) -> str:
    """A refusal as sentences; its parts begin with small letters, since elsewhere they follow "opcheck:"."""
    parts = (error.rule, error.got and say("Got {got}", got=error.got), error.fix)
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts if part)


def making(op: Op, mistake: Mistake) -> Op:
    """The operator as computed with this mistake."""
    wrong = copy.copy(op)
    for part in ("forward", "vjp"):
        if getattr(mistake, part) is not None:
            setattr(wrong, part, partial(getattr(mistake, part), op))
    return wrong


def _what_went_wrong(
    answer: Answer, wanted: Answer, decimals: int | None, slips: Iterable[tuple[str, Any]]
) -> str:  # fmt: skip
    """The slip or the mistake that gives this answer, or how much of it is right."""
    for sentence, value in slips:
        try:
            wrong = answers.expected(value)
        except TypeError:
            continue
        if wrong != wanted and answers.compare(answer, wrong, decimals) is Match.RIGHT:
            return say("Not yet: this is a known mistake. {sentence}", sentence=sentence)
    if answers.compare(answer, answers.negated(wanted), decimals) is Match.RIGHT:
        return say("Not yet: the sign is wrong.")
    sizes = answers.shape(wanted)
    given = answers.shape(answer)
    if given and sizes is not None and len(sizes) > 1 and given != sizes:
        return say("Not yet: the shape is {wanted}, not {got}.", wanted=sizes, got=_sizes(answer))
    right, all = answers.places(answer, wanted, decimals)
    if right:
        return say("Not yet: {right} of {all} numbers are right.", right=right, all=all)
    return say("Not yet.")


def _form(wanted: Answer) -> str:
    """The form of an answer, for a learner who wrote a word where a number is asked."""
    if isinstance(wanted, tuple):
        return say("The answer must be a list of numbers, such as [1, 2], or sizes, such as 2x3.")
    return say("The answer must be a number, a fraction such as 1/3, or a calculation such as 1*2+3*4.")


def _rounding(decimals: int | None) -> str:
    if decimals is None:
        return say("Only the rounding differs: give the exact number; a fraction such as 1/3 will do.")
    return say(
        "Only the rounding differs: give {n} decimals. Keep more digits along the way and round once, at the end.",
        n=decimals,
    )


def _sizes(answer: Answer) -> str:
    sizes = answers.shape(answer)
    return say("ragged") if sizes is None else str(sizes)
