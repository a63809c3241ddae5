"""A limit of threads and processes that holds for root as well, whoever counts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from opcheck.sandbox import Isolation, Limits, Source, Worker, tasks
from opcheck.sandbox.tasks import Way

from .support import call, value

CROWD = Path(__file__).parent / "crowd.py"
ROOT = os.geteuid() == 0


def crowd(who: str, *ways: Way) -> dict[str, dict[str, list]]:
    environment = {**os.environ, "PYTHONPATH": str(CROWD.parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(CROWD), who, *ways]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize("who", ["root", "other"] if ROOT else ["other"])
def test_of_2000_threads_few_start_and_blas_has_its_own(who):
    for isolation, ways in crowd(who, *(Way if who == "root" else (Way.USER, Way.WATCH))).items():
        for asked, (way, user, status, said, honest) in ways.items():
            assert honest, (isolation, asked)
            if way == Way.WATCH:
                assert (status, said) == ("crashed", "the process was ended: it had more than 256 threads")
            else:
                assert status == "ok" and 200 < said < 256, (isolation, asked, said)
            if asked == Way.USER:  # when there is no group
                assert way == (Way.WATCH if who == "other" and isolation == Isolation.LANDLOCK else Way.USER)
            if asked == Way.WATCH:
                assert way == Way.WATCH
            if who == "root" and isolation == Isolation.LANDLOCK:
                assert (user in tasks._USERS) == (asked != Way.WATCH)


@pytest.mark.parametrize("group", [True, False])
def test_processes_count_where_they_can_be_started(group, monkeypatch):
    if not group:
        monkeypatch.setattr(tasks, "group_parent", lambda: None)
    source = """
import os, time
def f(n):
    for _ in range(n):
        if os.fork() == 0:
            time.sleep(1000)
    time.sleep(1000)
"""
    with Worker(Source(source), Isolation.UNSAFE, Limits(tasks=5, seconds=15.0)) as worker:
        assert call(worker, "f", 30).failure.type in ("CRASHED", "BlockingIOError")


def test_no_group_is_left_behind(isolation):
    parent = tasks.group_parent()
    with Worker(Source("def f(x): return x"), isolation) as worker:
        assert value(worker, "f", 1) == 1
        group = worker._launched.tasks.group
        assert group is None or (parent is not None and (group / "cgroup.procs").read_text().strip())
    assert group is None or not group.exists()


def test_groups_of_a_grader_that_was_killed_are_removed_by_the_next(tmp_path):
    ours = tmp_path / tasks._name(0)
    with subprocess.Popen(["/bin/sh", "-c", "exit"]) as ended:
        ended.wait()
    abandoned = tmp_path / ours.name.replace(str(os.getpid()), str(ended.pid))
    elsewhere = tmp_path / f"opcheck-1-{ended.pid}-0"  # numbered in another namespace
    for group in (ours, abandoned, elsewhere):
        group.mkdir()
    tasks._sweep(tmp_path)
    assert ours.exists() and elsewhere.exists() and not abandoned.exists()


def control_groups(folder: Path, text: str, **files: str) -> list[str]:
    (folder / "own").write_text(text)
    for name, content in files.items():
        path = folder / "mounted" / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    found = tasks._candidates(folder / "own", folder / "mounted")
    return [str(path.relative_to(folder / "mounted")) for path in found]


def test_groups_are_made_in_ours_of_version_1_and_beside_ours_of_version_2(tmp_path):
    assert control_groups(tmp_path, "9:name=systemd:/\n8:pids:/jobs/3\n0::/\n") == ["pids/jobs/3"]
    assert control_groups(tmp_path, "0::/user.slice/session-1.scope\n") == ["user.slice"]
    assert control_groups(tmp_path, "0::/\n") == []


def test_a_worker_does_not_leave_a_group_that_limits_memory(tmp_path):
    text = "0::/a/b\n"
    assert control_groups(tmp_path, text, a__b__memory_max="max\n", a__b__cpu_max="max 100000\n") == ["a"]
    assert control_groups(tmp_path, text, a__b__memory_max="4294967296\n") == []


def test_without_control_groups_there_is_no_parent(tmp_path):
    assert tasks._candidates(tmp_path / "missing", tmp_path) == []


def test_a_user_of_its_own_must_be_able_to_read_everything(tmp_path):
    folder = tmp_path / "ada"
    folder.mkdir(mode=0o755)
    (folder / "hw.py").touch(mode=0o644)
    assert tasks._open_to_all([folder], namespace=True)
    (folder / "private.py").touch(mode=0o600)
    assert not tasks._open_to_all([folder], namespace=True)
    (folder / "private.py").unlink()
    tmp_path.chmod(0o700)
    assert not tasks._open_to_all([folder], namespace=False)
    assert tasks._open_to_all([folder], namespace=True)


def test_only_root_becomes_another_user_and_only_one_that_reads_what_it_must(tmp_path):
    (tmp_path / "secret").touch(mode=0o600)
    assert not tasks.can_switch((str(tmp_path / "secret"),))
