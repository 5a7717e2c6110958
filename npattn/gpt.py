"""A whole GPT on one page of NumPy: every gradient is written by hand, and every one is proved.

    python gpt.py      learns given names, invents new ones, then checks each of its gradients

B texts of T characters are the B·T rows of X (B·T, D). H heads, each D/H wide, look back side by
side; L blocks follow each other. dX is ∂loss/∂X. Each backward stands below its forward and undoes
it from its last line to its first; comments quote the line that is undone. Three rules are enough:

    Y = X @ W           dX = dY @ W.T,  dW = X.T @ dY    a product: the other factor, transposed
    Y = f(X)            dX = dY * f'(X)                  a function of each number
    X is used twice     dX = the sum of both             the two ways to the loss add up

Break a line of a backward and run the file again: the loss may still fall, but the check tells you.
"""
import math
from types import SimpleNamespace
import numpy as np

NAMES = np.array("""
ada adam adele adrian agnes aidan alan albert alex alice alma amanda amber amelia amos amy ana
andrea andrew angela anita anna annie anthony april aria arlo arnold arthur asher ashley astrid
audrey august aurora austin ava barbara barry basil beatrice bella ben bernard bertha beth bianca
blanche bonnie boris brandon brenda brian bridget bruce bruno caleb calvin camila carl carla carmen
carol caroline casper cecilia celia charles charlotte chester chloe chris christina clara clarence
claude clement colin connor cora corinne craig curtis cynthia cyrus daisy damian dana daniel daphne
daria david dawn dean deborah delia della denise dennis derek diana dinah dolores dominic donald
donna dora doris dorothy douglas duncan dylan edgar edith edmund edna edward edwin eileen elaine
eleanor elena eli elias elijah eliza ella ellen elliot elmer elsa elsie emil emily emma enid enrico
eric erica ernest esme estelle esther ethan ethel eugene eva evan evelyn ezra faith felix fern fiona
flora florence frances francis frank fred freya gabriel gavin gemma george gerald gertrude gilbert
gina gladys gloria grace graham grant greta guy gwen hannah harold harriet harry harvey hattie hazel
heather hector helen helga henry herbert herman hilda holly homer hope horace howard hubert hugh
hugo ian ida ignatius ines ingrid ira irene iris irma isaac isabel isla ivan ivy jack jacob jade
james jamie jane janet jared jasmine jason jasper jean jeffrey jennifer jeremy jerome jesse jessica
joan joanna joel john jonah jonathan jordan joseph joshua joyce juan judith julia julian juliet june
justin karen karl kate katherine kay keith kelly kenneth kevin kim kira kristen kyle lambert lara
laura lauren laurence lavinia leah leo leona leonard leroy leslie lester lewis lila lillian lily
linda linus lisa lloyd logan lois lola lorna louis louisa lucas lucia lucy luke luna lydia lyle
mabel madeline malcolm mara marcus margaret maria marian marie marina mario marion marjorie mark
marlene marta martha martin mary matilda matthew maud maureen maurice max maya megan melanie melissa
mia michael mildred miles milo mina minerva miranda miriam molly mona monica morgan morris moses
muriel myra myrtle nadia nancy naomi natalie nathan ned nell nellie nelson nicholas nicole nina noah
noel nora norma norman octavia olga olive oliver olivia oscar otis otto owen paige pamela patricia
patrick paul paula pearl peggy penelope percy perry peter petra philip phoebe phyllis polly
priscilla quentin rachel ralph ramona raymond rebecca regina reuben rex rhoda richard rita robert
robin roderick roger roland roman ronald rosa rosalie rose roy ruby rufus rupert russell ruth ryan
sabrina sally samantha samuel sandra sara saul sebastian selena selma serena seth shannon sharon
sheila sheldon shirley sidney silas silvia simon sofia solomon sonia sophie stella stephen steven
stuart susan sybil sylvester tabitha tamara tara teresa tessa thea thelma theodore thomas timothy
tina tobias tracy trevor tristan ulysses una ursula valerie vanessa vera vernon veronica victor
victoria vincent viola violet virgil virginia vivian wade wallace walter wanda warren wendy wesley
wilbur willa william willis wilma winifred winston xavier yolanda yvonne zachary zelda zoe zora
""".split())
LETTERS = ".abcdefghijklmnopqrstuvwxyz"                 # a point stands between two names
B, T, D, H, L = 16, 16, 24, 4, 2                        # texts, length, width, heads, blocks
SHAPES = {
    "E": (len(LETTERS), D), "C": (T, D),                # a row for each character, for each place
    "g1": (L, D), "h1": (L, D),                         # gain and bias of the first norm
    "Wq": (L, D, D), "Wk": (L, D, D), "Wv": (L, D, D), "Wo": (L, D, D),
    "g2": (L, D), "h2": (L, D),                         # gain and bias of the second norm
    "W1": (L, D, 4 * D), "b1": (L, 4 * D), "W2": (L, 4 * D, D), "b2": (L, D),
    "g": (D,), "h": (D,)}                               # gain and bias of the last norm

