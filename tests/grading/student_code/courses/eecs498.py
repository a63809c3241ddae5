import torch


class Linear:
    @staticmethod
    def forward(x, w, b):
        out = x.reshape(x.shape[0], -1).mm(w) + b
        return out, (x, w, b)

    @staticmethod
    def backward(dout, cache):
        x, w, b = cache
        dx = dout.mm(w.t()).view(x.shape)
        dw = x.reshape(x.shape[0], -1).t().mm(dout)
        return dx, dw, dout.sum(dim=0)


class ReLU:
    @staticmethod
    def forward(x):
        return x.clamp(min=0), x

    @staticmethod
    def backward(dout, cache):
        dx = dout.clone()
        dx[cache <= 0] = 0
        return dx


class Conv:
    @staticmethod
    def forward(x, w, b, conv_param):
        s, p = conv_param["stride"], conv_param["pad"]
        xp = torch.nn.functional.pad(x, (p, p, p, p))
        N, C, H, W = x.shape
        F, _, HH, WW = w.shape
        Ho, Wo = 1 + (H + 2 * p - HH) // s, 1 + (W + 2 * p - WW) // s
        out = torch.zeros((N, F, Ho, Wo), dtype=x.dtype, device=x.device)
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        out[n, f, i, j] = (xp[n, :, i * s : i * s + HH, j * s : j * s + WW] * w[f]).sum() + b[f]
        return out, (x, w, b, conv_param)

    @staticmethod
    def backward(dout, cache):
        x, w, b, cp = cache
        s, p = cp["stride"], cp["pad"]
        xp = torch.nn.functional.pad(x, (p, p, p, p))
        dxp = torch.zeros_like(xp)
        dw = torch.zeros_like(w)
        N, F, Ho, Wo = dout.shape
        HH, WW = w.shape[2:]
        for n in range(N):
            for f in range(F):
                for i in range(Ho):
                    for j in range(Wo):
                        dw[f] += dout[n, f, i, j] * xp[n, :, i * s : i * s + HH, j * s : j * s + WW]
                        dxp[n, :, i * s : i * s + HH, j * s : j * s + WW] += dout[n, f, i, j] * w[f]
        return dxp[:, :, p : dxp.shape[2] - p, p : dxp.shape[3] - p], dw, dout.sum((0, 2, 3))
