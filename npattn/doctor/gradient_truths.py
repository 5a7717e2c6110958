"""What gradients must be: the reference's by complex step, or the code's own by differences."""

import numpy as np

from npattn.doctor import cases, fit

STEP = 1e-20


def read(exam, case, reply, letters):
    """Gradients of the inputs, in the reference's layout; None where they cannot be told."""
    arrays = list(reply.gradients) or [X for _, X in reply.out]
    found = []
    for letter in letters:
        axes = exam.way.axes(letter)
        shape = cases.outward(getattr(case, letter), axes).shape
        k = next((k for k, X in enumerate(arrays) if X.shape == shape), None)
        if k is None:
            return None
        X = arrays.pop(k)
        found.append(cases.inward(X, axes, case.q.ndim))
    return found


def truth(exam, case, dO, letters, tie=True):
    """The derivative of sum(output * dO) for each input.

    tie  whether inputs that are the same array change together
    """
    if exam.model is None or exam.model.mistakes:
        return differences(exam, case, dO, letters)
    found = []
    dead = ~fit.rows(case, exam.model, dO)
    up = np.where(dead, 0.0, dO)
    for letter in letters:
        X = getattr(case, letter)
        G = np.zeros(X.shape)
        for index in np.ndindex(X.shape):
            Z = X.astype(complex)
            Z[index] += STEP * 1j
            changed = tied(case, letter, Z, letters) if tie else case._replace(**{letter: Z})
            Y = fit.predict(exam.model, changed)[0]
            G[index] = (np.where(dead, 0.0, Y).imag * up).sum() / STEP
        found.append(G)
    return found


def tied(case, letter, Z, letters):
    """The case with one input replaced, and those that are the same array."""
    changed = {letter: Z}
    if letters == ["q"]:
        changed = {"q": Z, "k": Z, "v": Z}
    elif "v" not in letters and letter == "k":
        changed = {"k": Z, "v": Z}
    return case._replace(**changed)


def differences(exam, case, dO, letters, h=1e-3):
    """The same by differences of the code's own forward, of fourth order."""
    asked, places = [], []
    for letter in letters:
        X = getattr(case, letter)
        for index in np.ndindex(X.shape):
            for k in (-2, -1, 1, 2):
                Z = X.copy()
                Z[index] += k * h
                asked.append(tied(case, letter, Z, letters))
            places.append((letter, index))
    got = [Y for _, Y in exam.ask(asked)]
    found = {letter: np.zeros(getattr(case, letter).shape) for letter in letters}
    for n, (letter, index) in enumerate(places):
        a, b, c, d = got[4 * n : 4 * n + 4]
        if any(Y is None for Y in (a, b, c, d)):
            continue
        found[letter][index] = ((a - 8 * b + 8 * c - d) * dO).sum() / (12 * h)
    return [found[letter] for letter in letters]