def unpack(theta):                                      # one long vector holds all parameters:
    W, i = SimpleNamespace(), 0                         # W.Wq[0] is a view of its part of theta
    for name, shape in SHAPES.items():
        vars(W)[name] = theta[i:i + math.prod(shape)].reshape(shape)
        i += math.prod(shape)
    return W

one_hot = lambda ids: np.eye(len(LETTERS))[ids.ravel()]             # (B, T) -> (B·T, 27)

# ---- Layer norm: each row gets mean 0 and standard deviation 1, then a gain g and a bias h ----
def layer_norm(X, g, h):
    M = X - X.mean(-1, keepdims=True)
    std = np.sqrt((M * M).mean(-1, keepdims=True) + 1e-5)
    N = M / std
    return g * N + h, (N, std, g)
def layer_norm_backward(dY, cache):
    N, std, g = cache
    dN, dg, dh = g * dY, (dY * N).sum(0), dY.sum(0)                 # Y = g * N + h
    dM = (dN - N * (dN * N).mean(-1, keepdims=True)) / std          # N = M / std, and std of M
    dX = dM - dM.mean(-1, keepdims=True)                            # M = X - X.mean(...)
    return dX, dg, dh

# ---- Attention: each row takes an average of the rows up to it, weighted by how they match ----
scale = (D // H) ** -0.5
future = np.triu(np.full((T, T), -np.inf), 1)                       # no key after its query
t = lambda X: X.swapaxes(-1, -2)                                    # Xᵀ for a stack of matrices
heads = lambda X: X.reshape(-1, T, H, D // H).swapaxes(1, 2)        # (B·T, D) -> (B, H, T, D/H)
merge = lambda X: X.swapaxes(1, 2).reshape(-1, D)                   # (B, H, T, D/H) -> (B·T, D)

def softmax(S):                                         # each row becomes weights that sum to 1
    E = np.exp(S - S.max(-1, keepdims=True))
    return E / E.sum(-1, keepdims=True)

def attention(X, Wq, Wk, Wv, Wo):
    Q, K, V = heads(X @ Wq), heads(X @ Wk), heads(X @ Wv)
    S = Q @ t(K) * scale + future
    P = softmax(S)
    O = P @ V
    Y = merge(O) @ Wo
    return Y, (X, Q, K, V, P, O, Wq, Wk, Wv, Wo)
def attention_backward(dY, cache):
    X, Q, K, V, P, O, Wq, Wk, Wv, Wo = cache
    dO, dWo = heads(dY @ Wo.T), merge(O).T @ dY                     # Y = merge(O) @ Wo
    dP, dV = dO @ t(V), t(P) @ dO                                   # O = P @ V
    dS = P * (dP - (dP * P).sum(-1, keepdims=True))                 # P = softmax(S)
    dQ, dK = dS @ K * scale, t(dS) @ Q * scale                      # S = Q @ t(K) * scale + future
    dQ, dK, dV = merge(dQ), merge(dK), merge(dV)                    # Q, K, V = heads(...), ...
    dWq, dWk, dWv = X.T @ dQ, X.T @ dK, X.T @ dV                    # X @ Wq, X @ Wk, X @ Wv
    dX = dQ @ Wq.T + dK @ Wk.T + dV @ Wv.T                          # X is used three times
    return dX, dWq, dWk, dWv, dWo

# ---- Feed-forward: each row by itself through one hidden layer, four times as wide ----
def feed_forward(X, W1, b1, W2, b2):
    A = X @ W1 + b1
    R = np.maximum(A, 0)
    return R @ W2 + b2, (X, A, R, W1, W2)
def feed_forward_backward(dY, cache):
    X, A, R, W1, W2 = cache
    dR, dW2, db2 = dY @ W2.T, R.T @ dY, dY.sum(0)                   # Y = R @ W2 + b2
    dA = dR * (A > 0)                                               # R = np.maximum(A, 0)
    dX, dW1, db1 = dA @ W1.T, X.T @ dA, dA.sum(0)                   # A = X @ W1 + b1
    return dX, dW1, db1, dW2, db2

# ---- A block: attention, then feed-forward; each reads normed rows and adds to the rows ----
def block(X, W, n):
    N1, norm1 = layer_norm(X, W.g1[n], W.h1[n])
    A, look = attention(N1, W.Wq[n], W.Wk[n], W.Wv[n], W.Wo[n])
    M = X + A
    N2, norm2 = layer_norm(M, W.g2[n], W.h2[n])
    F, feed = feed_forward(N2, W.W1[n], W.b1[n], W.W2[n], W.b2[n])
    return M + F, (norm1, look, norm2, feed)
def block_backward(dY, cache, G, n):                    # G takes the gradients, as W the parameters
    norm1, look, norm2, feed = cache
    dN2, G.W1[n], G.b1[n], G.W2[n], G.b2[n] = feed_forward_backward(dY, feed)     # F, feed = ...
    dM, G.g2[n], G.h2[n] = layer_norm_backward(dN2, norm2)                        # N2, norm2 = ...
    dM = dM + dY                                                                  # Y = M + F
    dN1, G.Wq[n], G.Wk[n], G.Wv[n], G.Wo[n] = attention_backward(dM, look)        # A, look = ...
    dX, G.g1[n], G.h1[n] = layer_norm_backward(dN1, norm1)                        # N1, norm1 = ...
    return dX + dM                                                                # M = X + A

# ---- The GPT: characters in, a score for each possible next character out ----
def gpt(W, ids):
    token, place = one_hot(ids), np.tile(np.eye(T), (len(ids), 1))
    X, caches = token @ W.E + place @ W.C, []
    for n in range(L):
        X, cache = block(X, W, n)
        caches.append(cache)
    N, norm = layer_norm(X, W.g, W.h)
    return N @ W.E.T, (token, place, caches, norm, N, W.E)
def gpt_backward(dZ, cache, G):
    token, place, caches, norm, N, E = cache
    dN, dE = dZ @ E, dZ.T @ N                                       # Z = N @ E.T
    dX, G.g[:], G.h[:] = layer_norm_backward(dN, norm)              # N, norm = layer_norm(X, ...)
    for n in reversed(range(L)):
        dX = block_backward(dX, caches[n], G, n)                    # X, cache = block(X, W, n)
    G.E[:] = dE + token.T @ dX                                      # token @ E; E is used twice
    G.C[:] = place.T @ dX                                           # place @ C

# ---- The loss: -log of the probability of the true next character, averaged over all places ----
def loss(W, text):                                                  # text (B, T + 1): read all but
    Z, cache = gpt(W, text[:, :-1])                                 # the last character, predict
    P, true = softmax(Z), one_hot(text[:, 1:])                      # all but the first
    return -np.log((P * true).sum(-1)).mean(), (P, true, cache)
def loss_backward(cache, G):
    P, true, cache = cache
    dZ = (P - true) / len(P)                                        # mean of -log softmax(Z)[true]
    gpt_backward(dZ, cache, G)                                      # Z, cache = gpt(...)

# ---- Learning, by Adam, and inventing ----
def start(rng):                                         # random parameters; gains are near 1
    theta = 0.1 * rng.standard_normal(sum(map(math.prod, SHAPES.values())))
    W = unpack(theta)
    for gain in (W.g1, W.g2, W.g):
        gain += 1
    return theta

def draw(rng, count):                                   # texts of random names
    texts = ["." + ".".join(names) for names in rng.choice(NAMES, (count, T))]
    return np.array([[LETTERS.index(c) for c in text[:T + 1]] for text in texts])

def gradient(theta, text):                              # the loss, and ∂loss/∂theta
    grad = np.zeros(theta.size)
    value, cache = loss(unpack(theta), text)
    loss_backward(cache, unpack(grad))
    return value, grad

def adam(theta, grad, m, v, step, rate):                # m, v: running means of grad and grad²
    m, v = 0.9 * m + 0.1 * grad, 0.99 * v + 0.01 * grad**2
    mhat, vhat = m / (1 - 0.9**step), v / (1 - 0.99**step)
    return theta - rate * mhat / (np.sqrt(vhat) + 1e-8), m, v

def sample(theta, rng, length):                         # one character after the other
    ids = [0]
    for _ in range(length):
        seen = ids[-T:]
        Z, _ = gpt(unpack(theta), np.array([seen + [0] * (T - len(seen))]))
        ids.append((softmax(Z[len(seen) - 1]).cumsum() > rng.random()).argmax())
    return "".join(LETTERS[i] for i in ids).split(".")[1:-1]    # whole names

# ---- The proof: an imaginary step is not rounded away, so Im(loss) / 1e-20 is the derivative ----
def check(theta, text):                                 # every entry of theta moves by itself
    grad, truth, z = gradient(theta, text)[1], np.zeros(theta.size), theta.astype(complex)
    W, wrong, worst = unpack(z), 0, 0                   # W follows each change of z
    for i in range(theta.size):
        z[i] += 1e-20j
        truth[i] = loss(W, text)[0].imag / 1e-20
        z[i] = theta[i]
    for name, R in vars(unpack(truth)).items():
        G = vars(unpack(grad))[name]
        error = abs(G - R) / abs(R).max()               # relative to the largest of the array
        bad, at = ~(error < 1e-10), np.unravel_index(error.argmax(), R.shape)
        wrong, worst = wrong + bad.sum(), max(worst, error.max())
        if bad.any():
            print(f"wrong: d{name} in {bad.sum()} of {R.size} entries, for example "
                  f"d{name}{[*map(int, at)]} is {G[at]:.6f}, by complex step {R[at]:.6f}")
    print(f"{wrong:,} of {theta.size:,} gradients are wrong" if wrong else f"all {theta.size:,} "
          f"gradients agree with the complex step, worst relative error {worst:.1e}")

def main(seed=0, steps=1500, rate=0.01):
    rng = np.random.default_rng(seed)
    theta, m, v = start(rng), 0, 0
    for step in range(1, steps + 1):
        value, grad = gradient(theta, draw(rng, B))
        theta, m, v = adam(theta, grad, m, v, step, rate * (1 - step / (steps + 1)))
        if step == 1 or step % 150 == 0:
            print(f"step {step:4}   loss {value:.3f}", flush=True)
    print("invented:", *[name for name in sample(theta, rng, 200) if name not in NAMES])
    check(start(rng), draw(rng, 1))                     # at any point: training has no part in it

if __name__ == "__main__":
    main()
