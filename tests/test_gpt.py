"""The page gpt.py: it runs alone, is right, is fast; and what is said of an edited copy."""

import ast
import contextlib
import io
import itertools
import math
import os
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from npattn import gpt
from npattn.breaking import CATALOGUE, REFERENCE, check_file, judge_source
from npattn.breaking.catalogue import EDITS, PLACES, broken
from npattn.breaking.parts import sized_copy
from npattn.cli import main
from npattn.edits import Overlap

TEXT = REFERENCE.read_text(encoding="utf-8")
SIZES = "B, T, D, H, L = 16, 16, 24, 4, 2"
SMALL = "B, T, D, H, L = 4, 6, 8, 2, 2"
ROOT = REFERENCE.parents[1]
README = [ROOT / "README.md", ROOT / "README.zh.md"]
long = pytest.mark.long  # NPATTN_LONG=1 pytest tests/test_gpt.py


def small(text):
    """The text with sizes of which a check takes a moment."""
    assert text.count(SIZES) == 1
    return text.replace(SIZES, SMALL)


def change(*pairs, text=TEXT):
    for old, new in pairs:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return text


def run_alone(folder, text):
    path = folder / "gpt.py"
    path.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-I", path.name], cwd=folder, env=environment, capture_output=True,
        encoding="utf-8", timeout=300, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def printed(function, *args):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        function(*args)
    return out.getvalue().splitlines()


# ---- the page ----


def test_the_page_has_at_most_200_lines_beside_its_data_and_100_columns():
    start, stop = TEXT.index("NAMES = "), TEXT.index('""".split())')
    assert len((TEXT[:start] + TEXT[stop:]).splitlines()) <= 200
    assert max(map(len, TEXT.splitlines())) <= 100


def test_the_page_imports_numpy_and_the_standard_library_alone():
    nodes = [n for n in ast.walk(ast.parse(TEXT)) if isinstance(n, (ast.Import, ast.ImportFrom))]
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom)}
    assert names == {"math", "types", "numpy"}


def test_each_backward_stands_directly_below_its_forward():
    functions = [n.name for n in ast.parse(TEXT).body if isinstance(n, ast.FunctionDef)]
    pairs = [name for name in functions if name.endswith("_backward")]
    assert len(pairs) == 6
    for name in pairs:
        assert functions[functions.index(name) - 1] == name.removesuffix("_backward")


def test_the_file_alone_learns_invents_and_agrees_with_the_complex_step(tmp_path):
    text = change(("steps=1500", "steps=450"), text=small(TEXT))
    lines = run_alone(tmp_path, text)
    losses = [float(line.split()[-1]) for line in lines if line.startswith("step")]
    assert len(losses) == 4 and losses[-1] < 2.6 < 3.0 < losses[0]
    assert lines[-2].startswith("invented: ")
    count, worst = re.fullmatch(
        r"all ([\d,]+) gradients agree with the complex step, worst relative error (\S+)", lines[-1]
    ).groups()
    assert int(count.replace(",", "")) == sized_copy(6, 8, 2, 2, 27).start(
        np.random.default_rng(0)).size
    assert float(worst) < 1e-13


@long
def test_the_file_as_it_stands_takes_less_than_a_minute(tmp_path):
    start = time.perf_counter()
    lines = run_alone(tmp_path, TEXT)
    assert time.perf_counter() - start < 60.0
    assert lines[-1].startswith("all 15,336 gradients agree with the complex step")
    assert run_alone(tmp_path, TEXT) == lines
    shown = next(b for b in README[0].read_text(encoding="utf-8").split("```") if "invented" in b)
    for line in shown.replace("…", "").splitlines()[1:]:
        assert any(printed.startswith(line.strip()) for printed in lines), line


@pytest.mark.thorough
def test_the_same_seed_prints_the_same_text():
    page = sized_copy(6, 8, 2, 1, 27)
    one, two, other = (printed(page.main, seed, 150) for seed in (3, 3, 4))
    assert one == two and one != other


def test_the_file_alone_says_which_gradients_are_wrong(tmp_path):
    text = change(("steps=1500", "steps=1"), text=small(broken("feed-dW1-minus")))
    lines = run_alone(tmp_path, text)
    assert re.fullmatch(r"wrong: dW1 in \d+ of 512 entries, for example dW1\[\d+, \d+, \d+\] is "
                        r"-?\d\.\d{6}, by complex step -?\d\.\d{6}", lines[-2])
    assert re.fullmatch(r"\d{3} of 1,960 gradients are wrong", lines[-1])


