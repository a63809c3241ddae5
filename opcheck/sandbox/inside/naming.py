"""What a submission's files are called as modules, so that they import each other as they did at home.

A folder may be a package with __init__.py, or a plain folder whose files say `from .layers import *` all the same. What
its files import of each other must be the very module that is graded, or a class would be there twice.
"""

import importlib
import os
import sys
import types
from contextlib import suppress

WHOLE = "submission"  # the package of all files, for relative imports where there is no __init__.py


def alone(file: str) -> types.ModuleType:
    """The module of a submission that is one file."""
    return _registered(WHOLE, file)


def open_folder(root: str, files: list[str]) -> None:
    """Let the files of a submission import each other: each folder on the way to one of them may be where it began."""
    whole = _registered(WHOLE, os.path.join(root, "__init__.py"))
    whole.__path__ = [root]
    folders: list[str] = []
    for file in files:
        folder = os.path.dirname(file)
        while folder not in folders and _within(folder, root):
            folders.append(folder)
            folder = os.path.dirname(folder)
    place = behind_the_standard_library()
    sys.path[place:place] = folders


def imported(file: str, root: str) -> types.ModuleType | None:
    """The module of this file, if another one has imported it, or Python can import it as part of its package."""
    name = _natural(file, root)
    for known in (name, _inner(file, root)):
        module = sys.modules.get(known)
        if module is not None and getattr(module, "__file__", None) == file:
            return module
    if "." in name:
        try:
            module = importlib.import_module(name)
        except BaseException:  # statement by statement, it may go further
            sys.modules.pop(name, None)
            return None
        return module if getattr(module, "__file__", None) == file else None
    return None


def module_of(file: str, root: str) -> types.ModuleType:
    """A new module for this file, before it runs; its package is there, if need be without its __init__.py."""
    name = _natural(file, root)
    name = name if "." in name else _inner(file, root)
    package, _, _ = name.rpartition(".")
    folder = os.path.dirname(file)
    while package != WHOLE and package:
        try:
            importlib.import_module(package)
        except BaseException:
            stub = _registered(package, os.path.join(folder, "__init__.py"))
            stub.__path__ = [folder]
        package, folder = package.rpartition(".")[0], os.path.dirname(folder)
    return _registered(name, file)


def known_as(module: types.ModuleType, file: str, root: str) -> None:
    """After it ran, the module is also what `import layers` gives, unless that is Python's own."""
    name = _natural(file, root)
    if name not in sys.stdlib_module_names:
        sys.modules.setdefault(name, module)


def behind_the_standard_library() -> int:
    """Where a submission's folder goes in sys.path: a random.py in it must not be what numpy takes for Python's own."""
    standard = os.path.dirname(os.__file__)
    folders = (standard, os.path.join(standard, "lib-dynload"))
    return max((index for index, folder in enumerate(sys.path) if folder in folders), default=-1) + 1


def _registered(name: str, file: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = file
    module.__package__ = name.rpartition(".")[0]
    sys.modules[name] = module
    return module


def _natural(file: str, root: str) -> str:
    """The name by which it is imported: as part of a package, as far up as there are __init__.py."""
    folder, name = os.path.split(file)
    parts = [os.path.splitext(name)[0]]
    while folder != root and _within(folder, root) and os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, name = os.path.split(folder)
        parts.insert(0, name)
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def _inner(file: str, root: str) -> str:
    """Its name in the package of all files."""
    path, _ = os.path.splitext(os.path.relpath(file, root))
    return ".".join([WHOLE, *path.split(os.sep)])


def _within(folder: str, root: str) -> bool:
    with suppress(ValueError):
        return os.path.commonpath([folder, root]) == root
    return False
