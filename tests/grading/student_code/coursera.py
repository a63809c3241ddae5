"""A student's homework in the coursera convention, all of it right."""

import numpy as np


def linear_forward(A, W, b):
    return W @ A + b, (A, W, b)


def linear_backward(dZ, cache):
    A, W, b = cache
    m = A.shape[1]
    return W.T @ dZ, dZ @ A.T / m, np.sum(dZ, axis=1, keepdims=True) / m


def relu(Z):
    return np.maximum(0, Z), Z


def relu_backward(dA, cache):
    dZ = np.array(dA, copy=True)
    dZ[cache <= 0] = 0
    return dZ


def conv_forward(A_prev, W, b, hparameters):
    stride, pad = hparameters["stride"], hparameters["pad"]
    padded, f = np.pad(A_prev, ((0, 0), (pad, pad), (pad, pad), (0, 0))), W.shape[0]
    m, H, Wd, _ = A_prev.shape
    Z = np.zeros((m, (H - f + 2 * pad) // stride + 1, (Wd - f + 2 * pad) // stride + 1, W.shape[3]))
    for i, h, w, c in np.ndindex(*Z.shape):
        piece = padded[i, h * stride : h * stride + f, w * stride : w * stride + f, :]
        Z[i, h, w, c] = np.sum(piece * W[..., c]) + b[0, 0, 0, c]
    return Z, (A_prev, W, b, hparameters)


def conv_backward(dZ, cache):
    A_prev, W, b, hparameters = cache
    stride, pad, f = hparameters["stride"], hparameters["pad"], W.shape[0]
    padded = np.pad(A_prev, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    dpadded, dW, db = np.zeros(padded.shape), np.zeros(W.shape), np.zeros(b.shape)
    for i, h, w, c in np.ndindex(*dZ.shape):
        place = i, slice(h * stride, h * stride + f), slice(w * stride, w * stride + f)
        dpadded[place] += W[..., c] * dZ[i, h, w, c]
        dW[..., c] += padded[place] * dZ[i, h, w, c]
        db[..., c] += dZ[i, h, w, c]
    return dpadded[:, pad : pad + A_prev.shape[1], pad : pad + A_prev.shape[2]], dW, db


def pool_forward(A_prev, hparameters, mode="max"):
    f, stride = hparameters["f"], hparameters["stride"]
    m, H, W, C = A_prev.shape
    A = np.zeros((m, 1 + (H - f) // stride, 1 + (W - f) // stride, C))
    for h, w in np.ndindex(*A.shape[1:3]):
        piece = A_prev[:, h * stride : h * stride + f, w * stride : w * stride + f]
        A[:, h, w] = piece.max(axis=(1, 2)) if mode == "max" else piece.mean(axis=(1, 2))
    return A, (A_prev, hparameters)


def pool_backward(dA, cache, mode="max"):
    A_prev, hparameters = cache
    f, stride = hparameters["f"], hparameters["stride"]
    dA_prev = np.zeros(A_prev.shape)
    for i, h, w, c in np.ndindex(*dA.shape):
        place = i, slice(h * stride, h * stride + f), slice(w * stride, w * stride + f), c
        if mode == "max":
            dA_prev[place] += (A_prev[place] == A_prev[place].max()) * dA[i, h, w, c]
        else:
            dA_prev[place] += dA[i, h, w, c] / f**2
    return dA_prev