def test_gradients_that_are_not_numbers_are_wrong(tmp_path):
    text = change(("steps=1500", "steps=1"), ("dZ = (P - true)", "dZ = np.nan * (P - true)"),
                  text=small(TEXT))
    assert run_alone(tmp_path, text)[-1] == "1,960 of 1,960 gradients are wrong"


def test_no_place_sees_a_later_character():
    rng = np.random.default_rng(0)
    W, ids = gpt.unpack(gpt.start(rng)), gpt.draw(rng, 1)[:, :-1]
    changed = ids.copy()
    changed[0, 9] = (ids[0, 9] + 1) % 27
    same = (gpt.gpt(W, ids)[0] == gpt.gpt(W, changed)[0]).all(-1)
    assert same[:9].all() and not same[9:].any()


WIDE = re.compile(r"^(\S.*?) {2,}(d\w.* = .+)$", re.MULTILINE)  # forward, backward


@pytest.mark.parametrize("path", README, ids=lambda path: path.name)
def test_the_readme_shows_attention_as_it_stands_in_the_file(path):
    block = next(b for b in path.read_text(encoding="utf-8").split("```") if "O = P @ V" in b)
    pairs = WIDE.findall(block)
    assert len(pairs) == 5
    code = [line.split("  #")[0].strip() for line in TEXT.splitlines()]
    forward, backward = zip(*pairs, strict=True)
    places = [code.index(line) for line in (*forward, *reversed(backward))]
    assert places == sorted(places)


@pytest.mark.parametrize("path", README, ids=lambda path: path.name)
def test_the_readme_shows_what_is_said_of_the_broken_line(path):
    said = " ".join(str(judge_source(broken("row-sum-missing"))).split())
    readme = path.read_text(encoding="utf-8")
    assert "`- (dP * P).sum(-1, keepdims=True)`" in readme and "row-sum-missing" in readme
    assert said in " ".join(readme.split())


# ---- beside others ----


class Scalar:
    """One number that remembers what it was made of: a scalar autograd in a dozen lines."""

    def __init__(self, value, parents=()):
        self.value, self.parents, self.grad = value, parents, 0.0

    def __add__(self, other):
        return Scalar(self.value + other.value, ((self, 1.0), (other, 1.0)))

    def __mul__(self, other):
        return Scalar(self.value * other.value, ((self, other.value), (other, self.value)))

    def apply(self, value, slope):
        return Scalar(value, ((self, slope),))

    def times(self, c):
        return self.apply(c * self.value, c)

    def exp(self):
        return self.apply(math.exp(self.value), math.exp(self.value))

    def log(self):
        return self.apply(math.log(self.value), 1.0 / self.value)

    def power(self, p):
        return self.apply(self.value**p, p * self.value ** (p - 1.0))

    def relu(self):
        return self.apply(max(self.value, 0.0), float(self.value > 0.0))

    def backward(self):
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack += [(parent, False) for parent, _ in node.parents]
        self.grad = 1.0
        for node in reversed(order):
            for parent, slope in node.parents:
                parent.grad += slope * node.grad


def total(terms):
    return sum(terms[1:], start=terms[0])


