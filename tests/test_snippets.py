"""The snippet runner, on Markdown files written for it: what it compares, what it rewrites and what it refuses."""

import runpy
from pathlib import Path
from textwrap import dedent

import pytest

from tests import snippets


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Writes a Markdown page; `opcheck` is a stand-in that prints its arguments, or exits with the code it is given."""
    monkeypatch.delenv("UPDATE_SNIPPETS", raising=False)
    stand_in = '#!/bin/sh\ncase "$1" in exit) exit "$2";; *) echo "$COLUMNS $NO_COLOR $*";; esac\n'
    monkeypatch.setattr(snippets, "_install", lambda program: (program.write_text(stand_in), program.chmod(0o755)))
    (tmp_path / "work").mkdir()

    def write(markdown: str) -> Path:
        path = tmp_path / "page.md"
        path.write_text(dedent(markdown), encoding="utf-8")
        return path

    return write


def check(path: Path) -> None:
    snippets.check(path, path.parent / "work")


def test_blocks_have_language_words_text_and_line():
    found = snippets.blocks("a\n\n```python file=a.py x\n1\n```\n  ~~~~\n  2\n    ```\n  ~~~~\n")
    assert found == [
        snippets.Block("python", ("file=a.py", "x"), "1\n", 4),
        snippets.Block("", (), "2\n  ```\n", 7),
    ]
    assert [block.file for block in found] == ["a.py", None]


def test_a_block_whose_package_is_not_installed_stays_as_it_is(page):
    path = page("```python needs=no_such_package\n>>> 1 + 1\n3\n```\n")
    assert snippets.replay(path, path.parent / "work") == path.read_text()
    with pytest.raises(AssertionError, match="as printed now"):
        check(page("```python needs=pytest\n>>> 1 + 1\n3\n```\n"))


def test_a_fence_that_never_closes_is_refused():
    with pytest.raises(ValueError, match="this code fence is never closed: '```python'"):
        snippets.blocks("```console\n$ opcheck ops\n```\n\n```python\n1\n")


def test_what_is_right_passes_and_stays_as_it_is(page):
    path = page("""\
        ```sh
        exit 1
        ```

        ```console
        $ python3 -m venv .venv
        ```

        ```text file=note.txt
        remember
        ```

        1. In a list, with continued lines, blank lines between commands, and a pipe:

           ```console
           $ opcheck explain conv2d \\
           >   --input 4x4
           80 1 explain conv2d --input 4x4

           $ cat note.txt | tr a-z A-Z
           REMEMBER
           $ true

           $ opcheck exit 2
           ```

        ```python
        double = lambda x: 2 * x
        ```

        ```python
        >>> print(double(3), end="\\n\\n.\\n")
        6
        <BLANKLINE>
        .
        >>> def triple(x):
        ...     return 3 * x

        >>> triple(double(1))
        6
        >>> [][0]
        Traceback (most recent call last):
            ...
        IndexError: list index out of range
        ```
        """)
    before = path.read_text()
    check(path)
    assert snippets.replay(path, path.parent / "work") == before


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("```console\n$ opcheck ops\n80 1 op\n```\n", "```console\n$ opcheck ops\n80 1 ops\n```\n"),
        ("```console\n$ opcheck ops\n```\n", "```console\n$ opcheck ops\n80 1 ops\n```\n"),
        ("```console\n$ opcheck exit 1\ngone\n\n$ true\n```\n", "```console\n$ opcheck exit 1\n\n$ true\n```\n"),
        ("```python\n>>> 1 + 1\n3\n```\n", "```python\n>>> 1 + 1\n2\n```\n"),
        ("```python\n>>> x = 1\n1\n```\n", "```python\n>>> x = 1\n```\n"),
    ],
)
def test_a_difference_fails_with_a_diff_and_is_rewritten_on_request(page, monkeypatch, shown, printed):
    path = page(shown)
    with pytest.raises(
        AssertionError, match=r"(?s)--- page.md, as shown.*\+\+\+ page.md, as printed now.*@@"
    ) as failure:
        check(path)
    assert "UPDATE_SNIPPETS=1" in str(failure.value)
    assert path.read_text() == shown
    monkeypatch.setenv("UPDATE_SNIPPETS", "1")
    check(path)
    assert path.read_text() == printed
    monkeypatch.delenv("UPDATE_SNIPPETS")
    check(path)


@pytest.mark.parametrize("code", [4, 127, 139])
def test_an_internal_error_or_a_crash_fails_even_on_update(page, monkeypatch, code):
    monkeypatch.setenv("UPDATE_SNIPPETS", "1")
    with pytest.raises(AssertionError, match=f"page.md, line 2: `opcheck exit {code}` exited {code}"):
        check(page(f"```console\n$ opcheck exit {code}\n```\n"))


def test_a_python_block_that_raises_fails_at_the_line_of_the_page(page):
    path = page("text\n\n```python\nx = 1\nx / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as failure:
        check(path)
    assert failure.traceback[-1].lineno + 1 == 5
    assert str(failure.traceback[-1].path) == str(path)


def test_an_unexpected_exception_is_never_written_as_output(page, monkeypatch):
    monkeypatch.setenv("UPDATE_SNIPPETS", "1")
    with pytest.raises(ZeroDivisionError):
        check(page("```python\n>>> 1 / 0\n1\n```\n"))


def test_the_installed_program_is_this_checkout(tmp_path):
    program = tmp_path / "opcheck"
    snippets._install(program)
    assert str(snippets.ROOT) in program.read_text()
    assert (snippets.ROOT / "opcheck" / "__init__.py").is_file()


def test_the_installed_program_may_start_worker_processes(tmp_path):
    program = tmp_path / "opcheck"
    snippets._install(program)
    runpy.run_path(str(program), run_name="__mp_main__")  # as a worker imports it: nothing runs
