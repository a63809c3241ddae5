"""A dask cluster as an executor (the extra `dask`)."""

from concurrent.futures import Executor
from typing import Any

from opcheck.errors import CouldNotRun, Refused
from opcheck.language import say


def dask_executor(address: str) -> Executor:
    """The executor of the cluster at dask://HOST:PORT; raises CouldNotRun if there is none."""
    scheme, _, place = address.partition("://")
    if scheme != "dask" or not place:
        raise Refused(say("--executor is dask://HOST:PORT"), got=repr(address))
    try:
        from distributed import Client
    except ImportError:
        raise CouldNotRun(say("dask is not installed: pip install 'opcheck[dask]'")) from None
    try:
        client: Any = Client(f"tcp://{place}", timeout=10)
    except OSError as error:
        raise CouldNotRun(say("no dask cluster answers at {place}: {error}", place=place, error=error)) from None
    executor: Executor = client.get_executor()
    return executor
