from collections import namedtuple
import numpy as np
from scipy.special import softmax
Result = namedtuple("Result", "context weights")
def attend(Q, K, V, allow=None):
    S = np.matmul(Q, np.swapaxes(K, -1, -2)) / np.sqrt(K.shape[-1])
    if allow is not None:
        S = np.where(allow, S, -np.inf)
    P = softmax(S, axis=-1)
    return Result(np.matmul(P, V), P)
