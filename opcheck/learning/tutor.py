"""Leads a reader through a lesson: shows its parts, runs its blocks, asks its questions and judges the answers."""

import pprint
import tempfile
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.learning import answers, lesson
from opcheck.learning.answers import Match
from opcheck.learning.lesson import Code, Prose, Question
from opcheck.learning.progress import Mark, Progress
from opcheck.learning.session import Session, statements
from opcheck.learning.shelf import Entry

HINT, SKIP, QUIT = ("h", "hint"), ("s", "skip"), ("q", "quit")


class Quit(Exception):
    """The reader stops here; what was read is kept."""


class Screen(Protocol):
    """Where a lesson is shown and where its reader answers."""

    def markdown(self, text: str) -> None:
        """Shows prose."""

    def code(self, text: str) -> None:
        """Shows what runs, or is about to run."""

    def printed(self, text: str) -> None:
        """Shows what a block printed."""

    def tell(self, text: str) -> None:
        """Says something about the answer, or about the lesson."""

    def pause(self, prompt: str, within_code: bool) -> str:
        """Waits until the reader presses Enter, where there is a reader who can; what was typed before."""

    def ask(self, prompt: str) -> str | None:
        """A line from the reader; None where no more will come."""

    def command(self, line: str, directory: Path) -> None:
        """Runs `opcheck ...` and shows what it prints."""


