"""Leads a reader through a lesson: shows its parts, runs its blocks, asks its questions and judges the answers."""

import pprint
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.learning import answers, lesson
from opcheck.learning.judging import judge
from opcheck.learning.lesson import Code, Prose, Question
from opcheck.learning.progress import Mark, Progress
from opcheck.learning.screen import HINT, QUIT, SKIP, Quit, Screen, prompt
from opcheck.learning.session import Session, statements
from opcheck.learning.shelf import Entry


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
        start = 0 if self.mark.finished else self._prose_before(self.mark.part)
        with tempfile.TemporaryDirectory(prefix="opcheck-") as directory:
            self.session = Session(Path(directory))
            if start:
                self._catch_up(start)
            for number in range(start, len(self.parts)):
                if number > start and self._begins_section(number):
                    self._pause(say("[Enter to go on, q to quit]"), within_code=False)
                self._part(number)
                self.mark.part = max(self.mark.part, number + 1)  # reading again takes nothing back
                self.progress.keep(self.entry.name, self.mark)
        return self.mark

    def _prose_before(self, number: int) -> int:
        """The prose that part `number` belongs to: a question makes no sense without it."""
        return next(k for k in range(number, -1, -1) if k == 0 or isinstance(self.parts[k], Prose))

    def _catch_up(self, start: int) -> None:
        """Runs the Python blocks before `start` again, unseen, since those after it may use their names."""
        self.screen.tell(say("Continuing where you stopped. (opcheck learn --reset starts over.)"))
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
            for command, written in zip(code.commands, code.written, strict=True):
                self.screen.code(f"$ {written}")
                self._pause(say("[Enter to run it, q to quit]"), within_code=True)
                self.screen.command(command, self.session.directory)
        else:
            for statement in statements(code):
                self.screen.code(statement.shown)
                if statement.prints:
                    self._pause(say("[Enter to run it, q to quit]"), within_code=True)
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
            line = self.screen.ask(prompt(len(hints)))
            if line is None:
                self.screen.tell(say("Question {n} is left open.", n=number))
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

    def _judge(self, line: str, question: Question, wanted: answers.Answer) -> str:
        """Tells the reader how the answer stands; "right" if it is."""
        slips = ((slip.sentence, self.session.value(slip.code)) for slip in question.slips)
        mistakes = self.session.mistaken(question.code)
        judged = judge(line, wanted, question.decimals, chain(slips, mistakes))
        self.screen.tell(judged.told)
        return "right" if judged.right else ""


def shown(value: Any, decimals: int | None) -> str:
    """A computed answer as a reader would write it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return say("yes (True)") if value else say("no (False)")
    if decimals is not None:
        array = np.round(np.asarray(value, dtype=float), decimals) + 0.0  # no negative zeros
        return f"{array:.{decimals}f}" if array.ndim == 0 else pprint.pformat(array.tolist(), width=76)
    return pprint.pformat(value.tolist(), width=76) if hasattr(value, "tolist") else str(value)


def _headings(markdown: str) -> list[str]:
    return [line for line in markdown.splitlines() if line.startswith("#")]
