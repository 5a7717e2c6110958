# npattn: heads=2
import numpy as np
def attention(x, params, n_heads=2, mask=None):
    b, t, d = x.shape
    h = lambda n: np.moveaxis((x @ params["w_" + n] + params["b_" + n]).reshape(b, t, n_heads, d // n_heads), 2, 1)
    q, k, v = h("q"), h("k"), h("v")
    s = np.einsum("bhid,bhjd->bhij", q, k) / np.sqrt(d // n_heads)
    if mask is not None:
        s = s + (1 - mask) * -1e30
    s = np.exp(s - s.max(-1, keepdims=True))
    y = np.einsum("bhij,bhjd->bihd", s / s.sum(-1, keepdims=True), v).reshape(b, t, d)
    return y @ params["w_o"] + params["b_o"]
