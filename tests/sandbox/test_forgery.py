"""Results that are none: forged messages, objects that lie, a worker that is turned against its parent."""

import numpy as np
import pytest

from opcheck.sandbox import Opaque, Status

from .support import X, call, value


def test_an_object_that_equals_everything_arrives_as_a_description(submit):
    worker = submit(
        """
    import numpy as np
    class Yes:
        __array_priority__ = 1e9
        def __eq__(self, other): return True
        def __bool__(self): return True
        def __array_ufunc__(self, *args, **kwargs): return True
    class Agreeable(np.ndarray):
        def __eq__(self, other): return True
        def __array_function__(self, *args): return True
        def __array_ufunc__(self, *args, **kwargs): return True
        def tobytes(self, *args): return b""
    class Chameleon:
        __class__ = np.ndarray
        dtype = np.dtype(float)
        shape = (2, 3)
    def yes(): return Yes()
    def agreeable(): return np.zeros((2, 3)).view(Agreeable)
    def chameleon(): return Chameleon()
    def objects(): return np.array([Yes()] * 3)
    """
    )
    assert value(worker, "yes") == Opaque("a value of type submission.Yes")
    assert value(worker, "objects") == Opaque("an array of dtype object and shape (3,)")
    array = value(worker, "agreeable")
    assert type(array) is np.ndarray and np.array_equal(array, np.zeros((2, 3)))
    assert value(worker, "chameleon") == Opaque("an array of dtype object and shape ()")


def test_a_patched_numpy_harms_nobody_else(submit):
    source = """
    import numpy as np
    np.array_equal = np.allclose = lambda *args, **kwargs: True
    np.testing.assert_array_equal = lambda *args, **kwargs: None
    def f(x): return x + 1
    """
    assert np.array_equal(value(submit(source), "f", X), X + 1)
    assert not np.array_equal(X, X + 1)
    broken = submit("import numpy as np\nnp.array = np.frombuffer = np.dtype = None\ndef f(x): return x\n")
    assert call(broken, "f", X).status in (Status.RAISED, Status.EXITED)


def test_a_process_that_breaks_the_worker_from_within_gets_nothing(submit):
    worker = submit(
        """
    import gc
    def f(x):
        (wire,) = [each for each in gc.get_objects() if type(each) is type(gc) and each.__name__ == "wire"]
        wire.encode = lambda *args: b"OPCK" + bytes(1000)
        return x
    """
    )
    outcome = call(worker, "f", X)
    assert outcome.status is Status.MALFORMED and outcome.values == {}


FORGERIES = {
    "garbage": "b'garbage' * 100",
    "a reply without a nonce": "reply()",
    "a reply with no nonce in it": "reply(['nonce', None])",
    "a reply with another nonce": "reply(['nonce', 'x' * 32])",
    "a verdict": "frame({'dict': [['nonce', None], ['status', 'agrees'], ['score', 100]]})",
    "an endless header": "b'OPCK' + (2 ** 32 - 1).to_bytes(4, 'big')",
    "an endless array": "frame({'array': 0}, [1 << 60])",
    "a pickle": "__import__('pickle').dumps(print)",
    "nested": "raw(b'[' * 100000)",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_frames_on_every_descriptor_are_no_result(submit, forgery):
    worker = submit(
        f"""
    import json, os, struct
    def raw(header): return struct.pack(">4sI", b"OPCK", len(header)) + header
    def frame(value, sizes=()): return raw(json.dumps({{"value": value, "sizes": list(sizes)}}).encode())
    def reply(*items): return frame({{"dict": [*items, ["status", "ok"], ["values", {{"dict": [["y", 42]]}}]]}})
    def f(x):
        for descriptor in range(256):
            try:
                os.write(descriptor, {FORGERIES[forgery]})
            except OSError:
                pass
        return x
    def g(x): return x
    """,
        seconds=5,
    )
    outcome = call(worker, "f", X)
    assert (outcome.status, outcome.values) == (Status.MALFORMED, {})
    assert np.array_equal(value(worker, "g", X), X)


def test_a_forger_who_finds_the_nonce_can_only_choose_his_own_answer(submit):
    """He may send any plain values for what was asked, as he might have returned them, and nothing else."""
    worker = submit(
        """
    import gc, os
    def f(x):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        channel.send({"status": "ok", "values": {"y": 42, "score": 100}}, 1 << 20)
        os._exit(0)
        return x
    def g(x): return x
    """
    )
    outcome = call(worker, "f", X)
    assert (outcome.status, outcome.values) == (Status.OK, {"y": 42})
    assert call(worker, "g", X).status is Status.EXITED
    assert np.array_equal(value(worker, "g", X), X)


def test_a_reply_written_in_advance_does_not_answer_the_next_request(submit):
    worker = submit(
        """
    import gc
    def f(x):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        for y in (1, 2, 3):
            channel.send({"status": "ok", "values": {"y": y}}, 1 << 20)
    def g(x): return x
    """
    )
    seen = [call(worker, name, X) for name in ("f", "g", "g")]
    assert [outcome.status for outcome in seen] == [Status.OK, Status.MALFORMED, Status.OK]
    assert seen[0].values == {"y": 1} and seen[1].values == {}
    assert np.array_equal(seen[2].values["y"], X)


def test_a_result_without_the_wanted_values_is_none(submit):
    worker = submit(
        """
    import gc
    def f(x):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        channel.send({"status": "ok", "values": {"score": 100}}, 1 << 20)
    """
    )
    assert call(worker, "f", X).status is Status.MALFORMED


def test_a_worker_cannot_say_of_itself_what_only_the_parent_may_see(submit):
    worker = submit(
        """
    import gc
    def f(status):
        (channel,) = [each for each in gc.get_objects() if type(each).__name__ == "Channel"]
        error = {"type": "x", "message": "x", "file": "", "line": 0}
        channel.send({"status": status, "error": error, "values": {}}, 1 << 20)
    """
    )
    for status in ("crashed", "timed out", "agrees", "KNOWN"):
        assert call(worker, "f", status).status is Status.MALFORMED
