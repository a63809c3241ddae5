"""The self-test that students run at home: a few public cases and what comes out, and no line of an answer."""

import re
from collections.abc import Iterator, Mapping, Sequence

from opcheck.grading.assignments.assignment import Assignment
from opcheck.grading.conventions.base import Reading
from opcheck.grading.handouts.example import MODULE, literal, places
from opcheck.grading.handouts.task import Public, Task
from opcheck.language import say
from opcheck.operators.spec import Array
from opcheck.verification.casefile import Trial

NAME = "selftest.py"
_HELPERS = """

def load(file):
    path = Path(__file__).parent / file
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def first(*places):
    for place in places:
        try:
            found = place()
        except (AttributeError, KeyError, IndexError, TypeError, NameError):
            continue
        if hasattr(found, "shape") or isinstance(found, (int, float)):
            return found
    raise AssertionError({NOWHERE})


def close(name, got, expected):
    if hasattr(got, "detach"):
        got = got.detach()
    got, expected = numpy.asarray(got), numpy.asarray(expected)
    if got.shape != expected.shape:
        raise AssertionError({SHAPE}.format(name=name, got=got.shape, want=expected.shape))
    # room for float32 and any order of summation: the grade has a bound for each number
    if not numpy.allclose(got, expected, rtol=1e-4, atol=1e-5):
        raise AssertionError({VALUE}.format(name=name, got=got, want=expected))

"""
_MAIN = """

def main():
    failed = 0
    for name, test in [*globals().items()]:
        if not name.startswith("test_"):
            continue
        try:
            test()
        except NotImplementedError:
            told = {UNWRITTEN}
        except AssertionError as error:
            told = str(error)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        else:
            told = ""
        failed += bool(told)
        print(f"{test.__doc__}: {told or 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
"""


def render(assignment: Assignment, tasks: Sequence[Task]) -> str:
    """A program that needs numpy (and torch, where the convention is torch's) and nothing of opcheck."""
    title = assignment.title.replace("\\", "").replace('"""', "")
    told = say("Checks your work on a few public cases: python {file}. Grading uses other cases, and checks more.",
               file=NAME)  # fmt: skip
    libraries = {name for task in tasks for case in task.cases for name in case.example.libraries} | {"numpy"}
    imports = "".join(f"import {name}\n" for name in sorted(libraries))
    head = f'"""{title}\n\n{told}\n"""\n\nimport importlib.util\nimport sys\nfrom pathlib import Path\n\n{imports}'
    sentences = {
        "NOWHERE": say("no result was found where one is expected"),
        "SHAPE": say("{name} has shape {got}; it should be {want}", name="{name}", got="{got}", want="{want}"),
        "VALUE": say("{name} is\n{got}\nand should be\n{want}", name="{name}", got="{got}", want="{want}"),
        "UNWRITTEN": say("not written yet"),
    }
    tests = "\n\n\n".join(_tests(tasks))
    return _filled(head + _HELPERS, sentences) + "\n" + tests + "\n" + _filled(_MAIN, sentences)


def _filled(text: str, sentences: Mapping[str, str]) -> str:
    for name, sentence in sentences.items():
        text = text.replace(f"{{{name}}}", repr(sentence))
    return text


def _tests(tasks: Sequence[Task]) -> Iterator[str]:
    taken: set[str] = set()
    for task in tasks:
        for number, case in enumerate(task.cases, start=1):
            word = re.sub(r"\W+", "_", task.question.name, flags=re.ASCII).strip("_") or "question"
            name = f"test_{word}_{number}"
            while name in taken:
                name += "_"
            taken.add(name)
            yield "\n".join([f"def {name}():", *(f"    {line}" for line in _lines(task, case))])


def _lines(task: Task, case: Public) -> Iterator[str]:
    yield repr(say("{question}, {call}", question=task.question.name, call=call(case.trial)))
    yield f"{MODULE} = load({task.file!r})"
    for name, array in case.example.arrays.items():
        yield f"{name} = {literal(array)}"
    yield from case.example.forward
    yield from _compared(case.example.outputs, case.outputs, gradient=False)
    yield from case.example.backward
    yield from _compared(case.example.gradients, case.gradients, gradient=True)


def _compared(readings: Mapping[str, Reading], expected: Mapping[str, Array], gradient: bool) -> Iterator[str]:
    for name, reading in readings.items():
        told = say("the gradient of {name}", name=name) if gradient else name
        several = places(reading)
        read = several[0] if len(several) == 1 else f"first({', '.join(f'lambda: {each}' for each in several)})"
        yield f"close({told!r}, {read}, {literal(expected[name])})"


def call(trial: Trial) -> str:
    """The sizes and parameters of a case, in a line."""
    shapes = [f"{name} {'x'.join(map(str, array.shape))}" for name, array in trial.case.arrays.items()]
    return ", ".join([*shapes, *(f"{name}={value!r}" for name, value in trial.case.params.items())])