def scalar_loss(W, text, sizes):
    """The loss of one text, number by number."""
    T, D, H, L = sizes
    width = D // H

    def linear(x, M, b=None):
        y = [total([a * row[j] for a, row in zip(x, M, strict=True)]) for j in range(len(M[0]))]
        return y if b is None else [u + v for u, v in zip(y, b, strict=True)]

    def norm(x, g, h):
        mean = total(x).times(-1.0 / D)
        x = [u + mean for u in x]
        inverse = (total([u * u for u in x]).times(1.0 / D) + Scalar(1e-5)).power(-0.5)
        return [u * inverse * a + b for u, a, b in zip(x, g, h, strict=True)]

    def softmax(x):
        e = [u.exp() for u in x]
        inverse = total(e).power(-1.0)
        return [u * inverse for u in e]

    X = [[a + b for a, b in zip(W["E"][c], W["C"][n], strict=True)] for n, c in enumerate(text[:T])]
    for n in range(L):
        N = [norm(x, W["g1"][n], W["h1"][n]) for x in X]
        Q, K, V = ([linear(x, W[name][n]) for x in N] for name in ("Wq", "Wk", "Wv"))
        for i in range(T):
            O = []
            for head in range(H):
                own = range(head * width, (head + 1) * width)
                P = softmax([total([Q[i][d] * K[j][d] for d in own]).times(width**-0.5)
                             for j in range(i + 1)])
                O += [total([P[j] * V[j][d] for j in range(i + 1)]) for d in own]
            X[i] = [a + b for a, b in zip(X[i], linear(O, W["Wo"][n]), strict=True)]
            A = linear(norm(X[i], W["g2"][n], W["h2"][n]), W["W1"][n], W["b1"][n])
            F = linear([a.relu() for a in A], W["W2"][n], W["b2"][n])
            X[i] = [a + b for a, b in zip(X[i], F, strict=True)]
    losses = []
    for i in range(T):
        N = norm(X[i], W["g"], W["h"])
        Z = [total([a * b for a, b in zip(N, row, strict=True)]) for row in W["E"]]
        losses.append(softmax(Z)[text[i + 1]].log().times(-1.0 / T))
    return total(losses)


def median_times(rounds, **functions):
    """{name: median seconds}, measured in turn."""
    times = {name: [] for name in functions}
    for _, (name, function) in itertools.product(range(rounds), functions.items()):
        start = time.perf_counter()
        function()
        times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


@pytest.mark.thorough
def test_it_is_a_hundred_times_faster_than_a_scalar_autograd_of_the_same_model():
    page, rng = sized_copy(T=8, D=24, H=4, L=1, V=27), np.random.default_rng(0)
    theta, text = page.start(rng), page.draw(rng, 1)
    leaves = [Scalar(value) for value in theta.tolist()]
    W = {name: X.tolist() for name, X in vars(page.unpack(np.array(leaves))).items()}
    start = time.perf_counter()
    loss = scalar_loss(W, text[0].tolist(), (page.T, page.D, page.H, page.L))
    loss.backward()
    scalar = time.perf_counter() - start
    value, grad = page.gradient(theta, text)
    assert loss.value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose([leaf.grad for leaf in leaves], grad, rtol=0, atol=1e-12)
    ours = median_times(15, ours=lambda: page.gradient(theta, text))["ours"]
    assert scalar > 100.0 * ours


