"""Every key of an assignment: its meaning and its default. `--init --explain` prints them."""

import textwrap
from typing import NamedTuple

from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import FEEDBACK, PARTIAL, PARTS, SECONDS, VISIBILITY
from opcheck.language import say

WIDTH = 80


class Key(NamedTuple):
    """A key of a table ("" is the top), an example of its value as TOML, and a sentence or two."""

    table: str
    name: str
    example: str
    meaning: str


def tables() -> dict[str, str]:
    """What each table of the file is for."""
    return {
        "": say("At the top, before any table:"),
        "limits": say("[limits]: what a submission may use"),
        "late": say("[late]: what lateness costs; without it, nothing"),
        "question": say("[[question]]: one operator that students write, as often as you like"),
        "question.points": say("[question.points], or points = { ... }: what each part is worth; default: forward 4, "
                               "shapes 1, vjp 4 (an optimiser has no vjp)"),
        "question.parameters": say("[question.parameters]: which values of each parameter are asked; default: what "
                                   "an introductory course teaches, as --init writes it; a parameter without a list "
                                   "may be left out of a function, or refused by an exception, but must be right "
                                   "where the function takes it"),
    }  # fmt: skip


def every() -> tuple[Key, ...]:
    """The reference, in the order of a file."""
    return (*_top(), *_limits(), *_late(), *_question(), *_points(), *_parameters())


def _top() -> tuple[Key, ...]:
    words, levels = " | ".join(PARTIAL), " | ".join(FEEDBACK)
    return (
        Key("", "title", '"Homework 1"', say("The title of pages and tables. Default: the file's name.")),
        Key("", "convention", '"functional"', say(
            "The calling convention: {names}, a .py file here, or any: whichever each submission follows. Default: "
            "functional.", names=", ".join((*conventions.NAMES, *conventions.COURSES)))),
        Key("", "dtype", '"float32"', say("The precision required: float32 or float64. Default: float32.")),
        Key("", "arrays", '"numpy"', say("What functions get: numpy or torch. Default: the convention's.")),
        Key("", "partial", '"cases"', say("{words}: points for the share of the kinds of cases that are right, or "
                                          "only if all are. Default: none.", words=words)),
        Key("", "feedback", '"worked calculation"', say("How much students are told, from least to most: {levels}. "
                                                        "Default: worked calculation.", levels=levels)),
        Key("", "visibility", '"visible"', say("When Gradescope shows a check: {words}. Default: visible.",
            words=" | ".join(VISIBILITY))),
        Key("", "seed", '"fresh"', say("fresh: cases are drawn after a submission is read. A number repeats a run. "
                                       "Default: fresh.")),
        Key("", "allowed", '["numpy"]', say("What may be imported besides the standard library; anything else "
                                            "behaves as if it were not installed. Default: everything that is not "
                                            "forbidden.")),
        Key("", "forbidden", '["torch"]', say("Modules that may not be imported; no effect beside allowed. Default: "
                                              "none.")),
        Key("", "file", '"mytorch/linear.py"', say("The file of a submission to look in. Default: all files.")),
        Key("", "only_found", "false", say("true: what a submission does not define is not asked. Default: false.")),
        Key("", "language", '"en"', say("Of the text that students and teachers read. Default: en.")),
    )  # fmt: skip


def _limits() -> tuple[Key, ...]:
    return (
        Key("limits", "seconds", "10", say("Time for the cases of one question. Default: 10.")),
        Key("limits", "total_seconds", "60", say("Time for a whole submission. Default: 60.")),
        Key("limits", "memory", "2048", say("MiB, at least 128, with torch 1024. Default: 2048.")),
        Key("limits", "output", "64", say("KiB that a submission may print. Default: 64.")),
        Key("limits", "processes", "1", say("Processes of a submission; only 1 is possible. Default: 1.")),
    )


