"""The reference of an assignment's keys has all of them, with examples that are valid."""

import re

import pytest

from opcheck.errors import Refused
from opcheck.grading.assignments import reference
from opcheck.grading.assignments.assignment import PARTS, parse
from opcheck.grading.assignments.reader import Reader

QUESTION = '[[question]]\noperator = "conv2d"\n'


def asked(monkeypatch) -> dict[str, set[str]]:
    """The keys that are looked for in each table."""
    found: dict[str, set[str]] = {}

    def finish(self, allowed=""):
        name = ".".join(word for word in self._path if isinstance(word, str))
        found.setdefault(name, set()).update(self._asked)

    monkeypatch.setattr(Reader, "finish", finish)
    parse(f"[limits]\n[late]\nper_day = 1\ndue = 2026-12-01\n{QUESTION}")
    return found


def test_every_key_is_there_and_no_other(monkeypatch):
    known = asked(monkeypatch)
    for table in ("", "limits", "late", "question"):
        listed = {each.name for each in reference.every() if each.table == table}
        tables = {"limits", "late", "question", "points", "parameters"}
        assert listed == known[table] - tables, table
    assert {each.name for each in reference.every() if each.table == "question.points"} == set(PARTS)


@pytest.mark.parametrize("key", reference.every(), ids=lambda key: f"{key.table}.{key.name}")
def test_every_example_is_valid(key):
    if key.name in ("spec", "depends_on") or (key.table == "" and key.name == "convention"):
        return  # which name something that is not there
    line = f'"{key.name}" = {key.example}\n'
    texts = {
        "": line + QUESTION,
        "question": QUESTION + line if key.name != "operator" else f"[[question]]\n{line}",
        "question.points": f"{QUESTION}[question.points]\n{line}",
        "question.parameters": f"{QUESTION}[question.parameters]\n{line}",
    }
    op = {"dims": "relu", "ties": "relu", "probabilities": "cross_entropy"}.get(key.name, "conv2d")
    try:
        parse(texts.get(key.table, f"[{key.table}]\n{line}{QUESTION}").replace("conv2d", op, 1))
    except Refused as error:
        assert key.name == "convention" and "cs231n" in str(error), error  # which cannot say what is asked


def test_every_meaning_says_what_holds_without_it():
    for key in reference.every():
        if key.table in ("", "limits", "late"):
            assert re.search(r"Default: |Without it", key.meaning), key


def test_the_text_is_comments_that_fit_a_page():
    lines = reference.render().splitlines()
    assert all(line.startswith("#") and len(line) <= 80 for line in lines)
    assert "{" not in reference.render().replace("{ ... }", "")
