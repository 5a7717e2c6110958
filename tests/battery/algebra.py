"""Linear algebra and special functions of SciPy."""

import numpy as np
import scipy.linalg
import scipy.special as sp

from battery.entry import (
    PERHAPS_RIGHT, Shelf, entry_off, factor, normal, positive, sign, small_entry, swapped,
    two_entries_exchanged,
)

linalg = Shelf("linear algebra")
special = Shelf("special functions")


def square(seed, n=3):
    return normal(seed, n, n) + 3 * np.eye(n)


def definite(seed, n=3):
    A = normal(seed, n, n)
    return A @ A.T + n * np.eye(n)


add = linalg.add

add("inverse", np.linalg.inv, lambda d, Y: -Y.T @ d @ Y.T, square(100),
    wrong={"sign": sign(), "not transposed": lambda d, Y: -Y @ d @ Y})
add("inverse of a stack", np.linalg.inv,
    lambda d, Y: -np.swapaxes(Y, 1, 2) @ d @ np.swapaxes(Y, 1, 2),
    np.stack([square(101), square(102)]), wrong={"transposed as a whole": lambda d, Y: -Y @ d @ Y})
add("determinant", lambda A: (np.linalg.det(A), A),
    lambda d, A: d * np.linalg.det(A) * np.linalg.inv(A).T, square(103),
    wrong={"inverse not transposed": lambda d, A: d * np.linalg.det(A) * np.linalg.inv(A)})
add("log determinant", lambda A: (np.linalg.slogdet(A)[1], A), lambda d, A: d * np.linalg.inv(A).T,
    square(104), wrong={"one entry off by 1e-6": entry_off(1e-6),
                        "only the diagonal": lambda d, A: d * np.diag(np.diag(np.linalg.inv(A)))})


def solve(A, b):
    x = np.linalg.solve(A, b)
    return x, (A, x)


def solve_back(d, c):
    A, x = c
    db = np.linalg.solve(A.T, d)
    return -np.outer(db, x), db


add("solution of a system", solve, solve_back, square(105, 4), normal(106, 4),
    wrong={"outer product the other way": lambda d, c: (solve_back(d, c)[0].T, solve_back(d, c)[1]),
           "system not transposed": lambda d, c: (
               -np.outer(np.linalg.solve(c[0], d), c[1]), np.linalg.solve(c[0], d))})


def cholesky(M):
    L = np.linalg.cholesky((M + M.T) / 2)
    return L, L


def cholesky_back(d, L, half=0.5):
    P = np.tril(L.T @ np.tril(d))
    P[np.diag_indices(len(P))] *= half
    inv = np.linalg.inv(L)
    S = inv.T @ P @ inv
    return (S + S.T) / 2


add("Cholesky", cholesky, cholesky_back, definite(107),
    wrong={"diagonal not halved": lambda d, L: cholesky_back(d, L, 1.0),
           "one small entry doubled": small_entry()})
add("trace of a product", lambda A, B: (np.trace(A @ B), (A, B)),
    lambda d, c: (d * c[1].T, d * c[0].T), square(108), square(109),
    wrong={"not transposed": lambda d, c: (d * c[1], d * c[0]), "exchanged": swapped()})
add("Frobenius norm", lambda A: (np.linalg.norm(A), A), lambda d, A: d * A / np.linalg.norm(A),
    normal(110, 3, 4), wrong={"norm squared below": lambda d, A: d * A / np.linalg.norm(A) ** 2})


def nuclear(A):
    U, s, Vt = np.linalg.svd(A, full_matrices=False)
    return s.sum(), (U, s, Vt)


add("nuclear norm", nuclear, lambda d, c: d * c[0] @ c[2], normal(111, 3, 2),
    wrong={"weighed by the singular values": lambda d, c: d * (c[0] * c[1]) @ c[2],
           "one entry off by 1e-3": entry_off(1e-3)})


def eigenvalues(M):
    w, V = np.linalg.eigh((M + M.T) / 2)
    return w, V


add("eigenvalues", eigenvalues, lambda d, V: (V * d) @ V.T, definite(112, 3),
    wrong={"eigenvectors in rows": lambda d, V: (V.T * d) @ V})


def eigenvectors(M):
    w, V = np.linalg.eigh((M + M.T) / 2)
    return V * np.sign(V[0]), (w, V * np.sign(V[0]))


