"""A notebook becomes the module that Jupyter would have run."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.grading.submissions.notebook import NotANotebook, module


def notebook(*cells, **more):
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], **more})


def test_cells_in_order_and_text_left_out():
    cells = [
        {"cell_type": "markdown", "source": "# x = 0"},
        {"cell_type": "code", "source": ["x = 1\n", "y = 2"]},
        {"cell_type": "code", "source": "z = x"},
    ]
    assert module(json.dumps({"cells": cells})) == ("x = 1\ny = 2\n\nz = x\n", ())


def test_format_3_is_read():
    cells = [{"cell_type": "code", "input": ["x = 1"]}]
    assert module(json.dumps({"worksheets": [{"cells": cells}]})) == ("x = 1\n", ())


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
    text, notes = module(notebook(cell))
    assert text == becomes + "\n"
    assert len(notes) == 1 and notes[0].startswith(f"{lines} line")


@pytest.mark.parametrize("cell", ["x = (7\n  % 4)", 's = """\n%d items\n!"""\n', "ok = [1\n!= 2]"])
def test_python_that_looks_like_a_magic_stays(cell):
    assert module(notebook(cell)) == (cell.rstrip("\n") + "\n", ())


def test_cells_of_another_language_and_broken_cells_are_left_out_with_a_note():
    text, notes = module(notebook("%%bash\nrm -rf .", "x = (", "y = 1", "\0"))
    assert text == "y = 1\n"
    assert notes[0] == "code cell 1 was left out: its first line is %%bash"
    assert notes[1].startswith("code cell 2 was left out: '(' was never closed (line 1 of the cell)")
    assert notes[2].startswith("code cell 4 was left out: source code string cannot contain null bytes")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("null", "no list of cells"),
        ('{"cells": 3}', "no list of cells"),
        ('{"worksheets": []}', "no list of cells"),
    ],
)
def test_what_is_no_notebook_is_refused(text, said):
    with pytest.raises(NotANotebook, match=said):
        module(text)


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
        text, _ = module(json.dumps(document))
    except NotANotebook:
        return
    compile(text, "notebook", "exec")  # what is taken over is Python


@given(st.lists(st.text(alphabet="%!?=x1()\n \"'#:", max_size=12), max_size=4))
def test_whatever_the_cells_what_comes_out_is_python(cells):
    text, _ = module(notebook(*cells))
    compile(text, "notebook", "exec")
