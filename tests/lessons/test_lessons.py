"""Every lesson runs, shows what it prints, can be answered by its own answers, and keeps to the format."""

import re
from pathlib import Path

import pytest

from opcheck.learning import answers, lesson, shelf
from opcheck.learning.answers import Match
from opcheck.learning.lesson import Code, Prose, Question
from opcheck.learning.progress import Progress
from opcheck.learning.session import Session
from opcheck.learning.tutor import Tutor, shown
from opcheck.operators import catalog
from tests import snippets
from tests.lessons.sums import agree, sums

ENTRIES = shelf.every()
EACH = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
WORDS = 1300  # of prose: fifteen minutes at a pace for learning, with time left for the blocks
ITEM = re.compile(r"^- (?P<sentence>(?:.+\n)(?:  .+\n)*)", re.MULTILINE)
NAMED = re.compile(r"(?P<sentence>.*) \(`(?P<name>\w+)`\)", re.DOTALL)


@EACH
def test_the_blocks_print_what_the_lesson_shows(entry, tmp_path):
    snippets.check(entry.path, tmp_path)


class Reader:
    """A Screen whose reader answers every question with what opcheck shows as its answer."""

    def __init__(self, questions):
        self.questions = iter(questions)
        self.tutor = None
        self.told = []

    def ask(self, prompt):
        question = next(self.questions)
        if question.code.missing is not None:
            pytest.fail("a question was asked whose answer cannot be computed here")
        return shown(self.tutor.session.value(question.code), question.decimals)

    def tell(self, text):
        self.told.append(text)

    def pause(self, prompt, within_code):
        return ""

    def markdown(self, text): ...
    def code(self, text): ...
    def printed(self, text): ...
    def command(self, line, directory): ...  # test_the_blocks_print_what_the_lesson_shows runs them


@pytest.mark.share(7)
@EACH
def test_who_answers_what_opcheck_computes_is_right(entry, tmp_path):
    questions = [part for part in lesson.read(entry.path) if isinstance(part, Question) and part.code.missing is None]
    reader = Reader(questions)
    reader.tutor = Tutor(entry, reader, Progress(tmp_path / "progress.json"))
    mark = reader.tutor.teach()
    assert mark.finished
    assert list(mark.answers.values()) == ["right"] * len(questions)


@pytest.mark.share(6)
@EACH
def test_what_the_reader_does_not_unfold_is_not_needed(entry, tmp_path):
    """The blocks in sight run without the answers, which a code host hides."""
    session = Session(tmp_path)
    for part in lesson.read(entry.path):
        if isinstance(part, Code) and part.missing is None:
            session.write(part)
            if part.runs_python:
                session.run_all(part)


@pytest.mark.share(6)
@EACH
def test_no_hint_no_slip_and_no_mistake_is_the_answer(entry, tmp_path):
    """Slips differ from the answer, from each other, and from the exact answer's decimals."""
    session = Session(tmp_path)
    for part in lesson.read(entry.path):
        code = part.code if isinstance(part, Question) else part
        if not isinstance(code, Code) or code.missing is not None:
            continue
        session.write(code)
        if isinstance(part, Question):
            right = answers.expected(session.value(code))
            if part.decimals is None:
                assert all(len(str(leaf)) < 80 for leaf in answers.leaves(right)), f"say how many decimals: {code.text}"
            for slip in part.slips:
                wrong = answers.expected(session.value(slip.code))
                assert answers.compare(wrong, right, part.decimals) is not Match.RIGHT, slip.sentence
        elif code.runs_python:
            session.run_all(code)


def prose(entry):
    """All that is there to be read: the text, the hints, and what is told after an answer."""
    for part in lesson.read(entry.path):
        if isinstance(part, Prose):
            yield part.text
        elif isinstance(part, Question):
            yield from (*part.hints, part.remark)


@EACH
def test_the_sums_in_the_prose_are_right(entry):
    found = [sides for text in prose(entry) for sides in sums(text)]
    assert [sides for sides in found if not all(map(agree, sides, sides[1:]))] == []


def test_a_wrong_sum_in_the_prose_would_be_seen():
    assert sum(1 for entry in ENTRIES for text in prose(entry) for _ in sums(text)) >= 12
    assert list(sums("It is at place 1·3 + 2·1 = 6, and 3x², that is 3·2² = 12.")) == [
        ["1·3 + 2·1", "6"],
        ["3·2²", "12"],
    ]
    assert list(sums("y = 2·3 = 6 and relu'(0) = 0 and x = 3")) == [["2·3", "6"]]
    assert not agree("1·3 + 2·1", "6")
    assert agree("3·2²", "12")
    assert agree("1/3", "0.33")
    assert not agree("1/3", "0.34")


@EACH
def test_it_ends_with_what_people_get_wrong_and_three_exercises(entry):
    text = entry.path.read_text(encoding="utf-8")
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections[-2:] == ["What people get wrong", "Exercises"]
    exercises = text.partition("\n## Exercises\n")[2]
    assert re.findall(r"^### (.+)$", exercises, re.MULTILINE) == [f"Exercise {n}" for n in (1, 2, 3)]
    for exercise in exercises.split("\n### Exercise ")[1:]:
        assert sum(isinstance(part, Question) for part in lesson.parts(exercise)) == 1, exercise


@EACH
def test_what_people_get_wrong_is_what_the_catalogue_says(entry):
    section = entry.path.read_text(encoding="utf-8").partition("\n## What people get wrong\n")[2].partition("\n## ")[0]
    items = [" ".join(match["sentence"].split()) for match in ITEM.finditer(section)]
    assert len(items) >= 3
    catalogue = {(each.name, each.sentence) for op in map(catalog.get, entry.operators) for each in op.mistakes}
    named = {(match["name"], match["sentence"]) for item in items if (match := NAMED.fullmatch(item))}
    assert named <= catalogue
    assert bool(named) == bool(catalogue), "sentences of the catalogue carry the mistake's name"


@EACH
def test_it_is_read_in_fifteen_minutes(entry):
    questions = [part for part in lesson.read(entry.path) if isinstance(part, Prose)]
    assert sum(len(part.text.split()) for part in questions) <= WORDS


def codes(entry):
    """All blocks that run, those of answers and slips too."""
    for part in lesson.read(entry.path):
        if isinstance(part, Code):
            yield part
        elif isinstance(part, Question):
            yield from (part.code, *(slip.code for slip in part.slips))


@EACH
def test_its_code_fits_into_a_terminal_of_80_columns(entry):
    """`opcheck learn` indents code by two."""
    written = [line for code in codes(entry) for line in code.text.splitlines() if line[:1] in (">", ".", "$", " ")]
    assert [line for line in written if len(line) > 78] == []


@EACH
def test_its_operators_exist_and_its_commands_need_no_shell(entry):
    for name in entry.operators:
        assert catalog.get(name).name == name
    for part in lesson.read(entry.path):
        if isinstance(part, Code) and part.language == "console":
            for command in part.commands:
                assert command.startswith("opcheck "), command
                assert not re.search(r"[|<>;&$`*]", re.sub(r'"[^"]*"', "", command)), command


def test_lessons_are_numbered_without_gaps():
    assert [entry.number for entry in ENTRIES] == list(range(1, len(ENTRIES) + 1))


def test_every_lesson_is_on_the_shelf():
    assert {entry.path for entry in ENTRIES} == set(Path(shelf.directory()).glob("*.md"))