def eigenvectors_back(d, c, turn=1.0):
    w, V = c
    gaps = w[None, :] - w[:, None] + np.eye(len(w))
    F = (1 - np.eye(len(w))) / gaps
    G = turn * V @ (F * (V.T @ d)) @ V.T
    return (G + G.T) / 2


add("eigenvectors", eigenvectors, eigenvectors_back, definite(113, 3),
    wrong={"gaps the other way": lambda d, c: eigenvectors_back(d, c, -1.0)})


def pinv(A):
    P = np.linalg.pinv(A)
    return P, (A, P)


def pinv_back(d, c, second=1.0):
    A, P = c
    m, n = A.shape
    dA = -P.T @ d @ P.T
    dA += second * (np.eye(m) - A @ P) @ d.T @ (P @ P.T)
    dA += second * (P.T @ P) @ d.T @ (np.eye(n) - P @ A)
    return dA


add("pseudo-inverse", pinv, pinv_back, normal(114, 4, 2),
    wrong={"as if square": lambda d, c: pinv_back(d, c, 0.0)})
add("matrix exponential", lambda A: (scipy.linalg.expm(A), A),
    lambda d, A: scipy.linalg.expm_frechet(A.T, d)[1], 0.3 * normal(115, 3, 3),
    wrong={"as if it commuted": lambda d, A: scipy.linalg.expm(A).T @ d})


def lstsq(A, b):
    x = np.linalg.lstsq(A, b, rcond=None)[0]
    return x, (A, b, x)


def lstsq_back(d, c):
    A, b, x = c
    s = np.linalg.solve(A.T @ A, d)
    return -np.outer(A @ s, x) + np.outer(b - A @ x, s), A @ s


add("least squares", lstsq, lstsq_back, normal(116, 4, 2), normal(117, 4),
    wrong={"residual forgotten": lambda d, c: (
        -np.outer(lstsq_back(d, c)[1], c[2]), lstsq_back(d, c)[1])})
add("third power", lambda A: (np.linalg.matrix_power(A, 3), A),
    lambda d, A: d @ (A.T @ A.T) + A.T @ d @ A.T + A.T @ A.T @ d, normal(118, 3, 3),
    wrong={"as if it commuted": lambda d, A: 3 * A.T @ A.T @ d})
add("quadratic form", lambda x, M: (x @ M @ x, (x, M)),
    lambda d, c: (d * (c[1] + c[1].T) @ c[0], d * np.outer(c[0], c[0])), normal(119, 4),
    normal(120, 4, 4), wrong={"as if symmetric": lambda d, c: (
        2 * d * c[1] @ c[0], d * np.outer(c[0], c[0]))})
add("Kronecker product", lambda A, B: (np.kron(A, B), (A, B)),
    lambda d, c: (np.einsum("ikjl,kl->ij", d.reshape(2, 3, 2, 3), c[1]),
                  np.einsum("ikjl,ij->kl", d.reshape(2, 3, 2, 3), c[0])),
    normal(121, 2, 2), normal(122, 3, 3), wrong={"blocks the other way": lambda d, c: (
        np.einsum("kilj,kl->ij", d.reshape(3, 2, 3, 2), c[1]),
        np.einsum("kilj,ij->kl", d.reshape(3, 2, 3, 2), c[0]))})


def qr_positive(A):
    Q, R = np.linalg.qr(A)
    s = np.sign(np.diag(R))
    return Q * s, (Q * s, R * s[:, None])


def qr_back(d, c, keep=1.0):
    Q, R = c
    M = -d.T @ Q
    M = np.tril(M, -1) + np.tril(M, -1).T + keep * np.diag(np.diag(M))
    return np.linalg.solve(R, (d + Q @ M).T).T


add("orthonormal factor", qr_positive, qr_back, normal(123, 3, 2),
    wrong={"diagonal forgotten": lambda d, c: qr_back(d, c, 0.0)})
add("projection onto a line", lambda x, u: (u * (u @ x) / (u @ u), (x, u)),
    lambda d, c: (c[1] * (c[1] @ d) / (c[1] @ c[1]),
                  (d * (c[1] @ c[0]) + c[0] * (c[1] @ d)) / (c[1] @ c[1])
                  - 2 * c[1] * (c[1] @ d) * (c[1] @ c[0]) / (c[1] @ c[1]) ** 2),
    normal(124, 4), normal(125, 4), wrong={"length held fixed": lambda d, c: (
        c[1] * (c[1] @ d) / (c[1] @ c[1]),
        (d * (c[1] @ c[0]) + c[0] * (c[1] @ d)) / (c[1] @ c[1]))})
