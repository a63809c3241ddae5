"""jax: what it keeps of the calls that it compiled."""

import pytest

from opcheck import backends
from opcheck.backends import jax_numpy
from opcheck.operators import catalog


def test_what_jax_compiled_is_let_go_of(monkeypatch):
    pytest.importorskip("jax")
    backend, cleared = backends.load("jax"), []
    monkeypatch.setattr(backend.jax, "clear_caches", lambda: cleared.append(backend.opened))
    monkeypatch.setattr(jax_numpy, "KEPT", 3)
    op = catalog.get("relu")
    for _ in range(7):
        backend.open(op, op.case([1.0, -2.0]), "float32")
    assert cleared == [3, 6]
