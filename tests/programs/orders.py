"""A recorded program computed again in a low precision, its sums in several orders."""

import importlib.util

import numpy as np

from opcheck.programs.products import _split

ORDERS = ("plain", "reversed", "pairwise", "chunked", *(["torch"] if importlib.util.find_spec("torch") else []))


def add_up(terms, order, add):
    """The sum of a list of arrays."""
    if not terms:
        return 0.0
    if order == "reversed":
        terms = terms[::-1]
    if order == "pairwise":
        while len(terms) > 1:
            terms = [
                add(*terms[k : k + 2]) if len(terms[k : k + 2]) == 2 else terms[k] for k in range(0, len(terms), 2)
            ]
        return terms[0]
    if order == "chunked":
        chunks = [add_up(terms[k::3], "plain", add) for k in range(min(3, len(terms)))]
        return add_up(chunks, "plain", add)
    result = terms[0]
    for term in terms[1:]:
        result = add(result, term)
    return result


def computed_in(nodes, output, order, f):
    """The value of a node with every result rounded to `f`, in an order of summation."""
    if order == "torch":
        return _in_torch(nodes, output)
    compute, accumulate = roundings(f)

    def rounded(x):
        return compute(x) if np.asarray(x).dtype.kind == "f" else x

    found = []
    with np.errstate(all="ignore"):
        for node in nodes:
            if node.rule is None:
                found.append(rounded(node.value))
                continue
            args = [found[arg] for arg in node.args]
            special = SUMS.get(node.rule.name)
            if special:
                found.append(rounded(special(args, node.params, order, compute, accumulate)))
            else:
                found.append(rounded(np.asarray(node.rule.forward(*args, **node.params))))
        y = found[output]
        return f.round(y) if np.asarray(y).dtype.kind == "f" else y


def roundings(f):
    """Rounding of what is stored and of running sums."""
    from opcheck.verification.truth.formats import FORMATS

    return FORMATS[f.compute or f.name].round, FORMATS[f.sums or f.name].round


def _moved(x, axis):
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [k % x.ndim for k in axes]
    rest = [k for k in range(x.ndim) if k not in axes]
    return list(np.moveaxis(x.transpose(*rest, *axes).reshape(*(x.shape[k] for k in rest), -1), -1, 0))


def total(args, params, order, compute, accumulate):
    (x,) = args
    found = add_up(_moved(x, params["axis"]), order, lambda a, b: accumulate(a + b))
    shape = np.empty(x.shape).sum(axis=params["axis"], keepdims=params["keepdims"]).shape
    return np.reshape(found, shape)


def mean(args, params, order, compute, accumulate):
    sums = total(args, params, order, compute, accumulate)
    n = args[0].size // max(1, sums.size)
    if order in ("reversed", "chunked"):
        return compute(sums) * compute(np.asarray(1 / n))
    return compute(sums) / n


def matmul(args, params, order, compute, accumulate):
    a, b = args
    rows = a[None, :] if a.ndim == 1 else a
    columns = b[:, None] if b.ndim == 1 else b
    fused = order in ("chunked", "pairwise")  # with fused multiply-add no product is rounded
    terms = [rows[..., :, k, None] * columns[..., None, k, :] for k in range(rows.shape[-1])]
    terms = terms if fused else [accumulate(each) for each in terms]
    found = add_up(terms, order, lambda p, q: accumulate(p + q))
    found = found if np.ndim(found) else np.zeros(np.shape(rows @ columns))
    return np.reshape(accumulate(found), np.shape(a @ b))


def einsum(args, params, order, compute, accumulate):
    parts, out = _split(params["spec"])
    letters = "".join(dict.fromkeys("".join(parts)))
    inner = [each for each in letters if each not in out]
    full = [
        np.einsum(f"{part}->{''.join(each for each in letters if each in part)}", x)
        for part, x in zip(parts, args, strict=True)
    ]
    spread = []
    for part, x in zip(parts, full, strict=True):
        kept = "".join(each for each in letters if each in part)
        spread.append(x.reshape([x.shape[kept.index(each)] if each in kept else 1 for each in letters]))
    product = spread[0]
    for each in spread[1:]:
        product = accumulate(product * each)
    product = np.einsum(f"{letters}->{out}{''.join(inner)}", product)
    rows = product.reshape(*product.shape[: len(out)], -1)
    return add_up(list(np.moveaxis(rows, -1, 0)), order, lambda p, q: accumulate(p + q))


def cumsum(args, params, order, compute, accumulate):
    x = np.moveaxis(args[0], params["axis"], 0)
    found = [add_up(list(x[: k + 1]), order, lambda a, b: accumulate(a + b)) for k in range(len(x))]
    return np.moveaxis(np.stack(found), 0, params["axis"])


def prod(args, params, order, compute, accumulate):
    (x,) = args
    found = add_up(_moved(x, params["axis"]), order, lambda a, b: compute(a * b))
    return np.reshape(found, np.empty(x.shape).sum(axis=params["axis"], keepdims=params["keepdims"]).shape)


SUMS = {"prod": prod, "total": total, "mean": mean, "matmul": matmul, "einsum": einsum, "cumsum": cumsum}


def _in_torch(nodes, output):
    import torch

    from opcheck.traces.tensor.checks import torch_functions

    functions = torch_functions(torch)
    found = []
    for node in nodes:
        if node.rule is None:
            tensor = torch.tensor(np.array(node.value))
            found.append(tensor.float() if tensor.dtype == torch.float64 else tensor)
        else:
            result = functions[node.rule.name](*(found[arg] for arg in node.args), **node.params)
            found.append(result.float() if result.dtype == torch.float64 else result)
    return found[output].numpy().astype(float) if found[output].dtype == torch.float32 else found[output].numpy()