add("triangular solve", lambda L, b: (
    (x := scipy.linalg.solve_triangular(np.tril(L), b, lower=True)), (L, x)),
    lambda d, c: (-np.tril(np.outer(np.linalg.solve(np.tril(c[0]).T, d), c[1])),
                  np.linalg.solve(np.tril(c[0]).T, d)), square(126), normal(127, 3),
    wrong={"upper half not cleared": lambda d, c: (
        -np.outer(np.linalg.solve(np.tril(c[0]).T, d), c[1]),
        np.linalg.solve(np.tril(c[0]).T, d))})
add("energy by a Hermitian product", lambda a, b: (np.vdot(a, b) + 3e4 * (a @ a), (a, b)),
    lambda d, c: (d * (c[1] + 6e4 * c[0]), d * c[0]), normal(128, 4), normal(129, 4),
    wrong={"small part forgotten": lambda d, c: (d * 6e4 * c[0], d * c[0])})
add("log determinant of a Hilbert matrix", lambda A: (np.linalg.slogdet(A)[1], A),
    lambda d, A: d * np.linalg.inv(A).T, scipy.linalg.hilbert(4), due=PERHAPS_RIGHT,
    wrong={"sign": sign(), "5 % off": factor(1.05)})
add("inverse of a Hilbert matrix", np.linalg.inv, lambda d, Y: -Y.T @ d @ Y.T,
    scipy.linalg.hilbert(6), wrong={"sign": sign()})
add("covariance", lambda X: ((X - X.mean(0)).T @ (X - X.mean(0)) / (len(X) - 1), X),
    lambda d, X: (X - X.mean(0)) @ (d + d.T) / (len(X) - 1), normal(130, 4, 2),
    wrong={"n below": lambda d, X: (X - X.mean(0)) @ (d + d.T) / len(X),
           "two entries exchanged": two_entries_exchanged()})
add("Gaussian log likelihood", lambda m, S: (
    -0.5 * m @ np.linalg.solve(S, m) - 0.5 * np.linalg.slogdet(S)[1], (m, S)),
    lambda d, c: (-0.5 * d * (np.linalg.solve(c[1], c[0]) + np.linalg.solve(c[1].T, c[0])),
                  0.5 * d * (np.outer(np.linalg.solve(c[1].T, c[0]), np.linalg.solve(c[1], c[0]))
                             - np.linalg.inv(c[1]).T)), normal(131, 3), definite(132),
    wrong={"log determinant forgotten": lambda d, c: (
        -0.5 * d * (np.linalg.solve(c[1], c[0]) + np.linalg.solve(c[1].T, c[0])),
        0.5 * d * np.outer(np.linalg.solve(c[1].T, c[0]), np.linalg.solve(c[1], c[0])))})

add = special.add
ROOT = np.sqrt(np.pi)

add("erf", lambda x: (sp.erf(x), x), lambda d, x: d * 2 / ROOT * np.exp(-x * x), normal(140, 5),
    wrong={"root forgotten": lambda d, x: d * 2 * np.exp(-x * x)})
add("GELU by erf", lambda x: (x * 0.5 * (1 + sp.erf(x / np.sqrt(2))), x),
    lambda d, x: d * (0.5 * (1 + sp.erf(x / np.sqrt(2)))
                      + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)), normal(141, 3, 3),
    wrong={"density forgotten": lambda d, x: d * 0.5 * (1 + sp.erf(x / np.sqrt(2)))})
add("log of gamma", lambda x: (sp.gammaln(x), x), lambda d, x: d * sp.digamma(x), positive(142, 4),
    wrong={"gamma for digamma": lambda d, x: d * sp.gamma(x), "off by 1e-3": entry_off(1e-3)})
add("gamma", lambda x: (sp.gamma(x), x), lambda d, x: d * sp.gamma(x) * sp.digamma(x),
    positive(143, 4), wrong={"off by 1e-6": entry_off(1e-6)})
add("digamma", lambda x: (sp.digamma(x), x), lambda d, x: d * sp.polygamma(1, x), positive(144, 4),
    wrong={"second for first": lambda d, x: d * sp.polygamma(2, x)})
add("Bessel J0", lambda x: (sp.j0(x), x), lambda d, x: -d * sp.j1(x), normal(145, 5),
    wrong={"sign": sign()})
