"""Lessons with live code: a Markdown file is read, its blocks are run and its questions are checked.

A lesson is `lessons/NN-name.md`, plain Markdown that reads well on a code host:

    ---
    operators: linear, mse_loss        `opcheck explain linear` names this lesson; may be empty
    ---
    # 3. From the dot product to the Linear layer

    Prose. Then blocks, which run in order and share their names, as tests/snippets.py runs them:

    ```python                          with `>>>` prompts: lines that print run when the reader presses Enter, and what
                                       they print is compared by the tests. Without prompts: shown and run at once
    ```console                         each `$ opcheck ...` runs when the reader presses Enter (no shell: no pipes)
    ```python file=layer.py            is written to that file in the lesson's directory
    ```python needs=torch              is left out, with a line that says so, where torch is not installed; console too

A question is the prose before a run of `<details>`, which a code host folds. Exactly one of them is the answer:

    <details><summary>Hint</summary>                    any number of hints, shown one at a time
    ...
    </details>

    <details><summary>Answer, to 4 decimals</summary>   or "Answer" alone: then the answer is exact, or a word

    ```python                                           with `>>>` prompts: the value of the last line (or what it
    ...                                                 prints) is the answer; it is computed, never typed in. Prose
    ```                                                 around is told afterwards

    </details>

    <details><summary>Slip: rows and columns were swapped.</summary>
    (a `>>>` block whose last value is what that slip gives; the sentence is told to whoever answers it)
    </details>

The answer is a number, a fraction, a calculation (1*2 + 3*4), an array (lists or tuples, a shape), a word (compared
without case) or True/False.
Operators that the lesson imported by name (`from opcheck.reference import linear`) also run with each mistake of their
catalogue in the answer's block: an answer that a mistake would give is told which mistake it is.

What stands in sight needs no name that only an answer defines, and code has at most 78 columns. A lesson ends with
`## What people get wrong`, whose items are sentences of the catalogue followed by the mistake's name in parentheses
(the tests compare them), and `## Exercises` with three questions. The sums in the prose are computed again.
"""