class Tutor:
    """One lesson for one reader."""

    def __init__(self, entry: Entry, screen: Screen, progress: Progress) -> None:
        self.entry = entry
        self.screen = screen
        self.progress = progress
        self.parts = lesson.read(entry.path)
        questions = sum(isinstance(part, Question) for part in self.parts)
        mark = progress.of(entry.name)
        rewritten = (mark.parts, mark.questions) != (len(self.parts), questions)
        self.mark = Mark(0, len(self.parts), questions) if rewritten else mark

    def teach(self) -> Mark:
        """From where the reader stopped to the end, or until Quit; the mark is kept part by part."""
        start = 0 if self.mark.finished else self.mark.part
        with tempfile.TemporaryDirectory(prefix="opcheck-") as directory:
            self.session = Session(Path(directory))
            if start:
                self._catch_up(start)
            for number in range(start, len(self.parts)):
                if number > start and self._begins_section(number):
                    self._pause(say("[Enter goes on, q quits]"), within_code=False)
                self._part(number)
                self.mark.part = max(self.mark.part, number + 1)  # reading again takes nothing back
                self.progress.keep(self.entry.name, self.mark)
        return self.mark

    def _catch_up(self, start: int) -> None:
        """Runs the Python blocks before `start` again, unseen, since those after it may use their names."""
        self.screen.tell(say("You go on where you stopped. (opcheck learn --reset begins anew.)"))
        headings = [line for part in self.parts[:start] if isinstance(part, Prose) for line in _headings(part.text)]
        section = [] if self._begins_section(start) else headings[1:][-1:]
        self.screen.markdown("\n\n".join(headings[:1] + section))
        for part in self.parts[:start]:
            code = part.code if isinstance(part, Question) else part
            if isinstance(code, Code) and code.missing is None:
                self.session.write(code)
                if code.runs_python:
                    self.session.run_all(code)

    def _begins_section(self, number: int) -> bool:
        part = self.parts[number]
        return isinstance(part, Prose) and part.text.startswith("## ")

    def _part(self, number: int) -> None:
        match self.parts[number]:
            case Prose(text):
                self.screen.markdown(text)
            case Code() as code:
                self._code(code)
            case Question() as question:
                self._question(question, sum(isinstance(part, Question) for part in self.parts[:number]) + 1)

    def _code(self, code: Code) -> None:
        if code.missing is not None:
            self.screen.code(code.text)
            self._say_missing(code.missing)
        elif code.file is not None:
            self.screen.tell(say("The file {name}:", name=code.file))
            self.screen.code(code.text)
            self.session.write(code)
        elif code.language == "console":
            for command in code.commands:
                self.screen.code(f"$ {command}")
                self._pause(say("[Enter runs it, q quits]"), within_code=True)
                self.screen.command(command, self.session.directory)
        else:
            for statement in statements(code):
                self.screen.code(statement.shown)
                if statement.prints:
                    self._pause(say("[Enter runs it, q quits]"), within_code=True)
                self.screen.printed(self.session.run(statement))

    def _say_missing(self, package: str) -> None:
        self.screen.tell(say("Left out: this needs {package}. Install it: pip install {package}", package=package))

    def _pause(self, prompt: str, within_code: bool) -> None:
        if self.screen.pause(prompt, within_code).strip().lower() in QUIT:
            raise Quit

    def _question(self, question: Question, number: int) -> None:
        if question.code.missing is not None:
            self._say_missing(question.code.missing)
            return
        right = self.session.value(question.code)
        wanted = answers.expected(right)
        hints = list(question.hints)
        outcome = ""
        while not outcome:
            line = self.screen.ask(self._prompt(len(hints)))
            if line is None:
                self.screen.tell(say("Question {n} stays open.", n=number))
                return
            word = line.strip().lower()
            if word in QUIT:
                raise Quit
            if word in SKIP:
                outcome = "skipped"
                self.screen.tell(say("The answer: {answer}", answer=shown(right, question.decimals)))
            elif word in HINT:
                self.screen.markdown(hints.pop(0) if hints else say("There are no more hints; s shows the answer."))
            elif word:
                outcome = self._judge(line, question, wanted)
        for statement in statements(question.code):  # how it is computed
            self.screen.code(statement.shown)
            self.screen.printed(self.session.run(statement))
        if question.remark:
            self.screen.markdown(question.remark)
        if self.mark.answers.get(number) != "right":
            self.mark.answers[number] = outcome

    def _prompt(self, hints: int) -> str:
        if not hints:
            return say("answer (s skips, q quits): ")
        return say("answer (h: a hint, {n} left; s skips, q quits): ", n=hints)

    def _judge(self, line: str, question: Question, wanted: answers.Answer) -> str:
        """Tells the reader how the answer stands; "right" if it is."""
        try:
            answer = answers.read(line)
        except Refused as error:
            self.screen.tell(f"{error}.")
            return ""
        match answers.compare(answer, wanted, question.decimals):
            case Match.RIGHT:
                self.screen.tell(say("Right."))
                return "right"
            case Match.SHAPED:
                self.screen.tell(
                    say("The numbers are right; their shape is {wanted}, not {got}.",
                        wanted=_sizes(wanted), got=_sizes(answer))
                )  # fmt: skip
            case Match.ROUNDED:
                self.screen.tell(_rounding(question.decimals))
            case Match.WRONG:
                self.screen.tell(self._what_went_wrong(answer, question, wanted))
        return ""

    def _what_went_wrong(self, answer: answers.Answer, question: Question, wanted: answers.Answer) -> str:
        """The slip or the mistake of the catalogue that gives this answer, or how much of it is right."""
        slips = ((slip.sentence, self.session.value(slip.code)) for slip in question.slips)
        for sentence, value in (*slips, *self.session.mistaken(question.code)):
            try:
                wrong = answers.expected(value)
            except TypeError:
                continue
            if wrong != wanted and answers.compare(answer, wrong, question.decimals) is Match.RIGHT:
                return say("Not yet. A known mistake gives this. {sentence}", sentence=sentence)
        if answers.compare(answer, answers.negated(wanted), question.decimals) is Match.RIGHT:
            return say("Not yet: the sign is the wrong way round.")
        right, all = answers.places(answer, wanted, question.decimals)
        if right:
            return say("Not yet: {right} of {all} numbers are right.", right=right, all=all)
        return say("Not yet.")


def shown(value: Any, decimals: int | None) -> str:
    """A computed answer as a reader would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return answers.YES[0] if value else answers.NO[0]
    if decimals is not None:
        array = np.round(np.asarray(value, dtype=float), decimals) + 0.0  # no negative zeros
        return f"{array:.{decimals}f}" if array.ndim == 0 else pprint.pformat(array.tolist(), width=76)
    return pprint.pformat(value.tolist(), width=76) if hasattr(value, "tolist") else str(value)


def _rounding(decimals: int | None) -> str:
    if decimals is None:
        return say("Only the rounding differs: the exact number is asked, and a fraction such as 1/3 will do.")
    return say(
        "Only the rounding differs: {n} decimals are asked. Keep more on the way and round once, at the end.",
        n=decimals,
    )


def _sizes(answer: answers.Answer) -> str:
    sizes = answers.shape(answer)
    return say("ragged") if sizes is None else str(sizes)


def _headings(markdown: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith("#")]