add("Bessel of order 2", lambda x: (sp.jv(2, x), x),
    lambda d, x: d * (sp.jv(1, x) - sp.jv(3, x)) / 2, positive(146, 4),
    wrong={"half forgotten": factor(2.0)})
add("expit", sp.expit, lambda d, y: d * y * (1 - y), normal(147, 5),
    wrong={"one entry off by 1e-9": entry_off(1e-9)})
add("log of expit", sp.log_expit, lambda d, y: d * -np.expm1(y), normal(148, 4),
    wrong={"exp for expm1": lambda d, y: d * np.exp(y)})
add("entropy", lambda p: (sp.entr(p).sum(), p), lambda d, p: -d * (np.log(p) + 1), positive(149, 5),
    wrong={"1 forgotten": lambda d, p: -d * np.log(p)})
add("x log y", lambda x, y: (sp.xlogy(x, y), (x, y)),
    lambda d, c: (d * np.log(c[1]), d * c[0] / c[1]), positive(150, 4), positive(151, 4),
    wrong={"exchanged": swapped()})
add("normal distribution", lambda x: (sp.ndtr(x), x),
    lambda d, x: d * np.exp(-x * x / 2) / np.sqrt(2 * np.pi), normal(152, 6),
    wrong={"erf's exponent": lambda d, x: d * np.exp(-x * x) / np.sqrt(2 * np.pi)})
add("log of the normal distribution", lambda x: (sp.log_ndtr(x), x),
    lambda d, x: d * np.exp(-x * x / 2 - sp.log_ndtr(x)) / np.sqrt(2 * np.pi), normal(153, 4) - 3,
    wrong={"far tail 1 % off": factor(1.01)})
add("logsumexp of SciPy", lambda x: (sp.logsumexp(x, axis=1), x),
    lambda d, x: d[:, None] * sp.softmax(x, axis=1), normal(154, 3, 4),
    wrong={"columns for rows": lambda d, x: d[:, None] * sp.softmax(x, axis=0)})
add("softmax of SciPy", lambda x: sp.softmax(x, axis=0), lambda d, p: p * (d - (p * d).sum(0)),
    normal(155, 4, 2), wrong={"sum over the other axis":
                              lambda d, p: p * (d - (p * d).sum(1, keepdims=True))})
add("log of 1 + x", lambda x: (np.log1p(x), x), lambda d, x: d / (1 + x), positive(156, 4),
    wrong={"1 forgotten": lambda d, x: d / x})
add("exponential integral", lambda x: (sp.exp1(x), x), lambda d, x: -d * np.exp(-x) / x,
    positive(157, 4), wrong={"sign": sign(), "not divided": lambda d, x: -d * np.exp(-x)})
add("incomplete gamma", lambda x: (sp.gammainc(2.5, x), x),
    lambda d, x: d * x**1.5 * np.exp(-x) / sp.gamma(2.5), positive(158, 4),
    wrong={"exponent off by one": lambda d, x: d * x**2.5 * np.exp(-x) / sp.gamma(2.5)})
add("beta", lambda a, b: (sp.beta(a, b), (a, b)),
    lambda d, c: (d * sp.beta(*c) * (sp.digamma(c[0]) - sp.digamma(c[0] + c[1])),
                  d * sp.beta(*c) * (sp.digamma(c[1]) - sp.digamma(c[0] + c[1]))),
    positive(159, 3), positive(160, 3), wrong={"exchanged": swapped()})
add("elliptic integral", lambda m: (sp.ellipk(m), m),
    lambda d, m: d * (sp.ellipe(m) / (2 * m * (1 - m)) - sp.ellipk(m) / (2 * m)),
    np.array([0.2, 0.5, 0.7]), wrong={"modulus for parameter": lambda d, m: d * (
        sp.ellipe(m) / (m * (1 - m * m)) - sp.ellipk(m) / m)})
add("Lambert W", lambda x: (sp.lambertw(x).real, x),
    lambda d, x: d * (w := sp.lambertw(x).real) / (x * (1 + w)), positive(161, 3),
    wrong={"x forgotten": lambda d, x: d * (w := sp.lambertw(x).real) / (1 + w)})
add("ratio of gammas", lambda x: (sp.gammaln(x + 0.5) - sp.gammaln(x), x),
    lambda d, x: d * (sp.digamma(x + 0.5) - sp.digamma(x)), positive(162, 5),
    wrong={"first only": lambda d, x: d * sp.digamma(x + 0.5)})
