# npattn: layout=td
import math


def attention_by_hand(Q, K, V, causal=False):
    """One sequence, plain loops, as on the blackboard. Q (T,d), K (S,d), V (S,dv) arrays."""
    import numpy as np
    T, S, d = len(Q), len(K), len(Q[0])
    out = np.zeros((T, V.shape[1]))
    for t in range(T):
        last = t + S - T + 1 if causal else S
        logits = [sum(float(a) * float(b) for a, b in zip(Q[t], K[s])) / math.sqrt(d) for s in range(last)]
        peak = max(logits)
        weights = [math.exp(z - peak) for z in logits]
        total = math.fsum(weights)
        for s, w in enumerate(weights):
            out[t] += w / total * V[s]
    return out
