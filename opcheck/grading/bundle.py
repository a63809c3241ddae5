"""An autograder to upload: opcheck itself, the assignment, and the scripts that a platform runs, in one zip."""

import io
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from opcheck import files
from opcheck.errors import CouldNotRun, Refused
from opcheck.grading.assignments import assignment
from opcheck.language import say

PLATFORMS = ("gradescope",)
PACKAGES = ("click", "jinja2", "mpmath", "numpy", "rich", "sympy")  # what opcheck needs
_PACKAGE = Path(__file__).parents[1]
_SCRIPTS = Path(__file__).parent / "bundles"
_KINDS = (".py", ".js", ".css", ".jinja", ".toml", ".typed", ".sh", "")  # of the files of opcheck
_DATE = (1980, 1, 1, 0, 0, 0)  # the same content is the same zip
_PYTORCH = "--extra-index-url https://download.pytorch.org/whl/cpu"


def write(platform: str, path: Path, output: Path, unsafe: bool = False) -> None:
    """The autograder of the assignment at `path`, as a zip for that platform.

    It installs the versions that are in use here, so that submissions meet what the teacher has tried. `unsafe`: where
    the platform's container lets nothing be isolated inside it, run submissions all the same; they can then read the
    assignment and the results' file. Raises Refused if the assignment is not valid, or needs a file outside its folder.
    """
    if platform not in PLATFORMS:
        raise Refused(
            say("there is no bundle for {name!r}", name=platform), fix=say("one of {names}", names=", ".join(PLATFORMS))
        )
    asked = assignment.read(path)
    assert asked.origin is not None
    text, _, folder = asked.origin
    members = dict(_members(platform, text, folder))
    members["requirements.txt"] = _requirements(any(question.arrays == "torch" for question in asked.questions))
    if unsafe:
        members["unsafe"] = b""
    files.write(output, _zipped(members))


def _zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name in ("setup.sh", "run_autograder") else 0o644) << 16
            archive.writestr(entry, members[name])
    return packed.getvalue()


def _members(platform: str, text: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    for script in sorted((_SCRIPTS / platform).iterdir()):
        yield script.name, script.read_bytes()
    yield "assignment.toml", text.encode()
    for name in _conventions(text):
        yield name, (folder / name).read_bytes()
    for file in sorted(_PACKAGE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts and file.suffix in _KINDS:
            yield f"opcheck/{file.relative_to(_PACKAGE).as_posix()}", file.read_bytes()


def _conventions(text: str) -> list[str]:
    """The teacher's own conventions and specs that an assignment names, relative to it."""
    data = tomllib.loads(text)
    named = [table.get("convention", "") for table in (data, *data.get("question", []))]
    named += [question.get("spec", "").rpartition(":")[0] for question in data.get("question", [])]
    found = sorted({name for name in named if name.endswith(".py")})
    for name in found:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise Refused(
                say("a convention in a bundle lies beside the assignment"),
                got=name,
                fix=say("copy it into that folder"),
            )
    return found


def _requirements(torch: bool) -> bytes:
    """The packages in the versions that are installed here."""
    lines = [f"{name}=={version(name)}" for name in PACKAGES]
    if torch:
        try:
            lines += [_PYTORCH, f"torch=={version('torch').partition('+')[0]}"]
        except PackageNotFoundError:
            raise CouldNotRun(
                say("the assignment uses torch, which is not installed here"),
            ) from None
    return ("\n".join(lines) + "\n").encode()
