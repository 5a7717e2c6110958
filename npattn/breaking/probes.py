"""What the functions of a GPT file return for drawn arguments, one function at a time.

`measure(module, name, seed)` calls a pair of the module with random arguments and returns
{label: array}. The functions that the pair calls are replaced by those of `parts`, a right copy of
the file of the same sizes, so that a mistake shows in the function that has it and in no other.
"""

import contextlib
import functools
import warnings

import numpy as np

STEP = 1e-20j
SMALL = 1e-6
DIRECTIONS = 2
SIZES = {"T": 64, "D": 256, "H": 64, "L": 8, "V": 256}  # the largest that are checked

# {name: (the functions that it calls)}; backward functions stand beside their forwards
PARTS = {
    "one_hot": (),
    "t": (),
    "heads": (),
    "merge": (),
    "softmax": (),
    "layer_norm": (),
    "attention": ("softmax", "heads", "merge", "t"),
    "feed_forward": (),
    "block": ("layer_norm", "attention", "feed_forward"),
    "gpt": ("layer_norm", "block", "one_hot"),
    "loss": ("gpt", "softmax", "one_hot"),
    "adam": (),
}
PAIRS = ("layer_norm", "attention", "feed_forward", "block", "gpt", "loss")
OUTPUTS = {
    "layer_norm": "dX dg dh",
    "attention": "dX dWq dWk dWv dWo",
    "feed_forward": "dX dW1 db1 dW2 db2",
}
PARAMETERS = "E C g1 h1 Wq Wk Wv Wo g2 h2 W1 b1 W2 b2 g h".split()
BLOCK = "g1 h1 Wq Wk Wv Wo g2 h2 W1 b1 W2 b2".split()


def needed(name):
    """The functions that a probe calls."""
    return (name, f"{name}_backward") if name in PAIRS else (name,)


@contextlib.contextmanager
def quiet():
    """No warnings from arithmetic: an edited copy is judged by its numbers."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def isolated(module, parts, name):
    """The module with the functions that `name` calls replaced by those of `parts`."""
    space, calls = vars(module), []
    if parts is not None:
        for inner in PARTS[name]:
            calls += [key for key in needed(inner) if key in space]
    kept = {key: space[key] for key in calls}
    space.update({key: vars(parts)[key] for key in calls})
    try:
        yield
    finally:
        space.update(kept)


def whole(module, seed):
    """{label: array}: the loss and all gradients at one point, and the loss's own derivatives."""
    rng = np.random.default_rng([seed, 1])
    theta, text = _theta(module, rng), _text(module, rng, 2)
    grad = np.zeros(theta.size)
    value, cache = module.loss(module.unpack(theta), text)
    module.loss_backward(cache, module.unpack(grad))
    found = {"loss": value} | _by_name(module, grad)

    def moved(direction):
        return module.loss(module.unpack(theta + direction), text)[0]

    return found | _own(rng, moved, [theta], [grad], [1.0])


