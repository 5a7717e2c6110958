# npattn: layout=dt
import numpy as np
def attention(Q, K, V):
    S = K.T @ Q / np.sqrt(K.shape[0])
    A = np.exp(S - S.max(axis=0))
    return V @ (A / A.sum(axis=0))
