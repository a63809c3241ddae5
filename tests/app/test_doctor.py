"""`opcheck doctor` tells what is there, and imports a framework only where nothing else can tell."""

import sys

import pytest

from opcheck import sandbox
from opcheck.app import doctor
from tests.app.support import run


class Torch:
    """An installed torch that was built for `cuda`."""

    def __init__(self, folder, monkeypatch, cuda):
        (folder / "torch").mkdir()
        (folder / "torch" / "version.py").write_text(f"cuda = {cuda!r}\nhip = None\n")
        monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.9.1")
        monkeypatch.setattr(doctor.metadata, "distribution", lambda name: self)
        monkeypatch.setitem(sys.modules, "torch", None)  # an import of it fails
        self.folder = folder

    def locate_file(self, path):
        return self.folder / path


def test_it_names_the_extras_the_devices_and_the_sandboxes():
    ran = run("doctor")
    assert ran.code == 0
    for word in ("torch", "onnxruntime", "jax", "hypothesis", "cpu", "cuda", "sandbox for untrusted code"):
        assert word in ran.out


@pytest.mark.parametrize(
    ("cuda", "said"),
    [
        (None, "torch 2.9.1 is built without CUDA"),
        ("12.8", "there is no NVIDIA driver for torch 2.9.1"),
    ],
)
def test_where_torch_can_have_no_device_it_is_not_imported(cuda, said, tmp_path, monkeypatch):
    Torch(tmp_path, monkeypatch, cuda)
    monkeypatch.setattr(doctor, "_has_driver", lambda: False)
    assert doctor._cuda() == ("no", said)


def test_where_there_is_a_driver_torch_is_asked(tmp_path, monkeypatch):
    Torch(tmp_path, monkeypatch, "12.8")
    monkeypatch.setattr(doctor, "_has_driver", lambda: True)
    with pytest.raises(ImportError):
        doctor._cuda()


def test_without_torch_nothing_is_known(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert doctor._cuda() == ("unknown", "needs torch")


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("group", "at most 256 threads, counted by the kernel (pids cgroup)"),
        ("user", "at most 256 threads, counted by the kernel (separate user)"),
        ("watch", "at most 256 threads; opcheck counts them and kills a submission with more"),
    ],
)
def test_it_says_who_counts_the_threads_of_a_sandbox(way, said, monkeypatch):
    works = (sandbox.Capability(sandbox.Isolation.LANDLOCK, True, "works"),)
    monkeypatch.setattr(sandbox, "capabilities", lambda: works)
    monkeypatch.setattr(sandbox, "counting", lambda isolation: sandbox.Way(way))
    assert doctor._sandboxes() == [("landlock", "yes", "works"), ("", "", said)]


def test_it_says_what_each_kind_of_sandbox_does_not_stop(monkeypatch):
    def told(*working):
        found = tuple(sandbox.Capability(each, each in working, "") for each in sandbox.Isolation)
        monkeypatch.setattr(sandbox, "capabilities", lambda: found)
        return doctor._not_held_back()

    both = "What a sandbox does not stop: a submission can read the installed Python packages, see the machine's name"
    bubblewrap = "Under bubblewrap it also has its own /tmp of up to 64 MiB and 4096 files, on top of its"
    landlock = (
        "Under Landlock it can also see which files exist, with their size, date and owner, but not what is in them"
    )
    for working, begins in (
        ((), ()),
        ((sandbox.Isolation.BUBBLEWRAP,), (both, bubblewrap)),
        ((sandbox.Isolation.LANDLOCK,), (both, landlock)),
        ((sandbox.Isolation.BUBBLEWRAP, sandbox.Isolation.LANDLOCK), (both, bubblewrap, landlock)),
    ):
        sentences = told(*working)
        assert len(sentences) == len(begins)
        assert all(sentence.startswith(begin) for sentence, begin in zip(sentences, begins, strict=True))