def _late() -> tuple[Key, ...]:
    return (
        Key("late", "due", "2026-12-01T23:59:00", say("The deadline, compared with the submission times in the "
                                                      "roster; a date ends at midnight. Default: none; the roster "
                                                      "then gives late days.")),
        Key("late", "per_day", "10", say("Percent deducted for each day late, or part of a day. Default: 10.")),
        Key("late", "free_days", "0", say("Late days that cost nothing. Default: 0.")),
        Key("late", "most", "100", say("Percent deducted at most. Default: 100.")),
        Key("late", "grace", "0", say("Minutes after the deadline that do not count as late. Default: 0.")),
        Key("late", "of", '"points"', say("What the percentage is of: points or score. Default: points.")),
    )  # fmt: skip


def _question() -> tuple[Key, ...]:
    return (
        Key("question", "operator", '"conv2d"', say("An operator's name (opcheck ops lists them). This or spec is "
                                                    "required.")),
        Key("question", "spec", '"reference.py:attention"', say("Your own function or operator instead, in a file "
                                                                "beside this one, which no submission can see.")),
        Key("question", "name", '"conv2d"', say("What it is called in results. Default: the operator's name.")),
        Key("question", "entry", '"conv2d"', say("The function or class to look for. Default: the convention's names "
                                                 "(opcheck ops conv2d --convention cs231n).")),
        Key("question", "backward", '"conv2d_backward"', say("The function that gives gradients. Default: the "
            "convention's.")),
        Key("question", "hidden", "false", say("true: students see only the total of its checks. Default: false.")),
        Key("question", "depends_on", '["linear"]', say("Earlier questions whose forward pass must be right. Default: "
            "none.")),
        Key("question", "seconds", f"{SECONDS:g}", say("For the part efficiency: one call on a case of the size of a "
            "training step, 64×2×64×64 for conv2d, forward and backward. Six nested loops take longer. Default: "
            "{seconds:g}.", seconds=SECONDS)),
        *(Key("question", name, example, say("As at the top, for this question."))
          for name, example in (("convention", '"cs231n"'), ("dtype", '"float64"'), ("arrays", '"torch"'),
                                ("partial", '"none"'), ("feedback", '"part"'), ("visibility", '"after_due_date"'),
                                ("file", '"conv.py"'))),
    )  # fmt: skip


def _points() -> tuple[Key, ...]:
    meanings = {
        "forward": say("The values of the forward pass."),
        "vjp": say('All gradients. "vjp:weight" is just one of them.'),
        "shapes": say("The shapes of results and gradients; their types, too, where dtype has no points."),
        "dtype": say("Their types: float32 in, float32 out."),
        "accuracy": say("As many correct digits as the operator allows."),
        "stability": say("Large and small numbers without overflow."),
        "special values": say("Infinities, NaN, and for losses probabilities of 0 and 1."),
        "repeat": say("A second backward pass gives the same gradients and adds nothing."),
        "efficiency": say("A large case within `seconds`: too much for loops in Python."),
    }  # fmt: skip
    return tuple(Key("question.points", part, "1", meanings[part]) for part in PARTS)


def _parameters() -> tuple[Key, ...]:
    return (
        Key("question.parameters", "stride", "[1, 2]", say("A list of values, for any parameter of the operator; "
            "pairs as [2, 3].")),
        Key("question.parameters", "bias", "[true, false]", say("An optional array: whether it is given.")),
        Key("question.parameters", "kernel_size", "[3, [2, 3]]", say("Of a convolution's weight, or of a pool.")),
        Key("question.parameters", "batch", "[1, 4]", say("How many examples a call has.")),
        Key("question.parameters", "dims", "[2]", say("How many dimensions an activation's input has.")),
        Key("question.parameters", "ties", "[true, false]", say("Whether equal maxima, or zeros of relu, are asked.")),
        Key("question.parameters", "integers", "[true, false]", say("Whether inputs of an integer type are asked.")),
        Key("question.parameters", "probabilities", "[false]", say("For cross_entropy: targets that are "
                                                                   "distributions.")),
    )  # fmt: skip


def render() -> str:
    """The reference as comments of TOML, at most 80 columns wide."""
    lines = [f"# {say('Every key of an assignment, with an example:')}"]
    for table, told in tables().items():
        lines += ["#", *_comment(told, "# ")]
        for key in (each for each in every() if each.table == table):
            name = key.name if " " not in key.name else f'"{key.name}"'
            lines += [f"#   {name} = {key.example}", *_comment(key.meaning, "#       ")]
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
