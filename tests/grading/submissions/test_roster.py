"""Who handed in what, in every layout that platforms export."""

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opcheck.errors import Refused
from opcheck.grading.submissions import exports, roster
from opcheck.sandbox import File, Source

CODE = "def linear(x, w, b=None):\n    return x @ w.T\n"


def place(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def zipped(files: dict[str, str | bytes], path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path.read_bytes()


def students(*paths: Path, **options) -> list[str]:
    with roster.opened(paths, **options) as entries:
        return [entry.submission.student for entry in entries]


def notebook(*cells: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells], "nbformat": 4})


# --- layouts ---


def test_a_file_per_student(tmp_path):
    place(tmp_path, {"ada.py": CODE, "hw10.py": CODE, "hw2.py": CODE, "notes.txt": "no code", ".hidden.py": CODE})
    with roster.opened([tmp_path]) as entries:
        assert [entry.submission.student for entry in entries] == ["ada", "hw2", "hw10"]
        code = entries[0].submission.code
        assert isinstance(code, File) and code.path == tmp_path / "ada.py" and code.root is None
        assert entries[0].submission.path == tmp_path / "ada.py"
        assert [entry.problem for entry in entries] == ["", "", ""]


def test_a_folder_per_student_is_seen_whole(tmp_path):
    place(tmp_path, {"ada/hw2/layers.py": CODE, "ada/hw2/helpers.py": "x = 1\n", "ada/__pycache__/layers.py": "junk"})
    with roster.opened([tmp_path]) as (entry,):
        assert entry.submission.student == "ada"
        assert entry.submission.code == File(tmp_path / "ada/hw2/layers.py", tmp_path / "ada")
        assert entry.notes == ("of 2 files, hw2/layers.py was graded",)


def test_the_file_with_the_names_that_are_asked_for_is_graded(tmp_path):
    many = "".join(f"def f{i}(): pass\n" for i in range(9))
    place(tmp_path, {"ada/other.py": many, "ada/answer.py": CODE, "ada/test_answer.py": CODE + many})
    with roster.opened([tmp_path], wanted=["linear"]) as (entry,):
        assert isinstance(entry.submission.code, File)
        assert entry.submission.code.path.name == "answer.py"


GRADESCOPE = """\
submission_101:
  :submitters:
  - :name: Ada Lovelace
    :sid: '0012'
    :email: ada@example.org
  :created_at: 2026-01-01 10:00:00
  :score: 3.0
  :results:
    tests:
    - name: :name of a test
submission_102:
  :submitters:
  - :name: "Bob \\"B\\" O'Hara"
    :sid:
    :email: bob@example.org
  - :name: 'Zoë d''Arc'
    :sid: s9
    :email: zoe@example.org
"""


