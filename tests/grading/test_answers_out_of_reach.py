"""A teacher's file, its folder and its bytecode can never be read by a submission; a student's file of the same name is
the student's."""

import json
import shutil
import zipfile

import pytest

from opcheck.app import run
from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import read
from opcheck.grading.assignments.scaffold import single
from opcheck.grading.classes.classroom import grade_class
from opcheck.sandbox import Isolation, capabilities
from opcheck.sandbox.probe import capability

REFERENCE = 'import numpy as np\n\ndef gate(x: "N D", w: "D"):\n    """A gate."""\n    return np.tanh(x * w)\n'
ASKED = '[[question]]\nspec = "reference.py:gate"\npoints = { forward = 4 }\n'
RIGHT = "import numpy as np\ndef gate(x, w): return np.tanh(x * w)\n"
OURS = "from opcheck.grading.conventions import get\nCONVENTION = get('functional')\n"
STOLEN = {
    "by import": "from reference import gate",
    "by a relative import": "from .reference import gate",
    "from beside": "import sys; sys.path[:0] = [FOLDER]; from reference import gate",
    "by its text": "exec(open(FOLDER + '/reference.py').read())",
    "by its bytecode": "import glob, marshal\nfile = glob.glob(FOLDER + '/__pycache__/reference*.pyc')[0]\n"
    "exec(marshal.loads(open(file, 'rb').read()[16:]))",
    "by a list": "import os\nif 'reference.py' in os.listdir(FOLDER): from numpy import multiply as gate",
}  # fmt: skip


@pytest.fixture(params=[Isolation.BUBBLEWRAP, Isolation.LANDLOCK])
def under(request, monkeypatch):
    """Grading under one kind of isolation."""
    if not capability(request.param).works:
        pytest.skip(f"{request.param} cannot be tested on this machine: {capabilities()}")
    monkeypatch.setattr("opcheck.grading.judging.judge.choose", lambda unsafe=False: request.param)
    return request.param


@pytest.fixture
def course(tmp_path):
    (tmp_path / "reference.py").write_text(REFERENCE)
    (tmp_path / "hw.toml").write_text(ASKED)
    import importlib.util
    import py_compile

    py_compile.compile(str(tmp_path / "reference.py"), importlib.util.cache_from_source(str(tmp_path / "reference.py")))
    return tmp_path


def score(course, path, asked=None, **options):
    with grade_class([path], asked or read(course / "hw.toml"), seed=1, progress=False, **options) as found:
        return {result.student: result.score for result in found.results}


@pytest.mark.parametrize("way", STOLEN)
def test_nothing_of_the_teachers_is_reached(under, course, way):
    """In one run of a class: a file beside reference.py, and a folder of a student who guesses where that is."""
    code = f"FOLDER = {str(course)!r}\n{STOLEN[way]}\n"
    (course / "ann.py").write_text(code)
    (course / "submissions" / "bob").mkdir(parents=True)
    (course / "submissions" / "bob" / "gate.py").write_text(code)
    assert score(course, course / "ann.py") == {"ann": 0}
    assert score(course, course / "submissions") == {"bob": 0}
    (course / "submissions").rename(course.parent / f"{course.name}-moved")
    assert score(course, course) == {"ann": 0}, "reference.py is no student"
    assert score(course, course, student="Ann") == {"Ann": 0}, "the folder is seen without it"
    assert score(course, course / "ann.py", within=course) == {"ann": 0}


def test_a_spec_that_is_named_on_the_command_line_is_kept_as_safe(under, course, monkeypatch):
    (course / "ann.py").write_text(by_all_ways(course))
    monkeypatch.chdir(course)
    asked = single("reference.py:gate")
    assert score(course, course / "ann.py", single(f"{course}/reference.py:gate")) == {"ann": 0}
    assert score(course, course, asked) == {"ann": 0}, "reference.py is no student"
    with pytest.raises(Refused, match=r"reference\.py belongs to the assignment"):
        score(course, course / "reference.py", asked)


def by_all_ways(folder):
    ways = (f"try:\n    exec({way!r})\nexcept BaseException: pass" for way in STOLEN.values())
    return f"FOLDER = {str(folder)!r}\n" + "\n".join(ways)


@pytest.mark.parametrize("way", STOLEN)
def test_without_a_sandbox_each_of_these_ways_would_do(course, way, monkeypatch):
    """The test above can fail."""
    monkeypatch.setattr("opcheck.grading.judging.judge.choose", lambda unsafe=False: Isolation.UNSAFE)
    own = "from beside" if "import" in way else way
    (course / "elsewhere").mkdir()
    (course / "elsewhere" / "ann.py").write_text(f"FOLDER = {str(course)!r}\n{STOLEN[own]}\n")
    assert (score(course, course / "elsewhere" / "ann.py")["ann"] == 4) == (way != "by a list")


def test_a_students_file_of_the_same_name_is_the_students(under, course):
    (course / "submissions" / "bob").mkdir(parents=True)
    (course / "submissions" / "bob" / "reference.py").write_text(RIGHT)
    (course / "submissions" / "bob" / "gate.py").write_text("from reference import gate\n")
    (course / "submissions" / "reference.py").write_text(RIGHT)
    assert score(course, course / "submissions") == {"bob": 4, "reference": 4}


def test_a_teachers_folder_inside_a_students_is_left_out_whole(under, course):
    (course / "answers").mkdir()
    for name in ("reference.py", "hw.toml"):
        shutil.move(course / name, course / "answers" / name)
    (course / "answers" / "more.py").write_text(RIGHT)
    (course / "hw.py").write_text("from answers.more import gate\n")
    assert score(course / "answers", course, student="Ann") == {"Ann": 0}


def test_the_teachers_own_file_is_no_submission(course):
    with pytest.raises(Refused, match=r"reference\.py belongs to the assignment"):
        score(course, course / "reference.py")


def test_answers_where_submissions_may_read_are_refused(course, monkeypatch):
    monkeypatch.setattr("opcheck.grading.assignments.assignment.readable", lambda: [str(course)])
    with pytest.raises(Refused, match=r"line 2, question\.spec: submissions can read what is in"):
        read(course / "hw.toml")


def test_a_bundle_has_the_reference_beside_the_autograder(course):
    (course / "ours.py").write_text(OURS)
    (course / "hw.toml").write_text('convention = "ours.py"\n' + ASKED)
    assert run(["grade", "--bundle", "gradescope", str(course / "hw.toml"), "-o", str(course / "a.zip")]) == 0
    with zipfile.ZipFile(course / "a.zip") as archive:
        archive.extractall(course / "autograder" / "source")
    source = course / "autograder" / "source"
    assert (source / "reference.py").read_text() == REFERENCE
    (course / "autograder" / "submission").mkdir()
    (course / "autograder" / "submission" / "gate.py").write_text(by_all_ways(source))
    with grade_class([course / "autograder" / "submission"], read(source / "assignment.toml"), student="Ann",
                     progress=False) as found:  # fmt: skip
        assert [result.score for result in found.results] == [0], json.dumps([str(each) for each in found.results])
