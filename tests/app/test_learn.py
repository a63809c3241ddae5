"""`opcheck learn` as a program: the list, the menu, a lesson on a pipe, and where progress goes."""

import io
import json
import os
import re
import sys

import pytest

from opcheck.learning import lesson, shelf
from opcheck.learning.lesson import Question
from tests.app.support import run

LINEAR = shelf.find("linear")
QUESTIONS = sum(isinstance(part, Question) for part in lesson.read(LINEAR.path))


class Keyboard(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def learn(tmp_path, monkeypatch):
    def program(*arguments: str, typed: str = "", **options):
        monkeypatch.setattr(sys, "stdin", (Keyboard if options.get("tty") else io.StringIO)(typed))
        environment = {"XDG_STATE_HOME": str(tmp_path)} | options.pop("env", {})
        return run("learn", *arguments, env=environment, **options)

    return program


def test_a_lesson_on_a_pipe_is_printed_and_its_questions_read_from_stdin(learn, tmp_path):
    ran = learn("3", typed="63\n19\nh\n24\n")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.out.startswith(f"3. {LINEAR.title}\n══")
    assert re.search(r"quits\): 63\nNot yet: this is a known mistake\. The lists were added", ran.out)
    assert "quits): 19\nRight.\n" in ran.out
    assert "quits): h\nYou have the dot product already" in ran.out
    assert "$ opcheck explain linear --all" in ran.out
    assert "step 4 of 4\n" in ran.out  # the command ran
    assert "\n  got: input (2, 3) and weight (3, 2)\n" in ran.out  # what it refuses is part of the lesson
    assert f"Question {QUESTIONS} is left open." in ran.out
    assert ran.out.endswith(f"That was lesson 3: 2 of {QUESTIONS} right.\n")
    assert "[Enter" not in ran.out
    assert "\x1b" not in ran.out
    assert [line for line in ran.out.splitlines() if line != line.rstrip() and "quits" not in line] == []
    mark = json.loads((tmp_path / "opcheck" / "progress.json").read_text())["lessons"]["03-linear"]
    assert mark["answers"] == {"1": "right", "2": "right"}


def test_at_a_terminal_the_reader_presses_enter(learn):
    ran = learn("3", "--color=never", typed="\n\n\nq\n", tty=True)
    assert ran.code == 0
    assert ran.out.count("[Enter to go on, q to quit]") == 1
    assert (
        ran.out.count("[Enter to run it, q to quit]") == 2
    )  # 2 * 3 + ..., amounts @ prices; then q answers the question
    assert "  >>> 2 * 3 + 1 * 2 + 3 * 4\n[Enter to run it, q to quit]  20\n" in ran.out
    assert ran.out.endswith("q quits): ")
    assert "\x1b[1A\x1b[2K" in learn("4", typed="q\n", tty=True).out  # with colour, the prompt goes when it has served


def test_ctrl_d_at_a_terminal_quits(learn):
    assert "[Enter to go on" in learn("3", tty=True).out  # no line and no more will come
    ran = learn("3", "--color=never", typed="\n", tty=True)
    assert ran.code == 0
    assert ran.out.endswith("[Enter to run it, q to quit]\n")
    assert learn(tty=True).out.endswith("q quits): \n")


def test_prose_keeps_to_the_width(learn):
    for width in (40, 80):
        out = learn("3", f"--width={width}").out
        prose = out.partition("  >>>")[0]
        assert width - 12 < max(map(len, prose.splitlines())) <= width


def test_short_code_within_a_sentence_stays_on_one_line(learn):
    for width in range(40, 100, 6):
        out = learn("3", f"--width={width}").out
        assert "[2, 1, 3] and" in " ".join(out.split()) and "\ue000" not in out
        assert any("[2, 1, 3]" in line for line in out.splitlines())


def test_a_command_of_several_lines_is_shown_on_several(learn):
    out = learn("12").out
    assert "\n  $ opcheck explain max_pool2d --kernel-size 2 \\\n  >   --input " in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_the_list_tells_how_far_the_reader_is(learn):
    before = learn("--list").out
    assert before.splitlines() == [f"{entry.number:3}  {entry.title}" for entry in shelf.every()]
    learn("3", typed="19\nq\n")
    (line,) = (line for line in learn("--list").out.splitlines() if LINEAR.title in line)
    assert re.fullmatch(rf"  3  {LINEAR.title}  \(\d+ % read\)", line)
    learn("3", typed="24\n")
    (line,) = (line for line in learn("--list").out.splitlines() if LINEAR.title in line)
    assert line.endswith(f"(done, 2 of {QUESTIONS} right)")


def test_reset_forgets_one_lesson_or_all(learn):
    learn("3", typed="q\n")
    learn("4", typed="q\n")
    assert learn("--reset", "3").out == "Progress in lesson 3 was reset.\n"
    assert learn("--list").out.count("% read") == 1
    assert learn("--reset").out == "Progress in all lessons was reset.\n"
    assert learn("--list").out.count("% read") == 0


def test_the_menu_offers_the_next_lesson_and_comes_back(learn):
    ran = learn(typed="99\nlinear\n19\nq\n")
    first = shelf.every()[0]
    assert f"lesson (Enter for {first.number}, q quits): 99" in ran.out
    assert "a lesson is given by its number or its name. Got '99'" in ran.out
    assert "quits): 19\nRight." in ran.out
    assert ran.code == 0
    assert f"1. {first.title}\n══" in learn(typed="\n").out
    assert learn().out.endswith("lesson (Enter for 2, q quits): \n")  # the first was read to its end just now


def test_a_lesson_that_does_not_exist_is_refused(learn):
    ran = learn("99")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "opcheck: a lesson is given by its number or its name\n  got: '99'\n"
        f"  opcheck learn --list shows the {len(shelf.every())} lessons\n"
    )


