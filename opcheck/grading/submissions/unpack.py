"""Unpacks a zip in its own process: what it claims of itself costs that process, and no more than its limits.

The process runs this file alone, without the rest of opcheck: unpack.py ZIP FOLDER BYTES FILES, where BYTES is 0 for no
limit. It prints a JSON object: {"bytes": of all members} or {"problem": "large" or "broken", "error": text}.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

MEMORY = 1 << 30  # bytes: a compressor's dictionary, and the list of the members
DEEPEST = 100  # folders in folders: nobody works so, and to remove them takes the stack
SECONDS = 60  # for what a student handed in


def unpack(path: Path, folder: Path, most: int, files: int) -> dict[str, object]:
    """Unpack into `folder` at most so many bytes (0: as many as there are) and files; what the process told."""
    arguments = [str(path), str(folder), str(most), str(files)]
    try:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", __file__, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=SECONDS if most else None,
            check=False,
        )
        told: dict[str, object] = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        return {"problem": "large"}
    except ValueError:  # it was ended, short of memory or by a defect of a compressor
        return {"problem": "broken", "error": f"exit code {ended.returncode}"}
    return told


def _unpacked(path: str, folder: str, most: int, files: int) -> dict[str, object]:
    """`extract` keeps every name inside the folder, and writes links as files."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if _is_work(each.filename.split("/"))]
            size = sum(each.file_size for each in members)
            if most and (len(members) > files or size > most):
                return {"problem": "large"}
            for member in members:
                archive.extract(member, folder)
    except Exception as error:
        return {"problem": "broken", "error": str(error)[:200] or type(error).__name__}
    return {"bytes": size}


def _is_work(parts: Sequence[str]) -> bool:
    return len(parts) <= DEEPEST and not any(map(is_noise, parts))


def is_noise(name: str) -> bool:
    """What systems and editors leave behind: .DS_Store, __MACOSX, __pycache__, .ipynb_checkpoints."""
    return name.startswith((".", "__")) and name != "__init__.py"


def _limit(most: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if most:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


if __name__ == "__main__":
    zip_file, target, bytes_limit, files_limit = sys.argv[1:]
    _limit(int(bytes_limit))
    sys.stdout.write(json.dumps(_unpacked(zip_file, target, int(bytes_limit), int(files_limit))))
