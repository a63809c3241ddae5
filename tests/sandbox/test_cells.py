"""A notebook becomes the module that Jupyter would have run."""

import ast
import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.sandbox.inside import cells
from opcheck.sandbox.inside.cells import Module, NotANotebook, Skipped, module


def notebook(*cells, **more):
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], **more})


def test_cells_in_order_and_text_left_out():
    given = [
        {"cell_type": "markdown", "source": "# x = 0"},
        {"cell_type": "code", "source": ["x = 1\n", "y = 2"]},
        {"cell_type": "code", "source": "z = x"},
    ]
    assert module(json.dumps({"cells": given})) == Module("x = 1\ny = 2\n\nz = x\n", 0, (), ((1, 0), (2, 3)))


def test_format_3_is_read():
    given = [{"cell_type": "code", "input": ["x = 1"]}]
    assert module(json.dumps({"worksheets": [{"cells": given}]})) == Module("x = 1\n", 0, (), ((1, 0),))


@pytest.mark.parametrize(
    ("cell", "becomes", "lines"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1", 1),
        ("!pip install numpy\n%load_ext autoreload", "pass\npass", 2),
        ("if True:\n    !ls\n    x = 1", "if True:\n    pass\n    x = 1", 1),
        ("files = !ls\nx = 1", "pass\nx = 1", 1),
        ("a, b = %time f()", "pass", 1),
        ("np.sum?", "pass", 1),
        ("%%time\nx = 1", "\nx = 1", 1),
    ],
)
def test_magics_go_and_the_rest_stays_on_its_lines(cell, becomes, lines):
    assert module(notebook(cell)) == Module(becomes + "\n", lines, (), ((1, 0),))


@pytest.mark.parametrize("cell", ["x = (7\n  % 4)", 's = """\n%d items\n!"""\n', "ok = [1\n!= 2]"])
def test_python_that_looks_like_a_magic_stays(cell):
    assert module(notebook(cell)) == Module(cell.rstrip("\n") + "\n", 0, (), ((1, 0),))


def test_cells_of_another_language_and_broken_cells_are_left_out_with_a_note():
    text, _, skipped, _ = module(notebook("%%bash\nrm -rf .", "x = (", "y = 1", "\0"))
    assert text == "y = 1\n"
    assert skipped[:2] == (Skipped(1, "magic", "bash"), Skipped(2, "error", "'(' was never closed", 1))
    assert skipped[2] == Skipped(4, "error", "source code string cannot contain null bytes")


def counted(monkeypatch) -> list[str]:
    """The texts that are parsed from now on."""
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(cells.ast, "parse", lambda text: parsed.append(text) or parse(text))
    return parsed


def test_thousands_of_commands_are_read_a_few_times(monkeypatch):
    parsed = counted(monkeypatch)
    assert module(notebook("x = 1\n" + "%a\n" * 4000 + "y = 2")).commands == 4000
    assert len(parsed) == 2
    parsed.clear()
    text, _, skipped, _ = module(notebook("%a\n0\n" * 2000, "y = 2"))
    assert text == "y = 2\n" and skipped == (Skipped(1, "commands"),)
    assert len(parsed) <= cells.MOST_COMMANDS + 2


@pytest.mark.parametrize(
    "line", [" " * 1_000_000 + "x y", "x" + " " * 1_000_000 + "?y", "a," * 500_000 + "(", "?" * 500_000]
)
def test_a_long_line_is_looked_at_a_few_times(line):
    """Quadratic in the length, each of these takes hours."""
    module(notebook(line))


def test_reasons_are_short_and_few():
    _, _, skipped, _ = module(notebook(*["%%" + "b" * 10_000] * 1000))
    assert len(skipped) == cells.MOST_SKIPPED and all(len(each.text) <= cells.TEXT_LIMIT for each in skipped)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "json"),
        ("[" * 100_000, "json"),
        ("null", "cells"),
        ('{"cells": 3}', "cells"),
        ('{"worksheets": []}', "cells"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "language"),
    ],
)
def test_what_is_no_notebook_is_refused(text, kind):
    with pytest.raises(NotANotebook) as refused:
        module(text)
    assert refused.value.kind == kind


def compiles(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # `1()` is Python
        compile(text, "notebook", "exec")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "worksheets", "source", "input", "cell_type", "metadata", "kernelspec", "language"]
            ),
            inner | st.just("code"),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_a_notebook_or_is_refused(document):
    try:
        text = module(json.dumps(document)).text
    except NotANotebook:
        return
    compiles(text)  # what is taken over is Python


@given(st.lists(st.text(alphabet="%!?=x1()\n \"'#:", max_size=12), max_size=4))
def test_whatever_the_cells_what_comes_out_is_python(sources):
    compiles(module(notebook(*sources)).text)