def test_progress_that_cannot_be_kept_is_told_once_and_stops_nothing(learn, tmp_path):
    (tmp_path / "file").write_text("")
    ran = learn("3", env={"XDG_STATE_HOME": str(tmp_path / "file")})
    assert ran.code == 0
    assert ran.out.endswith("right.\n")
    assert ran.err.startswith("opcheck: progress cannot be saved: ")
    assert len(ran.err.splitlines()) == 1


def test_colour_when_it_is_wanted_and_never_under_no_color(learn):
    assert "\x1b[1m" in learn("3", "--color=always").out
    assert "\x1b" not in learn("3", env={"NO_COLOR": "1"}, tty=True).out


def test_what_a_command_prints_has_the_width_and_the_colour_of_the_lesson(learn):
    before = dict(os.environ)
    narrow = learn("8", "--width=40", "--color=never", env={"FORCE_COLOR": "1"}).out
    assert "(at 0 the derivative is taken to be 0,\nas torch does)" in narrow and "\x1b" not in narrow
    _, _, printed = learn("8", "--color=always").out.partition("$ opcheck explain relu")
    assert "\x1b" in printed.partition("gradient of input")[0].partition("\n")[2]
    assert dict(os.environ) == before


def test_a_stream_that_is_not_unicode_gets_ascii(learn):
    ran = learn("3", typed="19\n", encoding="ascii")
    assert ran.code == 0
    assert f"3. {LINEAR.title}\n==" in ran.out
    assert "y[n,o] = b[o] + Sum_i x[n,i]*w[o,i]" in ran.out


def test_explain_names_the_lessons_where_somebody_can_follow(learn):
    command = ("explain", "linear", "--input", "2")
    hint = r"\n\nLessons 3, 7(, \d+)* cover it: opcheck learn 3\nProblems to try: opcheck practice linear\n$"
    assert re.search(hint, run(*command, "--color=never", tty=True).out)
    assert "opcheck learn" not in run(*command).out
    assert "opcheck learn" not in run(*command, "--plain", tty=True).out
    assert "cover it" not in learn("3", "--color=never", tty=True).out  # who reads a lesson needs no other