def torch_step(torch, theta, text):
    """One step of the same model in torch, and its gradient as one vector."""
    F = torch.nn.functional
    W = {k: torch.tensor(X, requires_grad=True) for k, X in vars(gpt.unpack(theta)).items()}
    adam = torch.optim.Adam(W.values(), lr=0.01, betas=(0.9, 0.99))
    ids, true = torch.tensor(text[:, :-1]), torch.tensor(text[:, 1:])
    D, H = gpt.D, gpt.H

    def step():
        X = W["E"][ids] + W["C"]
        for n in range(gpt.L):
            N = F.layer_norm(X, (D,), W["g1"][n], W["h1"][n])
            Q, K, V = ((N @ W[k][n]).unflatten(-1, (H, D // H)).transpose(1, 2)
                       for k in ("Wq", "Wk", "Wv"))
            O = F.scaled_dot_product_attention(Q, K, V, is_causal=True)
            X = X + O.transpose(1, 2).flatten(2) @ W["Wo"][n]
            N = F.layer_norm(X, (D,), W["g2"][n], W["h2"][n])
            X = X + torch.relu(N @ W["W1"][n] + W["b1"][n]) @ W["W2"][n] + W["b2"][n]
        N = F.layer_norm(X, (D,), W["g"], W["h"])
        loss = F.cross_entropy((N @ W["E"].T).flatten(0, 1), true.flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()

    return step, lambda: np.concatenate([X.grad.numpy().ravel() for X in W.values()])


def test_it_agrees_with_torch_and_is_at_least_as_fast_on_one_thread():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    limits = pytest.importorskip("threadpoolctl")
    rng = np.random.default_rng(0)
    theta, text = gpt.start(rng), gpt.draw(rng, gpt.B)
    step, gradient = torch_step(torch, theta, text)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def ours():
        gpt.adam(theta, gpt.gradient(theta, text)[1], 0.0, 0.0, 1, 0.01)

    try:
        step()
        np.testing.assert_allclose(gradient(), gpt.gradient(theta, text)[1], rtol=0, atol=1e-12)
        with limits.threadpool_limits(1):
            times = median_times(25, ours=ours, torch=step)
    finally:
        torch.set_num_threads(threads)
    assert times["ours"] <= times["torch"]


# ---- what is said of an edited copy ----


def explanations(verdict):
    """All sets of edits that would explain all that was found."""
    causes = [finding.causes for finding in verdict.findings]
    return [frozenset(itertools.chain(*made)) for made in itertools.product(*causes)]


def test_the_catalogue_is_large_and_its_edits_have_sentences():
    assert len(EDITS) == sum(map(len, CATALOGUE.values())) >= 100
    for name, edit in EDITS.items():
        assert re.fullmatch(r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)+", name) and edit.words.endswith(".")
        assert broken(name) != TEXT


@pytest.mark.thorough
def test_every_single_edit_is_named_and_nothing_else():
    for name in EDITS:
        verdict = judge_source(small(broken(name)))
        assert [f.function for f in verdict.findings] == [PLACES[name]], name
        assert explanations(verdict) == [{name}], name
        assert EDITS[name].words in str(verdict)


def assert_pair(one, two):
    try:
        text = broken(one, two)
    except Overlap:
        return
    assert {one, two} in explanations(judge_source(small(text))), (one, two)


def test_two_edits_at_once_are_both_named():
    rng = random.Random(1)
    for _ in range(3):
        assert_pair(*rng.sample([*EDITS], 2))
    large = [[*edits] for edits in CATALOGUE.values() if len(edits) > 7]
    for _ in range(7):
        assert_pair(*rng.sample(rng.choice(large), 2))


@pytest.mark.parametrize("pair", [
    ("mask-missing", "mask-hides-itself"), ("feed-back-no-gate", "feed-dX-no-gate"),
    ("gpt-E-only-in", "gpt-dE-of-X"), ("feed-no-relu", "feed-dW2-of-A"),
])
def test_an_edit_without_effect_beside_another_one_is_named(pair):
    """What it changes is not used then."""
    assert_pair(*pair)


@long
def test_every_two_edits_at_once_are_both_named():
    for pair in itertools.combinations(EDITS, 2):
        assert_pair(*pair)


def renamed(text):
    for old, new in (("dP", "grad_P"), ("dS", "grad_scores"), ("P", "weights"), ("M", "centred"),
                     ("cache", "kept"), ("norm1", "first"), ("Q", "queries")):
        text = re.sub(rf"\b{old}\b", new, text)
    return text


RIGHT = {
    "as it is": TEXT,
    "variables renamed": renamed(TEXT),
    "unparsed: no comments, another formatting": ast.unparse(ast.parse(TEXT)),
    "other sizes": change((SIZES, "B, T, D, H, L = 3, 9, 15, 3, 3")),
    "other names and letters": change(
        ('LETTERS = ".abc', 'LETTERS = ".-abc'), ("\nada adam", "\nanna-lena ada adam")),
    "another seed and rate": change(("seed=0", "seed=5"), ("rate=0.01", "rate=0.02")),
    "parameters in another order": change(
        ('"E": (len(LETTERS), D), "C": (T, D), ', '"C": (T, D), "E": (len(LETTERS), D), ')),
    "parameters renamed": re.sub(r"\bW1\b", "W_in", TEXT),
    "lines reordered": change(
        ("    G.E[:] = dE + token.T @ dX ", "    G.C[:] = place.T @ dX\n    G.E[:] = dE + "
         "token.T @ dX ")),
    "einsum": change(("= softmax(S)\n    O = P @ V", "= softmax(S)\n    O = np.einsum("
                      "'bhqk,bhkd->bhqd', P, V)")),
    "a cache that is a dictionary": change(
        ("return g * N + h, (N, std, g)", "return g * N + h, dict(N=N, std=std, g=g)"),
        ("    N, std, g = cache\n", "    N, std, g = cache['N'], cache['std'], cache['g']\n")),
    "the product written in full": change(
        ("P * (dP - (dP * P).sum(-1, keepdims=True))",
         "P * dP - P * np.sum(P * dP, axis=3)[..., None]")),
    "a shift by a constant that cancels": change(
        ("(dN - N * (dN * N).mean", "(dN + 1.0 - N * (dN * N).mean")),
    "one function inside another": change(
        ("    P = softmax(S)\n    O", "    P = np.exp(S - S.max(-1, keepdims=True))\n    P = P / "
         "P.sum(-1, keepdims=True)\n    O")),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_called_right(name):
    text = RIGHT[name]
    verdict = judge_source(text.replace(SIZES, SMALL))
    assert str(verdict) == "right: every gradient is that of gpt.py"


OTHER = {
    "a square for the ReLU": ("R = A * A", "dA = dR * 2 * A "),
    "a softplus for the ReLU": ("R = np.log(1 + np.exp(A))", "dA = dR / (1 + np.exp(-A)) "),
    "what takes no complex step": ("R = np.abs(A)", "dA = dR * np.sign(A) "),
}


@pytest.mark.parametrize("name", OTHER)
def test_another_forward_with_the_right_gradient_for_it_is_told_apart(name):
    forward, backward = OTHER[name]
    pairs = (("R = np.maximum(A, 0)\n    return", f"{forward}\n    return"),
             ("dA = dR * (A > 0) ", backward))
    verdict = judge_source(small(change(*pairs)))
    assert verdict.right and not verdict.same and not verdict.wrong
    assert "feed_forward computes something else than in gpt.py; its gradient is right" in str(
        verdict)
    verdict = judge_source(small(change(*pairs[:1])))
    assert not verdict.right and not verdict.same
    assert "its gradient is not the derivative of that" in str(verdict)


@pytest.mark.parametrize("name", ["mask-missing", "scale-of-all-heads", "heads-interleaved"])
def test_a_mistake_of_the_forward_alone_leaves_the_gradients_right(name):
    verdict = judge_source(small(broken(name)))
    if name != "heads-interleaved":
        assert verdict.right and not verdict.same
    assert EDITS[name].words in str(verdict)


def test_gradients_of_another_loss_than_the_file_computes_are_all_wrong():
    verdict = judge_source(small(broken("loss-sum")))
    assert verdict.wrong == tuple(f"d{name}" for name in sized_copy(6, 8, 2, 2, 27).SHAPES)


OUTSIDE = {
    "attention_backward: dX, dWv wrong": ("t(P) @ dO", "t(P) @ (dO + 0.1 * V)", "dP, dV = dO"),
    "attention_backward: dX, dWq, dWk wrong": ("dS = P * (dP", "dS = P * (0.9 * dP", "dS = P * ("),
    "feed_forward_backward: dW1 wrong": ("X.T @ dA", "3 * X.T @ dA", "dX, dW1, db1 ="),
    "layer_norm_backward: dX wrong": (") / std    ", ") / (std + 0.1)", "dM = (dN"),
    "block_backward: dX": ("return dX + dM ", "return dX + 2 * dM", ""),
    "gpt_backward: dC wrong": ("place.T @ dX", "place.T @ dX * 0.3", ""),
    "loss_backward: dZ wrong": ("(P - true) / len(P)", "(P - 2 * true) / len(P)", "dZ = (P - true"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("place", OUTSIDE)
def test_an_edit_outside_the_catalogue_is_told_by_its_place(place):
    old, new, line = OUTSIDE[place]
    verdict = judge_source(small(change((old, new))))
    assert not verdict.right and not verdict.causes and place in str(verdict)
    assert line in str(verdict)
    [(number, text)] = verdict.changed
    assert new.strip() in text and text in change((old, new)).splitlines()[number - 1]


def test_a_step_that_is_not_adams_is_told_by_its_line():
    verdict = judge_source(small(change(("0.9 * m + 0.1 * grad", "0.9 * m + grad"))))
    assert verdict.right and verdict.same
    assert "adam makes other steps than Adam" in str(verdict)
    assert [text.split(",")[0] for _, text in verdict.changed] == ["m"]


def test_a_changed_line_is_not_blamed_on_a_function_that_is_right():
    verdict = judge_source(small(change(("t(P) @ dO", "np.sin(t(P)) @ dO"))))
    assert [finding.function for finding in verdict.findings] == ["attention"]


# ---- in a process of its own ----

HOPELESS = {
    "no Python": (TEXT + "def f(:\n", "the file is no Python in line 2"),
    "a null byte": (TEXT + "\0", "the file is no Python"),
    "an error": ("1 / 0\n" + TEXT, "the file cannot be run: ZeroDivisionError in line 1"),
    "an exit": ("raise SystemExit\n" + TEXT, "the file cannot be run: SystemExit in line 1"),
    "a hard exit": ("import os\nos._exit(0)\n" + TEXT, "Python ended with code 0"),
    "much memory": (TEXT + "X = np.ones((1 << 17, 1 << 17))\n", "of memory"),
    "nothing": ("", "should be set as in gpt.py"),
    "no loss": (TEXT.replace("def loss(", "def cost("), "the file has no loss; keep these names"),
    "silly sizes": (TEXT.replace(SIZES, "B, T, D, H, L = 1, 2, 5, 2, 1"), "D = 5 is not a multipl"),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", HOPELESS)
def test_a_file_that_cannot_be_checked_gets_one_sentence(tmp_path, kind):
    text, words = HOPELESS[kind]
    path = tmp_path / "my_gpt.py"
    path.write_bytes(text.encode())
    verdict = check_file(path)
    assert not verdict.right and words in verdict.trouble
    assert str(verdict) == f"not checked: {verdict.trouble}" and "\n" not in str(verdict)


@pytest.mark.thorough
@pytest.mark.parametrize(("text", "line"), [
    ("while True: pass\n" + TEXT, 1),
    (change(("    dZ = (P - true)", "    while True: pass\n    dZ = (P - true)")), None),
])
def test_a_file_that_does_not_end_is_stopped(tmp_path, text, line):
    path = tmp_path / "my_gpt.py"
    path.write_text(text, encoding="utf-8")
    trouble = check_file(path, limit=2.0).trouble
    line = line or text.splitlines().index("    while True: pass") + 1
    assert trouble == f"still running after 2 s, and stopped at line {line}: `while True: pass`"


def test_the_file_cannot_answer_for_the_judge(tmp_path):
    """A report that it writes itself, or objects in its arrays, do not make it right."""
    path = tmp_path / "my_gpt.py"
    forged = '\nopen("report", "w").write("{}")\nimport os\nos._exit(0)\n'
    path.write_text(TEXT + forged, encoding="utf-8")
    assert "Python ended with code 0" in check_file(path).trouble
    objects = change(("return dX, dg, dh", "return dX.astype(object), dg, dh"))
    path.write_text(objects.replace("return dX.astype(object)", "return object()"))
    assert not check_file(path).right


def test_what_the_file_prints_is_not_shown(tmp_path, capfd):
    path = tmp_path / "my_gpt.py"
    path.write_text(TEXT + "\nprint('x' * 10**7)\n", encoding="utf-8")
    assert check_file(path).right
    assert capfd.readouterr().out == ""


# ---- the command ----


@pytest.mark.thorough
def test_break_and_check_go_together(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["gpt", "break", "row-sum-missing"]) == 0
    assert "npattn gpt check my_gpt.py" in capsys.readouterr().out
    assert main(["gpt", "check", "my_gpt.py"]) == 1
    said = capsys.readouterr().out
    assert "most likely: The row sum is missing." in said and "(row-sum-missing)" in said
    assert main(["gpt", "break"]) == 2
    assert "my_gpt.py is there already" in capsys.readouterr().err
    assert Path("my_gpt.py").read_text(encoding="utf-8") == broken("row-sum-missing")
    assert main(["gpt", "break", "--force"]) == 0
    assert Path("my_gpt.py").read_text(encoding="utf-8") == TEXT
    assert main(["gpt", "check", "my_gpt.py"]) == 0


@pytest.mark.parametrize(("arguments", "words"), [
    (["break", "row-sum-mising"], "did you mean row-sum-missing"),
    (["break", "row-sum-plus", "row-sum-missing"], "exclude each other"),
    (["break", "--out", "nowhere/my_gpt.py"], "there is no folder nowhere"),
    (["break", "--out", "my_gpt.txt"], "must end in .py"),
    (["check", "nothing.py"], "there is no file nothing.py"),
    (["--steps", "0"], "--steps must be at least 1"),
    (["--seed", "-1"], "--seed must be at least 0"),
])
def test_what_cannot_be_is_told_in_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["gpt", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not [*tmp_path.iterdir()]


def test_the_list_has_every_edit(capsys):
    assert main(["gpt", "break", "--list"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} >= {*EDITS}


def test_the_command_alone_does_what_the_file_does(monkeypatch, capsys):
    called = []
    monkeypatch.setattr(gpt, "main", lambda *args: called.append(args))
    assert main(["gpt"]) == main(["gpt", "--seed", "3", "--steps", "7"]) == 0
    assert called == [(0, 1500), (3, 7)]
