"""scaled_dot_product_attention: each query takes a mean of the values, weighted by how well their keys fit to it."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from opcheck.language import say
from opcheck.operators.choosers import Chooser
from opcheck.operators.params import Flag, Maybe, Real
from opcheck.operators.program import Derived, Program
from opcheck.operators.shared.notes import shifted
from opcheck.operators.shared.roundoff.base import Bound
from opcheck.operators.spec import (
    Array,
    Case,
    Closed,
    Input,
    Mistake,
    Op,
    Output,
    Param,
    Params,
    Refused,
    Shape,
    results_of,
)
from opcheck.programs import kinks
from opcheck.programs.rule import fitted
from opcheck.programs.running import Format


def _masked(change: Callable[[Array], Array] = np.asarray, past: int = 0, last: bool = False) -> Any:
    """A mistake: what became of a mask of True and False, or how far past key l query l looks (last: past S − L)."""

    def forward(op: Op, p: Params, *, attn_mask: Any = None, **arrays: Array) -> Any:
        L, S = (arrays[name].shape[-2] for name in ("query", "key"))  # noqa: N806
        mask = np.tri(L, S, past + last * (S - L), dtype=bool) if p.is_causal else attn_mask
        mask = change(mask) if attn_mask is not None and mask.dtype.kind == "b" else mask
        return op.forward(p.replace(is_causal=False), **arrays, **({} if mask is None else {"attn_mask": mask}))

    return forward


def _heads(causal: bool, *more: str) -> Any:
    """c, of one head, or of several whose arrays have the same leading dimensions."""

    def letters(p: Params, shapes: Mapping[str, Shape]) -> Mapping[str, Any] | None:
        given = set(shapes) == {"query", "key", "value", *more} and p.is_causal == causal
        return {"c": p.scale} if given and len({shape[:-2] for shape in shapes.values()}) == 1 else None

    return letters


def _by_head(p: Params, name: str, array: Array) -> Array:
    return array.reshape(-1, *array.shape[-2:])


def _closed(seen: str, mask: str, letters: Any) -> tuple[Closed, ...]:
    """Gradients for one kind of mask: what a key must be to be seen, and what is added to its score."""
    of = seen.replace("s", "t")
    shares = f"P[l,s] = {seen}exp(z[l,s])/Σ_t {of}exp(z[l,t]), z[l,s] = c·Σ_j q[l,j]·k[s,j]{mask}"
    inner = f"D[l,s] = P[l,s]·(G[l,s] − Σ_t P[l,t]·G[l,t]), G[l,s] = Σ_d ȳ[l,d]·v[s,d], {shares}"
    return (
        Closed("query", f"q̄[l,j] = c·Σ_s D[l,s]·k[s,j]   with {inner}", letters, _by_head),
        Closed("key", f"k̄[s,j] = c·Σ_l D[l,s]·q[l,j]   with {inner}", letters, _by_head),
        Closed("value", f"v̄[s,d] = Σ_l P[l,s]·ȳ[l,d]   with {shares}", letters, _by_head),
        *([Closed("attn_mask", f"mask̄[l,s] = D[l,s]   with {inner}", letters, _by_head)] if mask else ()),
    )


class AttentionRounding(Derived):
    """Also for what saves memory: the sum Σ_t P[l,t]·G[l,t] of a gradient is taken as Σ_d ȳ[l,d]·y[l,d], of the output
    as it was stored (Dao and others, FlashAttention, arXiv:2205.14135, appendix B.2)."""

    def vjp(self, op: Op, p: Params, f: Format, cotangent: Any, /, **arrays: Array) -> dict[str, Bound]:
        found = super().vjp(op, p, f, cotangent, **arrays)
        q, k, g = arrays["query"], arrays["key"], np.abs(results_of(op, cotangent)["output"])
        with np.errstate(all="ignore"):
            y = op.forward(p, **arrays)
            error = f.stored(y, self.forward(op, p, f, **arrays)["output"].error)
            inner = abs(p.scale) * (g * error).sum(axis=-1, keepdims=True)
            more = {"query": fitted(inner * op.forward(p, **{**arrays, "value": np.abs(k)}), q.shape)}
            seed = inner * np.broadcast_to(np.abs(q), (*inner.shape[:-1], q.shape[-1]))
            more["key"] = op.vjp(p, seed, **{**arrays, "value": np.abs(k)})["value"]
        for name, each in more.items():
            bound = found[name]
            exact = None if bound.exact is None else bound.exact & (each == 0)
            found[name] = bound._replace(error=bound.error + each, exact=exact)
        return found


class Attention(Program):
    name = "scaled_dot_product_attention"
    taught = {"is_causal": (True, False)}  # a mask may leave nothing of a row, of which courses think differently
    aliases = ("attention", "sdpa")
    summary = "each query takes a mean of the values, weighted by how well their keys match it"
    formula = (
        "y[l] = Σ_t w[l,t]·v[t]   with s[l,t] = c·Σ_j q[l,j]·k[t,j] + mask[l,t], m[l] = max_t s[l,t], "
        "e[l,t] = exp(s[l,t] − m[l]), S[l] = Σ_t e[l,t], w[l,t] = e[l,t]/S[l]"
    )
    closed = (
        *_closed("", "", _heads(causal=False)),
        *_closed("[s ≤ l]·", "", _heads(causal=True)),
        *_closed("", " + mask[l,s]", _heads(False, "attn_mask")),
    )
    source = "Vaswani and others, Attention Is All You Need, arXiv:1706.03762, equation 1; torch.nn.functional"
    example = "scaled_dot_product_attention([[1, 0]], [[1, 0], [0, 1]], [[1], [0]], scale=1)", "array([[0.73105858]])"
    arguments = (
        Input("query", "q", "* L E", "what is looked for: L rows", default="half"),
        Input("key", "k", "* S E", "what the queries are compared with: S rows", default="half"),
        Input("value", "v", "* S Ev", "what is averaged: one row for each key"),
        Input("attn_mask", "mask", "* L S", "bool, where True takes part, or numbers added to the scores",
              optional=True, whole=True),
        Param("dropout_p", 0.0, Real(0.0, 0.0), "only 0: random numbers have no definition", quiet=True),
        Param("is_causal", False, Flag(), "query l sees the keys 0 to l"),
        Param("scale", None, Maybe(Real()), "the scores are multiplied by it; None is 1/√E", True, symbol="c"),
        Param("enable_gqa", False, Flag(), "heads of query share those of key and value", True, quiet=True),
    )  # fmt: skip
    outputs = (Output("output", "y", "* L Ev"),)
    rounding = AttentionRounding()
    widest = {"apart": True}  # many scale query and key before their product

    def formula_of(self, p: Params, shapes: Mapping[str, Shape]) -> str:
        return self.formula if p.is_causal or "attn_mask" in shapes else self.formula.replace(" + mask[l,t]", "")

    def notes(self, p: Params, shapes: Mapping[str, Shape]) -> tuple[str, ...]:
        causal = say("is_causal: the mask is 0 where t ≤ l and −∞ elsewhere, so a query sees no later key")
        return (*((causal,) if p.is_causal else ()), shifted())

    def remarks(self, p: Params, /, *, attn_mask: Any = None, **arrays: Array) -> tuple[str, ...]:
        if attn_mask is None:
            return ()
        truth = attn_mask.dtype.kind == "b"
        told = say("the mask holds True and False: True, here 1, takes part and adds 0; False, here 0, adds −∞")
        closed = ~attn_mask.any(axis=-1) if truth else np.all(attn_mask == -np.inf, axis=-1)
        unseen = say("a query that sees no key has no largest score, and its sum is 0: 0 and 1 are used instead, so "
                     "that its output is 0, as in torch, and not 0/0")  # fmt: skip
        return (*((told,) if truth else ()), *((unseen,) if closed.any() and attn_mask.shape[-1] else ()))

    def settle(self, p: Params, shapes: Mapping[str, Shape]) -> Params:
        return p.replace(scale=1 / math.sqrt(max((1, *shapes["query"])[-1], 1))) if p.scale is None else p

    def shape(self, p: Params, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        q, k, v, mask = (shapes.get(each.name, ()) for each in self.inputs)
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        if min(len(q), len(k), len(v)) < 2 + p.enable_gqa or q[-1] != k[-1] or k[-2] != v[-2]:
            raise Refused(say("query is (..., L, E), key (..., S, E) and value (..., S, Ev)"), got=got)
        with suppress(ValueError, ZeroDivisionError):
            if p.enable_gqa:
                k, v = ((*x[:-3], -1 if q[-3] % x[-3] else q[-3], *x[-2:]) for x in (k, v))
            scores = (*np.broadcast_shapes(q[:-2], k[:-2]), q[-2], k[-2])
            if np.broadcast_shapes(scores, mask) == scores:
                return {"output": (*np.broadcast_shapes(scores[:-2], v[:-2]), q[-2], v[-1])}
        raise Refused(say("leading dimensions and attn_mask must match those of query"), got=got)

    def check(self, p: Params, *, attn_mask: Any = None, **arrays: Array) -> None:
        if attn_mask is not None and (p.is_causal or attn_mask.dtype.kind not in "bf"):
            raise Refused(say("attn_mask is bool or real, and excludes is_causal"), got=str(attn_mask.dtype))

    def default_shape(self, name: str, params: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Shape:
        query, key = shapes.get("query", (2, 2)), shapes.get("key", (3, 2))
        E, S = (query or (2,))[-1], key[-2] if len(key) > 1 else 3  # noqa: N806  # too few are refused later
        return {"query": (2, E), "key": (3, E), "value": (S, 2)}[name]

    def program(self, p: Params, *, query: Any, key: Any, value: Any, attn_mask: Any = None, apart: Any = False) -> Any:
        if p.enable_gqa:
            key, value = (np.repeat(x, query.shape[-3] // x.shape[-3], axis=-3) for x in (key, value))
        keys, c = np.swapaxes(key, -1, -2), math.copysign(abs(p.scale) ** 0.5, p.scale)
        s = (query * c) @ (keys * abs(c)) if apart else query @ keys * p.scale
        if not s.size:
            return s @ value
        attn_mask = np.tri(*s.shape[-2:], dtype=bool) if p.is_causal else attn_mask
        if attn_mask is not None:
            s = s + (attn_mask if attn_mask.dtype.kind == "f" else np.where(attn_mask, 0.0, -np.inf))
        m = s.max(axis=-1, keepdims=True)
        e = np.exp(s - np.where(m > -np.inf, kinks.detach(m), 0.0))
        S = np.where(m > -np.inf, e.sum(axis=-1, keepdims=True), 1.0)  # noqa: N806  # of a masked row 1
        w = e / S
        return w @ value

    def sample(self, chooser: Chooser) -> Case:
        lead = chooser.choice(((), (2,), (4,), (1, 2), (1, 4), (2, 1)))
        few = (*lead[:-1], 2) if 4 in lead else lead
        L, S, E = chooser.whole(1, 3), chooser.choice((2, 1, 4)), chooser.whole(1, 4)  # noqa: N806
        shapes = {"query": (*lead, L, E), "key": (*few, S, E), "value": (*few, S, chooser.whole(1, 2))}
        arrays = {name: chooser.array(*shape) for name, shape in shapes.items()}
        arrays = {name: x / 2.0 ** max(0, np.frexp(abs(x).max())[1] - 4) for name, x in arrays.items()}  # e**1e6 is ∞
        mask = chooser.choice(("none", "causal", "bool", "float", "closed"))
        if mask in ("bool", "float", "closed"):
            bools = chooser.classes((*lead, L, S), (1, 0) if mask == "bool" else (0,)).astype(bool)
            arrays["attn_mask"] = chooser.array(L, S) if mask == "float" else bools
        params = {"enable_gqa": lead != few, "is_causal": mask == "causal"}
        return Case(self.name, arrays, {**params, **chooser.choice(({}, {"scale": 0.5}, {"scale": 1.0}))})

    mistakes = (
        Mistake("unscaled", "The scores are divided by √E.", lambda op, p, **a: op.forward(p.replace(scale=1.0), **a)),
        Mistake("no_root", "Divide by √E, not by E.", lambda op, p, **a: op.forward(p.replace(scale=p.scale**2), **a)),
        Mistake("mask_inverted", "True takes part; here it was left out.", _masked(lambda mask: ~mask)),
        Mistake("mask_added", "True and False were added as 1 and 0; False is −∞.", _masked(lambda m: m.astype(float))),
        Mistake("causal_at_the_bottom", "Query l sees keys 0 to l, also where S is not L.", _masked(last=True)),
        Mistake("diagonal_masked", "Query l sees key l, too.", _masked(past=-1)),
        Mistake("masked_row_is_nan", "A query that sees no key gets 0; here it got 0/0, which is NaN.",
                lambda op, p, **a: op.forward(p, **a) / op.forward(p, **{**a, "value": 0 * a["value"][..., :1] + 1})),
        Mistake("gradient_not_scaled", "The scale belongs to the gradients of query and key, too.",
                vjp=lambda op, p, g, **a: {name: x if name in ("value", "attn_mask") else x / p.scale
                                           for name, x in op.vjp(p, g, **a).items()}),
    )  # fmt: skip


OPS = (Attention(),)
