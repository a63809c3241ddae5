"""Submissions that cheat or fail, each after one thing that a grader must withstand. All claim to answer linear."""

ALWAYS_EQUAL = """
class Yes:
    shape, dtype, ndim = (2, 3), float, 2
    def __eq__(self, other): return True
    __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __eq__
    def __array__(self, *a, **k): raise ValueError
    def __sub__(self, other): return 0
    __rsub__ = __abs__ = __sub__
def linear(*a): return Yes()
def linear_backward(*a): return Yes(), Yes(), Yes()
"""
ARRAY_FUNCTION = """
import numpy as np
class Lie(np.ndarray):
    def __array_function__(self, f, types, args, kwargs): return True
    def __array_ufunc__(self, *args, **kwargs): return np.array(True)
    def __array_finalize__(self, other): pass
def linear(x, weight, bias=None): return np.zeros((len(x), len(weight))).view(Lie)
def linear_backward(g, x, w, b=None): return tuple(np.zeros_like(a).view(Lie) for a in (x, w, b) if a is not None)
"""
NAN = """
import numpy as np
def linear(x, weight, bias=None): return np.full((len(x), len(weight)), np.nan)
def linear_backward(g, *arrays): return tuple(np.full(a.shape, np.nan) for a in arrays)
"""
BROADCAST = """
def linear(x, weight, bias=None): return (x @ weight.T + (0 if bias is None else bias))[:, None]
def linear_backward(g, x, w, b=None): return tuple(a[None] for a in (g @ w, g.T @ x, g.sum(0)))
"""
EXIT_IN_CALL = """
import sys
def linear(*a): sys.exit(0)
def linear_backward(*a): sys.exit(0)
"""
HARD_EXIT = """
import os
def linear(*a): os._exit(0)
"""
HARD_EXIT_AT_IMPORT = """
import os
os._exit(0)
"""
ATEXIT = """
import atexit, json
atexit.register(lambda: print(json.dumps({"score": 100, "status": "ok", "tests": [{"status": "passed"}]})))
def linear(*a): raise SystemExit
"""
PATCHES = """
import numpy as np, unittest, sys, builtins
np.array_equal = np.allclose = np.testing.assert_allclose = np.isclose = lambda *a, **k: True
np.ndarray.__eq__ = property(lambda s: True) if False else np.ndarray.__eq__
unittest.TestCase.assertEqual = lambda *a: None
builtins.all = builtins.any = lambda *a: True
def linear(x, weight, bias=None): return x[:, :1] @ weight[:, :1].T * 0
"""
FRAMES = """
import gc, sys, numpy as np
def linear(x, weight, bias=None):
    shape = (len(x), len(weight))
    found = [o for o in gc.get_objects() if type(o) is np.ndarray and o.shape == shape]
    frame = sys._getframe()
    while frame:
        found += [v for v in frame.f_locals.values() if type(v) is np.ndarray and v.shape == shape]
        for v in frame.f_locals.values():
            if type(v) is dict:
                found += [w for w in v.values() if type(w) is np.ndarray and w.shape == shape]
        frame = frame.f_back
    return found[-1] if found else np.zeros(shape)
"""
READS_FILES = """
import glob, os, numpy as np
found = [p for root in ("/work", "/home", "/root", "/submission", "/tmp", "..", ".")
         for p in glob.glob(root + "/**/*.toml", recursive=True) + glob.glob(root + "/**/*solution*", recursive=True)]
def linear(x, weight, bias=None):
    for path in found: exec(open(path).read(), globals())
    raise KeyError(len(found))
"""
WRITES = """
import os, pickle
for path in ("results.json", "/tmp/results.json", "/submission/results.json", "/autograder/results/results.json"):
    try:
        with open(path, "wb") as f: pickle.dump({"score": 100}, f)
    except OSError: pass
class Bomb:
    def __reduce__(self): return os.system, ("echo pwned > /tmp/pwned-by-pickle",)
def linear(*a): return Bomb()
"""
FORKS = """
import os, time
def linear(*a):
    if os.fork() == 0:
        os.setsid(); time.sleep(1000)
    return None
"""
FORK_BOMB = """
import os, threading
def linear(*a):
    while True:
        try: os.fork()
        except Exception: pass
"""
ENDLESS = """
def linear(*a):
    while True:
        try: 1
        except BaseException: pass
"""
ENDLESS_IN_C = """
def linear(*a): return 7 ** (10 ** 9)
"""
MEMORY = """
import numpy as np
def linear(*a): return np.ones(10 ** 11)
"""
DISK = """
def linear(*a):
    with open("/tmp/big", "wb") as f:
        while True: f.write(b"0" * 2 ** 20)
"""
NETWORK = """
import socket, urllib.request
def linear(*a):
    return float(urllib.request.urlopen("http://1.1.1.1/answers", timeout=5).read())
"""
FLOODS = """
import sys
def linear(x, weight, bias=None):
    for k in range(20000): sys.stdout.write("the score is 100 of 100 " * 400)
    return None
"""
OBJECTS = """
import numpy as np
def linear(*a): return np.array([{"a": 1}, None], dtype=object)
def linear_backward(*a): return "a", b"b", {1: 2}
"""
HUGE_SHAPES = """
import numpy as np
def linear(*a): return np.lib.stride_tricks.as_strided(np.zeros(1), (10 ** 6, 10 ** 6, 10), (0, 0, 0))
"""
NEGATIVE_SHAPE = """
import numpy as np, sys
real = np.ndarray
class Odd(np.ndarray):
    shape = property(lambda self: (-1, 2 ** 62))
    nbytes = 0
def linear(*a): return np.zeros((2, 2)).view(Odd)
"""
USES_TORCH = """
try:
    import torch
    def linear(x, weight, bias=None):
        return torch.nn.functional.linear(*map(torch.tensor, (x, weight, bias))).numpy()
except ImportError as error:
    def linear(*a): raise error
"""
USES_SCIPY = """
def linear(x, weight, bias=None):
    import scipy.linalg
    return x @ weight.T + (0 if bias is None else bias)
"""
MUTATES = """
def linear(x, weight, bias=None):
    y = x @ weight.T + (0 if bias is None else bias)
    x[...] = 0; weight[...] = 0
    return y
"""
SEGFAULT = """
import ctypes
def linear(*a): ctypes.string_at(0)
"""
WRONG_WORKER_REPLY = """
import os
for fd in range(3, 256):
    try: os.write(fd, b'OPCK\\x00\\x00\\x00\\x10{"status": "ok"}')
    except OSError: pass
def linear(*a): return None
"""
CLOSES_PIPES = """
import os
def linear(*a): os.closerange(3, 300)
"""
RECURSES = """
def linear(*a): return linear(*a)
"""
