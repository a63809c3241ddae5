"""Colour, width, encoding and hints: what depends on where the text goes."""

import pytest

from opcheck.render.layout import width
from tests.app.support import run

CONV = ("explain", "conv2d", "--input", "4x4")
ESCAPE = "\x1b["


@pytest.mark.parametrize(
    ("flag", "env", "tty", "coloured"),
    [
        (None, {}, True, True),
        (None, {}, False, False),
        (None, {"NO_COLOR": "1"}, True, False),
        (None, {"NO_COLOR": ""}, True, True),
        (None, {"TERM": "dumb"}, True, False),
        (None, {"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        (None, {"FORCE_COLOR": "1"}, False, True),
        (None, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_the_flag_beats_no_color_beats_force_color_beats_the_terminal(flag, env, tty, coloured):
    ran = run(*CONV, *(("--color", flag) if flag else ()), env=env, tty=tty)
    assert ran.code == 0
    assert (ESCAPE in ran.out) == coloured


@pytest.mark.parametrize("format", ["json", "latex", "markdown", "html"])
def test_only_text_is_coloured(format):
    assert ESCAPE not in run(*CONV, "--format", format, "--color", "always", tty=True).out


def test_a_file_is_never_coloured(tmp_path):
    assert run(*CONV, "--color", "always", "-o", str(tmp_path / "x")).code == 0
    assert ESCAPE not in (tmp_path / "x").read_text(encoding="utf-8")


def test_colour_repeats_what_the_text_says_anyway():
    import re

    coloured = run(*CONV, "--color", "always").out
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == run(*CONV).out


def widest(text: str) -> int:
    return max(map(width, text.split("\n")))


def test_the_width_is_the_flags_else_columns_else_80():
    wide = ("explain", "conv2d", "--input", "5x5", "--weight", "3x3", "--grad", "--bias", "[1]")
    assert widest(run(*wide).out) <= 80
    assert widest(run(*wide, env={"COLUMNS": "50"}).out) <= 50
    assert 80 < widest(run(*wide, env={"COLUMNS": "120"}).out) <= 120
    assert widest(run(*wide, "--width", "60", env={"COLUMNS": "120"}).out) <= 60
    assert run(*wide, env={"COLUMNS": "what?"}).out == run(*wide).out


def test_a_narrow_encoding_gets_ascii_instead_of_an_error():
    ran = run(*CONV, encoding="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == run(*CONV, "--ascii").out


@pytest.mark.parametrize("format", ["json", "latex", "markdown", "html"])
def test_every_format_survives_a_narrow_encoding(format):
    ran = run(*CONV, "--format", format, encoding="ascii")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.isascii()


def test_hints_are_for_somebody_who_can_follow_them():
    hint = "opcheck ops OP shows one"
    assert hint in run("ops", tty=True).out
    assert hint not in run("ops").out
    assert hint not in run("ops", "--plain", tty=True).out


@pytest.mark.parametrize("there", ["", "missing/out", "file/out", "x" * 4096])
@pytest.mark.parametrize(
    "command",
    [
        ("explain", "relu", "--input", "3", "-o"),
        ("trace", "x*x", "--at", "x=2", "-o"),
        ("trace", "x*x", "--at", "x=2", "--graph", "svg", "-o"),
        ("ops", "-o"),
        ("doctor", "-o"),
        ("verify", "relu", "--impl", "nowhere.py:f", "--junit"),
        ("verify", "relu", "--impl", "nowhere.py:f", "--html"),
        ("grade", "relu", "--init", "-o"),
        ("grade", "nowhere.toml", "--bundle", "gradescope", "-o"),
        ("grade", "nowhere", "--op", "relu", "--journal"),
    ],
)
def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path, command, there):
    (tmp_path / "file").write_text("")
    ran = run(*command, str(tmp_path / there))
    assert (ran.code, ran.out) == (2, "")
    assert str(tmp_path)[:40] in ran.err and "nowhere" not in ran.err
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "command",
    [("verify", "relu", "--impl", "nowhere.py:f", "--save"), ("grade", "nowhere", "--op", "relu", "-o")],
)
def test_a_folder_that_cannot_be_made_is_told_before_the_work(tmp_path, command):
    (tmp_path / "file").write_text("")
    ran = run(*command, str(tmp_path / "file" / "folder"))
    assert (ran.code, ran.out) == (2, "")
    assert "Not a directory" in ran.err


def test_a_device_and_a_link_stay_what_they_are(tmp_path):
    (tmp_path / "link").symlink_to("target")
    assert run(*CONV, "-o", str(tmp_path / "link")).code == 0
    assert (tmp_path / "link").is_symlink() and "step 1 of 9" in (tmp_path / "target").read_text(encoding="utf-8")
    assert run(*CONV, "-o", "/dev/null").code == 0


def test_half_a_character_in_the_output_is_shown():
    assert "\\ud800" in run("trace", "\ud800*x", "--at", "x=2").err
