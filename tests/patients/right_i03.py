import math

def attention_loops(Q, K, V):
    out = []
    for q in Q:
        logits = [sum(a * b for a, b in zip(q, k)) / math.sqrt(len(q)) for k in K]
        m = max(logits)
        e = [math.exp(l - m) for l in logits]
        z = sum(e)
        out.append([sum(w / z * v[c] for w, v in zip(e, V)) for c in range(len(V[0]))])
    return out
