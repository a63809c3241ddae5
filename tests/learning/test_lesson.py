"""A lesson's Markdown as parts, and lessons on the shelf."""

from textwrap import dedent

import pytest

from opcheck.errors import Refused
from opcheck.learning import lesson, shelf
from opcheck.learning.lesson import Code, Prose, Question, Slip

LESSON = dedent("""\
    # Title

    Prose with a block that does not run:

    ```text
    >>> no
    ```

    ```python file=layer.py
    x = 1
    ```

    ```console
    $ opcheck ops \\
    >   linear
    output
    $ opcheck doctor
    ```

    ## Section

    ```console
    $ pip install opcheck
    ```

    What is 1 + 1?

    <details><summary>Hint</summary>

    Count.

    </details>

    <details>
    <summary>Answer, to 2 decimals</summary>

    ```python needs=sys
    >>> 1 + 1
    2
    ```

    Since 1 follows 0.

    </details>

    <details><summary>Slip: They were multiplied.</summary>

    ```python
    >>> 1 * 1
    1
    ```
    </details>

    And the end.
    """)


def test_parts_come_in_order():
    parts = lesson.parts(LESSON)
    assert parts == (
        Prose("# Title\n\nProse with a block that does not run:\n\n```text\n>>> no\n```\n"),
        Code("python", ("file=layer.py",), "x = 1\n"),
        Code("console", (), "$ opcheck ops \\\n>   linear\noutput\n$ opcheck doctor\n"),
        Prose("## Section\n\n```console\n$ pip install opcheck\n```\n\nWhat is 1 + 1?\n"),
        Question(
            Code("python", ("needs=sys",), ">>> 1 + 1\n2\n"),
            2,
            ("Count.",),
            (Slip("They were multiplied.", Code("python", (), ">>> 1 * 1\n1\n")),),
            "Since 1 follows 0.",
        ),
        Prose("And the end.\n"),
    )
    assert parts[1].file == "layer.py"
    assert not parts[1].runs_python
    assert parts[2].commands == ["opcheck ops   linear", "opcheck doctor"]
    assert parts[2].written == ["opcheck ops \\\n>   linear", "opcheck doctor"]
    assert parts[4].code.missing is None


def test_a_block_says_which_package_is_missing():
    assert Code("python", ("needs=no_such_package",), "1").missing == "no_such_package"


ANSWER = "<details><summary>Answer</summary>\n\n```python\n>>> 1\n1\n```\n\n</details>\n"


def test_two_questions_are_two_when_prose_stands_between():
    one, two = (part for part in lesson.parts(f"{ANSWER}\nmore\n\n{ANSWER}") if isinstance(part, Question))
    assert one == two
    assert one.decimals is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ANSWER + ANSWER, "a question has one answer, not 2"),
        (ANSWER.replace("Answer", "Hint"), "a question has one answer, not 0"),
        (ANSWER.replace("Answer", "Answr"), "a folded part is a Hint, an Answer or 'Slip: sentence', not 'Answr'"),
        (ANSWER.replace("Answer", "Slip"), "a folded part is a Hint, an Answer or 'Slip: sentence', not 'Slip'"),
        (ANSWER.replace(">>> ", ""), "an answer is computed by one block with >>> prompts"),
        (ANSWER.replace("python", "text"), "an answer is computed by one block with >>> prompts"),
    ],
)
def test_a_question_that_is_not_written_as_one_is_an_error_of_the_lesson(text, message):
    with pytest.raises(ValueError, match=message):
        lesson.parts(text)


# --- the shelf ---


def test_lessons_are_found_by_number_and_by_name():
    linear = shelf.find("3")
    assert linear == shelf.find("03") == shelf.find("03-linear") == shelf.find("linear")
    assert (linear.number, linear.title) == (3, "From the dot product to the Linear layer")
    with pytest.raises(Refused) as refused:
        shelf.find("99")
    assert str(refused.value) == (
        "a lesson is given by its number or its name. Got '99'. "
        f"opcheck learn --list shows the {len(shelf.every())} lessons"
    )
    assert linear in shelf.treating("linear")
    assert shelf.treating("no_such_operator") == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [("1-a.md", "---\noperators:\n---\n# 1. A\n"), ("01-a.md", "# 1. A\n"), ("01-a.md", "---\noperators:\n---\nA\n")],
)
def test_a_file_without_number_front_matter_or_title_is_no_lesson(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=r"a lesson is called NN-name\.md and begins with front matter and a title"):
        shelf.entry(tmp_path / name)


def test_the_head_of_a_lesson(tmp_path):
    (tmp_path / "01-a.md").write_text("---\noperators: relu,  tanh\n---\n# 1. What a tensor is\n")
    entry = shelf.entry(tmp_path / "01-a.md")
    assert (entry.name, entry.number, entry.title) == ("01-a", 1, "What a tensor is")
    assert entry.operators == ("relu", "tanh")


def test_an_installed_package_has_its_lessons_beside_it(tmp_path, monkeypatch):
    (tmp_path / "opcheck" / "learning").mkdir(parents=True)
    monkeypatch.setattr(shelf, "HERE", tmp_path / "opcheck" / "learning")
    assert shelf.directory() == tmp_path / "lessons"
    (tmp_path / "opcheck" / "learning" / "lessons").mkdir()
    assert shelf.directory() == tmp_path / "opcheck" / "learning" / "lessons"
