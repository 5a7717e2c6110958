import torch


def forward(q, k, v):
    d = q.shape[-1]
    s = q @ k.transpose(-1, -2) / d ** 0.5
    p = torch.softmax(s, -1)
    o = p @ v
    return o, (q, k, v, p)


def backward(do, ctx):
    q, k, v, p = ctx
    d = q.shape[-1]
    dv = p @ do
    dp = do @ v.transpose(-1, -2)
    ds = p * (dp - (dp * p).sum(-1, keepdim=True))
    dq = ds @ k / d ** 0.5
    dk = ds.transpose(-1, -2) @ q
    return dq, dk, dv