def measure(module, name, seed, parts=None, fits=True):
    """{label: array}: what the function, and its backward, return; and whether they fit together.

    "own" holds derivatives of the module's own forward by complex step, "differences" by small
    steps, "by hand" the same from its backward; fits=False leaves these three out.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    own = functools.partial(_own, rng) if fits else lambda *_: {}
    with isolated(module, parts, name):
        return globals().get(f"_{name}", _pair)(module, name, rng, own)


def _pair(module, name, rng, own):
    D, rows = module.D, 2 * module.T
    shapes = {
        "layer_norm": [(rows, D), (D,), (D,)],
        "attention": [(rows, D), *[(D, D)] * 4],
        "feed_forward": [(rows, D), (D, 4 * D), (4 * D,), (4 * D, D), (D,)],
    }[name]
    args = [rng.standard_normal(shape) / (D**0.5 if len(shape) > 1 and k else 1.0)
            for k, shape in enumerate(shapes)]
    dY = rng.standard_normal((rows, D))
    f, f_backward = vars(module)[name], vars(module)[f"{name}_backward"]
    Y, cache = f(*args)
    gradients = f_backward(dY, cache)
    found = {"Y": Y} | dict(zip(OUTPUTS[name].split(), gradients, strict=True))
    moved = _mover(lambda *moved: f(*moved)[0], args)
    return found | own(moved, args, gradients, [dY])


def _block(module, _, rng, own):
    theta = _theta(module, rng)
    W, n, rows = module.unpack(theta), module.L - 1, 2 * module.T
    X, dY = rng.standard_normal((2, rows, module.D))
    grad = np.zeros(theta.size)
    G = module.unpack(grad)
    Y, cache = module.block(X, W, n)
    dX = module.block_backward(dY, cache, G, n)
    named = _by_name(module, grad)
    found = {"Y": Y, "dX": dX} | {f"d{k}": named[f"d{k}"] for k in BLOCK}
    moved = _mover(lambda X, theta: module.block(X, module.unpack(theta), n)[0], [X, theta])
    return found | own(moved, [X, theta], [dX, grad], [dY])


def _gpt(module, _, rng, own):
    theta, ids = _theta(module, rng), _text(module, rng, 2)[:, :-1]
    grad = np.zeros(theta.size)
    Z, cache = module.gpt(module.unpack(theta), ids)
    dZ = rng.standard_normal(Z.shape)
    module.gpt_backward(dZ, cache, module.unpack(grad))
    found = {"Y": Z} | _by_name(module, grad)
    moved = _mover(lambda theta: module.gpt(module.unpack(theta), ids)[0], [theta])
    return found | own(moved, [theta], [grad], [dZ])


def _loss(module, _, rng, own):
    theta, text = _theta(module, rng), _text(module, rng, 2)
    table = {"Z": rng.standard_normal((2 * module.T, len(module.LETTERS)))}
    taken = {}

    def gpt(W, ids):
        taken["ids"] = np.asarray(ids, float)
        return table["Z"], "cache"

    def gpt_backward(dZ, cache, G):
        taken["dZ"] = dZ

    kept = module.gpt, module.gpt_backward
    module.gpt, module.gpt_backward = gpt, gpt_backward
    try:
        W = module.unpack(theta)
        value, cache = module.loss(W, text)
        module.loss_backward(cache, module.unpack(np.zeros(theta.size)))
        found = {"Y": value, "ids": taken["ids"], "dZ": taken["dZ"]}
        Z = table["Z"]

        def moved(direction):
            table["Z"] = Z + direction
            return module.loss(W, text)[0]

        return found | own(moved, [Z], [found["dZ"]], [1.0])
    finally:
        module.gpt, module.gpt_backward = kept


def _softmax(module, _, rng, own):
    S = rng.standard_normal((2, 3, 5))
    return {"Y": module.softmax(S), "Y of large scores": module.softmax(S + 1000.0)}


def _heads(module, name, rng, own):
    return {"Y": vars(module)[name](rng.standard_normal((2 * module.T, module.D)))}


def _merge(module, name, rng, own):
    shape = (2, module.H, module.T, module.D // module.H)
    return {"Y": module.merge(rng.standard_normal(shape))}


def _t(module, _, rng, own):
    return {"Y": module.t(rng.standard_normal((2, 3, 4, 5)))}


def _one_hot(module, _, rng, own):
    return {"Y": module.one_hot(_text(module, rng, 2))}


def _adam(module, _, rng, own):
    theta, grad, m = rng.standard_normal((3, 7))
    v = rng.random(7) * 1e-3
    m[0] = v[0] = grad[0] = 0.0
    found = {}
    for step in (1, 9):
        made = module.adam(theta, grad, m, v, step, 0.01)
        found |= {f"{k} {step}": X for k, X in zip(("theta", "m", "v"), made, strict=True)}
    small = module.adam(theta, 1e-8 * grad, 0.0 * m, 0.0 * v, 1, 0.01)[0]
    return found | {"theta of small gradients": small}


def _theta(module, rng):
    """Random parameters of about the size that training gives; no gain is 1 and no bias 0.

    They are drawn by name, so that another order gives the same ones.
    """
    seed, size = int(rng.integers(1 << 30)), sum(int(np.prod(s)) for s in module.SHAPES.values())
    theta = np.zeros(size)
    W = vars(module.unpack(theta))
    for name, known in _names(module).items():
        own = np.random.default_rng([seed, *known.encode()])
        W[name][...] = 0.25 * own.standard_normal(W[name].shape) + (known in ("g1", "g2", "g"))
    return theta


def _names(module):
    """{name of a parameter: its name in gpt.py}; other names are taken to stand in its order."""
    names = [*module.SHAPES]
    known = sorted(names) != sorted(PARAMETERS) and len(names) == len(PARAMETERS)
    return dict(zip(names, PARAMETERS if known else names, strict=True))


def _by_name(module, grad):
    G = vars(module.unpack(grad))
    return {f"d{known}": G[name] for name, known in _names(module).items()}


def _text(module, rng, count):
    return rng.integers(len(module.LETTERS), size=(count, module.T + 1))


def _mover(f, args):
    """A function of one step along all arguments, as a tuple of arrays."""
    def moved(*steps):
        return f(*[X + step for X, step in zip(args, steps, strict=True)])

    return moved


def _own(rng, moved, args, gradients, upstream):
    """The derivative along random directions: by complex step, by differences, from gradients."""
    own, differences, by_hand = [], [], []
    for _ in range(DIRECTIONS):
        direction = [rng.standard_normal(X.shape) for X in args]

        def at(step):
            return np.asarray(moved(*[step * d for d in direction]))

        try:
            own.append(float((at(STEP).imag / STEP.imag * upstream[0]).sum()))
        except (TypeError, ValueError):  # a forward that takes no complex numbers
            own.append(np.nan)
        ahead, back = at(SMALL), at(-SMALL)
        differences.append(float(((ahead - back) * upstream[0]).sum() / (2 * SMALL)))
        terms = zip(gradients, direction, strict=True)
        by_hand.append(float(sum((np.asarray(G) * d).sum() for G, d in terms)))
    found = {"own": own, "differences": differences, "by hand": by_hand}
    return {label: np.array(values) for label, values in found.items()}