def test_gradescope(tmp_path):
    folder = tmp_path / "assignment_1_export"
    files = {f"submission_{n}/layers.py": CODE for n in (101, 102, 103)}
    place(folder, {"submission_metadata.yml": GRADESCOPE, **files})
    expected = ["Ada Lovelace (0012)", "Bob \"B\" O'Hara (bob@example.org) + Zoë d'Arc (s9)", "submission_103"]
    assert students(folder) == expected
    assert students(tmp_path) == expected, "the folder that the zip holds"
    zipped(
        {f"export/{path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()},
        tmp_path / "export.zip",
    )
    with roster.opened([tmp_path / "export.zip"]) as entries:
        assert [entry.submission.student for entry in entries] == expected
        assert entries[0].submission.path == tmp_path / "export.zip" / "submission_101"


def test_people_behind_a_label():
    assert exports.people("Ada Lovelace (0012)") == [("0012", "Ada Lovelace")]
    assert exports.people("Bob (b@x) + Zoë d'Arc (s9)") == [("b@x", "Bob"), ("s9", "Zoë d'Arc")]
    assert exports.people("ada") == [("ada", "")]


def test_moodle_in_folders_and_flat(tmp_path):
    place(
        tmp_path / "folders",
        {
            "Ada Lovelace_123_assignsubmission_file_/hw.py": CODE,
            "Ada Lovelace_123_assignsubmission_onlinetext_/onlinetext.html": "hello",
            "Participant_7_456_assignsubmission_file_/hw.py": CODE,
        },
    )
    assert students(tmp_path / "folders") == ["Ada Lovelace (123)", "Participant (7)"]
    place(
        tmp_path / "flat",
        {
            "Ada Lovelace_123_assignsubmission_file_hw.py": CODE,
            "Ada Lovelace_123_assignsubmission_file_helper.py": "x = 1\n",
            "Bob_5_assignsubmission_file_hw_2.py": CODE,
        },
    )
    with roster.opened([tmp_path / "flat"]) as (ada, bob):
        assert (ada.submission.student, bob.submission.student) == ("Ada Lovelace (123)", "Bob (5)")
        assert isinstance(ada.submission.code, File) and ada.submission.code.path.name == "hw.py"
        assert ada.submission.code.root is not None
        assert sorted(path.name for path in ada.submission.code.root.iterdir()) == ["helper.py", "hw.py"]


def test_canvas_late_again_and_in_parts(tmp_path):
    place(
        tmp_path,
        {
            "lovelaceada_123_900_hw.py": CODE,
            "hopper_LATE_77_901_hw-1.py": CODE,
            "hopper_LATE_77_902_my_helper.py": "x = 1\n",
            "bob_5_903_hw.zip": zipped({"hw/layers.py": CODE}, tmp_path / "bob_5_903_hw.zip"),
        },
    )
    with roster.opened([tmp_path]) as entries:
        assert [entry.submission.student for entry in entries] == ["bob (5)", "hopper (77)", "lovelaceada (123)"]
        bob, hopper, _ = (entry.submission.code for entry in entries)
        assert isinstance(bob, File) and bob.path.name == "layers.py"
        assert isinstance(hopper, File) and hopper.root is not None
        assert sorted(path.name for path in hopper.root.iterdir()) == ["hw.py", "my_helper.py"]


def test_all_of_a_path_can_be_one_students(tmp_path):
    place(tmp_path, {"layers.py": CODE, "helper.py": "x = 1\n"})
    assert students(tmp_path, student="Ada") == ["Ada"]
    assert students(tmp_path / "layers.py", student="Ada") == ["Ada"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    place(tmp_path, {"a/hw.py": CODE, "b/hw.py": CODE})
    paths = [tmp_path / "a/hw.py", tmp_path / "b/hw.py"]
    assert students(*paths) == [str(path) for path in paths]


@settings(max_examples=20)  # each unpacks zips in processes
@given(st.lists(st.sampled_from(["ada", "bob", "c d", "hw2", "hw10", "Zoë"]), unique=True, min_size=1))
def test_nobody_is_lost_whatever_the_layout(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("class")
    for place_in_list, name in enumerate(names):
        if place_in_list % 3 == 0:
            place(folder, {f"{name}.py": CODE})
        elif place_in_list % 3 == 1:
            place(folder, {f"{name}/deep/hw.ipynb": notebook(CODE)})
        else:
            zipped({"hw.py": CODE}, folder / f"{name}.zip")
    with roster.opened([folder]) as entries:
        assert sorted(entry.submission.student for entry in entries) == sorted(names)
        assert [entry.problem for entry in entries] == [""] * len(names)


# --- notebooks ---


def test_a_notebook_goes_into_the_sandbox_as_it_is(tmp_path):
    text = notebook("%matplotlib inline\nimport numpy as np\n", CODE, "print(linear")
    place(tmp_path, {"my hw.ipynb": text})
    with roster.opened([tmp_path]) as (entry,):
        assert entry.submission.code == Source(text, "my_hw.py", notebook=True)
        assert entry.notes == () and entry.problem == ""


# --- what cannot be graded has a reason, and a place in the list ---


def problem(folder: Path) -> str:
    with roster.opened([folder]) as (entry,):
        assert entry.submission.code == Source("")
        return entry.problem


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"ada/readme.txt": "later"}, "there is no .py or .ipynb file in it"),
        ({"ada.zip": b"PK not a zip"}, "ada.zip is not a readable zip file (File is not a zip file)"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(tmp_path, files, said):
    assert said in problem(place(tmp_path, files))


def test_a_zip_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(roster, "LARGEST_UNPACKED", 3 << 20)
    zipped({"hw.py": CODE, "zeros": b"\0" * (4 << 20)}, tmp_path / "ada.zip")
    assert problem(tmp_path) == "it is larger than 3 MiB unpacked"


def test_all_of_a_students_zips_together_unpack_to_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(roster, "LARGEST_UNPACKED", 3 << 20)
    (tmp_path / "ada").mkdir()
    for name in "abc":
        zipped({f"{name}.py": CODE, name: b"\0" * (3 << 19)}, tmp_path / f"ada/{name}.zip")
    assert problem(tmp_path) == "it is larger than 3 MiB unpacked"


def changed(path: Path, at: int, content: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[at : at + len(content)] = content
    path.write_bytes(data)


def hostile_zips(folder: Path) -> Path:
    """Zips that cannot be unpacked, each in a way of its own."""
    folder.mkdir()
    for name in ("corrupt", "dictionary"):
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_LZMA) as archive:
            archive.writestr("hw.py", CODE * 50)
    header = 30 + len("hw.py") + 4
    changed(folder / "corrupt.zip", header + 20, b"\xff" * 30)
    changed(folder / "dictionary.zip", header + 1, b"\xff" * 4)  # of 4 GiB
    zipped({"hw.py": CODE, "Q": "x"}, folder / "nul.zip")
    (folder / "nul.zip").write_bytes((folder / "nul.zip").read_bytes().replace(b"Q", b"\0"))
    zipped({"hw.py": CODE, "x" * 300: ""}, folder / "endless.zip")
    return folder


def test_a_zip_that_cannot_be_unpacked_is_its_students_problem(tmp_path):
    folder = hostile_zips(tmp_path / "class")
    (folder / "ada.py").write_text(CODE)
    with roster.opened([folder]) as entries:
        told = {entry.submission.student: entry.problem for entry in entries}
    assert told.pop("ada") == ""
    assert sorted(told) == ["corrupt", "dictionary", "endless", "nul"]
    assert all(re.fullmatch(rf"{name}.zip is not a readable zip file \(.+\)", text) for name, text in told.items())
    with pytest.raises(Refused, match=r"corrupt.zip cannot be unpacked"):
        students(folder / "corrupt.zip")


def test_folders_a_thousand_deep_are_nobodys_work(tmp_path):
    """Neither looking through them nor removing them may take Python's stack."""
    deep = {"a/" * depth + "x.txt": "" for depth in range(1, 1400, 100)}
    zipped({"hw.py": CODE, **deep}, tmp_path / "made.zip")
    place(tmp_path, {"class/ada.zip": (tmp_path / "made.zip").read_bytes()})
    with roster.opened([tmp_path / "class"]) as (entry,):
        assert entry.problem == "" and entry.submission.code.path.name == "hw.py"
    subprocess.run(["mkdir", "-p", str(tmp_path / "folders/eve" / "/".join("a" * 1100))], check=True)
    place(tmp_path, {"folders/eve/hw.py": CODE})
    assert students(tmp_path / "folders") == ["eve"]
    subprocess.run(["rm", "-rf", str(tmp_path / "folders")], check=True)


def test_a_fifo_or_a_device_is_no_submission_and_nobody_waits_for_it(tmp_path):
    place(tmp_path, {"class/ada.py": CODE, "class/bob/hw.py": CODE})
    for name in ("eve.py", "eva.ipynb", "evi.zip", "bob/data.csv", "bob/more.py"):
        os.mkfifo(tmp_path / "class" / name)
    with roster.opened([tmp_path / "class"]) as entries:
        told = {entry.submission.student: entry.problem for entry in entries}
    assert told == {"ada": "", "bob": "", "eva": "eva.ipynb is not a regular file",
                    "eve": "eve.py is not a regular file", "evi": "evi.zip is not a regular file"}  # fmt: skip
    for path in (tmp_path / "class/eve.py", tmp_path / "class/evi.zip", Path("/dev/zero")):
        for options in ({}, {"student": "Eve"}):
            with pytest.raises(Refused, match="is neither a file nor a folder"):
                students(path, **options)


def test_a_folder_with_no_end_of_data_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(roster, "LARGEST_FOLDER", 1 << 20)
    place(tmp_path, {"ada/hw.py": CODE, "ada/data": ""})
    with (tmp_path / "ada/data").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    assert problem(tmp_path) == "it is larger than 1 MiB"


def test_the_file_that_is_graded_is_found_without_reading_all_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(roster, "LARGEST_READ", 1 << 10)
    read = []
    text = roster._text
    monkeypatch.setattr(roster, "_text", lambda path: read.append(path.name) or text(path))
    place(tmp_path, {"ada/a.py": CODE, "ada/b.py": "#" * 2000 + CODE, "ada/c.ipynb": notebook("def conv2d(x):\n  0")})
    for wanted, name in ((["linear"], "a.py"), (["conv2d"], "c.ipynb")):
        with roster.opened([tmp_path], wanted=wanted) as (entry,):
            assert entry.notes == (f"of 3 files, {name} was graded",)
    assert "b.py" not in read


def test_a_notebook_defines_what_its_lines_define(tmp_path):
    cells = {"one line": ["x = 1\ndef conv2d(x): pass"], "lines": [["x = 1\n", "async def conv2d(x): pass"]],
             "a class": ["class conv2d: pass"]}  # fmt: skip
    for name, sources in cells.items():
        text = json.dumps({"cells": [{"cell_type": "code", "source": source} for source in sources]})
        place(tmp_path / name, {"ada/a.ipynb": notebook("y = 2; conv2d = 'def conv2d'"), "ada/b.ipynb": text})
        with roster.opened([tmp_path / name], wanted=["conv2d"]) as (entry,):
            assert entry.notes == ("of 2 files, b.ipynb was graded",)


def test_names_that_are_not_utf_8_are_names(tmp_path):
    folder = os.fsencode(tmp_path)
    os.mkdir(folder + b"/\xfe")  # noqa: PTH102  a Path from bytes
    for name in (b"/\xff.py", b"/\xfe/h\xe9.py", b"/\xfe/i.py"):
        Path(os.fsdecode(folder + name)).write_text(CODE)
    with roster.opened([tmp_path]) as entries:
        assert [entry.submission.student for entry in entries] == [os.fsdecode(b"\xfe"), os.fsdecode(b"\xff")]
        assert entries[0].notes == ("of 2 files, h\udce9.py was graded",)
        assert len({entry.digest for entry in entries}) == 2


def test_a_file_name_is_one_line_of_a_note(tmp_path):
    place(tmp_path, {"ada/a\n4 of 4\x1b[2J.py": CODE, "ada/b.py": ""})
    with roster.opened([tmp_path]) as (entry,):
        assert entry.notes == ("of 2 files, a 4 of 4\N{REPLACEMENT CHARACTER}[2J.py was graded",)


def test_metadata_with_a_line_of_a_megabyte_is_read():
    """Quadratic in the length, this takes hours."""
    for long in (" " * 1_000_000 + "x", "x" + " " * 1_000_000 + "x", ": name:" * 100_000, "'" * 1_000_000):
        lines = [
            "submission_7:",
            "  :submitters:",
            f"  - :name:{long}",
            f"{long}:name: x",
            "  - :name: Ada",
            "    :sid: s1",
        ]
        assert exports.submitters(lines)["submission_7"].endswith("Ada (s1)")


def test_a_zip_cannot_write_outside_its_folder(tmp_path):
    outside = {"../../escaped.py": CODE, "/absolute.py": CODE, "hw.py": CODE}
    place(tmp_path, {"class/ada.zip": zipped(outside, tmp_path / "made.zip")})
    with roster.opened([tmp_path / "class"]) as (entry,):
        root = entry.submission.code.root
        assert sorted(path.name for path in root.rglob("*.py")) == ["absolute.py", "hw.py"]
        assert not (root.parent / "escaped.py").exists() and not Path("/absolute.py").exists()


def test_links_are_nobodys_work(tmp_path):
    place(tmp_path, {"bob.py": CODE, "eve/hw.py": CODE})
    (tmp_path / "eve.py").symlink_to(tmp_path / "bob.py")
    (tmp_path / "eve/copy.py").symlink_to(tmp_path / "bob.py")
    with roster.opened([tmp_path]) as entries:
        assert [entry.submission.student for entry in entries] == ["bob", "eve"]
        assert entries[1].notes == ()


def test_paths_that_hold_no_submission_are_refused(tmp_path):
    with pytest.raises(Refused, match=re.escape(f"{tmp_path / 'no'} does not exist")):
        students(tmp_path / "no")
    with pytest.raises(Refused, match=r" does not exist"):
        students(tmp_path / ("a" * 5000))
    with pytest.raises(Refused, match=r"there are no submissions.*give .py or .ipynb files, a folder of them"):
        students(tmp_path)
    place(tmp_path, {"hw.pdf": "pdf", "ada.py": CODE, "bad.zip": "no zip"})
    with pytest.raises(Refused, match=r"hw.pdf is neither code nor a folder. give .py, .ipynb, .zip or a folder"):
        students(tmp_path / "hw.pdf")
    with pytest.raises(Refused, match=r"ada.py is given twice"):
        students(tmp_path / "ada.py", tmp_path / "ada.py")
    with pytest.raises(Refused, match=r"bad.zip cannot be unpacked: bad.zip is not a readable zip file"):
        students(tmp_path / "bad.zip")


# --- digests ---


def digest(folder: Path) -> str:
    with roster.opened([folder]) as (entry,):
        return entry.digest


def test_a_digest_tells_whether_anything_that_the_code_sees_has_changed(tmp_path):
    one = digest(place(tmp_path / "one", {"ada/hw.py": CODE, "ada/data.csv": "1"}))
    assert one == digest(place(tmp_path / "same", {"ada/hw.py": CODE, "ada/data.csv": "1"}))
    others = [{"hw.py": CODE}, {"hw.py": CODE + " ", "data.csv": "1"}, {"hw.py": CODE, "data.csv": "2"},
              {"hw.py": CODE, "other.csv": "1"}, {"hw2.py": CODE, "data.csv": "1"}]  # fmt: skip
    folders = [
        place(tmp_path / str(n), {f"ada/{name}": text for name, text in files.items()})
        for n, files in enumerate(others)
    ]
    found = set(map(digest, folders))
    assert len(found | {one}) == len(others) + 1
