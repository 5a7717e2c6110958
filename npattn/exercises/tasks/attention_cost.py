r"""d2l 11.3.6, level 1: What attention costs

Multi-head attention, one sequence, projections left aside: $H$ heads share the widths, so that each
has $D_k / H$ of the queries and keys and $D_v / H$ of the values. Count

- the multiply-adds of both products, $QK^\top$ and $PV$, one for each product of two numbers;
- the numbers that move between memory and processor, if each of three steps reads what it needs and
  writes what it makes: $S = QK^\top$, $P = \operatorname{softmax}(S)$, $O = PV$, all heads.

How do they grow with width, length and the number of heads? Exercise 3 of d2l 11.3 (Chinese
edition: section 10.3).

    H       (int)   heads; divides Dk and Dv
    Tq      (int)   queries
    Tk      (int)   keys
    Dk      (int)   width of queries and keys, all heads together
    Dv      (int)   width of values, all heads together
    work    (int)   multiply-adds
    moved   (int)   numbers read and written
"""

import numpy as np

ANSWER = {"work": "", "moved": ""}


def attention_cost(H, Tq, Tk, Dk, Dv):
    """Multiply-adds, and numbers moved.

    H       int  heads
    Tq, Tk  int  queries, keys
    Dk, Dv  int  widths, all heads together

    Returns work and moved, two whole numbers.
    """
    return Tq * Tk * (Dk + Dv), Tq * Dk + Tk * Dk + 4 * H * Tq * Tk + Tk * Dv + Tq * Dv


def specification(H, Tq, Tk, Dk, Dv):
    """Count, one by one."""
    work = moved = 0
    for _ in range(H):
        Q, K, V = np.ones((Tq, Dk // H)), np.ones((Tk, Dk // H)), np.ones((Tk, Dv // H))
        for row in range(Tq):
            for key in range(Tk):
                work += len(Q[row])  # Q_row · K_key
                work += len(V[key])  # P_row,key times V_key, added to O_row
        S, O = np.ones((Tq, Tk)), np.ones((Tq, Dv // H))
        P = S
        for read, written in (((Q, K), S), ((S,), P), ((P, V), O)):
            moved += sum(X.size for X in read) + written.size
    return work, moved


def cases(rng):
    def inputs(H, Tq, Tk, *shares):
        return (H, Tq, Tk, *(H * share for share in shares))

    return {
        "one head, two queries, three keys": inputs(1, 2, 3, 1, 2),
        "two heads, every length different": inputs(2, 3, 4, 5, 3),
        "self-attention": inputs(4, 6, 6, 2, 2),
        "lengths by chance": inputs(3, *map(int, rng.integers(2, 9, 4))),
        "one query, as in decoding": inputs(2, 1, 9, 4, 3),
    }


HINTS = (
    "A product of a (n, m) and a (m, p) matrix takes n·m·p multiply-adds. What are n, m and p for "
    "one head, in each of both products?",
    "Work: H heads of Tq·Tk·(Dk/H + Dv/H). Moved: Q, K, V and O once each, and the table of scores "
    "or weights, of which each head has one, how many times?",
    "work = Tq·Tk·(Dk + Dv). The table is written as S, read as S, written as P, read as P: moved "
    "= (Tq + Tk)·(Dk + Dv) + 4·H·Tq·Tk.",
)

DERIVATION = r"""
**1.** One entry of $QK^\top$ is a sum of as many products as a head is wide, $D_k / H$; there are
$T_q T_k$ of them for each head. In $PV$ an entry is a sum of $T_k$ products, and there are
$T_q D_v / H$.

**2.** Together, over the heads,

$$ H \left( T_q T_k \frac{D_k}{H} + T_q T_k \frac{D_v}{H} \right) = T_q T_k\, (D_k + D_v) : $$

linear in the widths, quadratic in the length where $T_q = T_k$, and *independent of the number of
heads*.

**3.** The first step reads $Q$ and $K$ and writes $S$; the softmax reads $S$ and writes $P$; the
last reads $P$ and $V$ and writes $O$. $Q, K, V, O$ move once each, the table four times.

**4.** Each head has a table of its own, so here heads do cost:

$$ (T_q + T_k)(D_k + D_v) + 4\, H\, T_q T_k . $$

There are $(D_k + D_v)/(4H)$ multiply-adds for each time that a number of the tables moves, half a
head's width where $D_k = D_v$. A processor could do more in that time: attention as three steps
waits for memory, and an attention that never writes the table is faster with the same arithmetic.
"""


MISTAKES = {
    "queries for keys": (1, [("return Tq * Tk", "return Tq * Tq"), ("H * Tq * Tk", "H * Tq * Tq")],
        "Tq² stands where Tq·Tk belongs: there need not be as many keys as queries."),
    "only scores": (1, "(Dk + Dv),", "Dk,", "Only QKᵀ was counted; PV takes Tq·Tk·Dv more."),
    "Dv taken for Dk": (1, "(Dk + Dv),", "(Dk + Dk),",
        "The second product was counted with the width of the keys; it is Dv."),
    "additions": (1, "return Tq * Tk", "return (Tq + Tk)",
        "Lengths were added where they multiply: each query meets each key, Tq·Tk pairs."),
    "flops": (1, "return Tq", "return 2 * Tq",
        "A multiplication and the addition behind it were counted as two; here they are one."),
    "heads times the work": (2, "return Tq", "return H * Tq",
        "The work was multiplied by H, but the heads share the width: each has 1/H of it."),
    "one head": (2, "(Dk + Dv),", "(Dk + Dv) // H,",
        "The work of one head was counted; there are H."),
    "one table": (4, "4 * H *", "4 *", "One table of scores was counted; each head has its own."),
    "tables only": (3, [("Tq * Dk + Tk * Dk + 4", "4"), (" + Tk * Dv + Tq * Dv", "")],
        "Only the tables were counted; Q, K, V and O move as well."),
    "tables left out": (3, " + 4 * H * Tq * Tk", "",
        "The tables were not counted. In three steps S and P are written and read again; only an "
        "attention in one step can do without."),
    "output free": (3, " + Tq * Dv", "", "The output was not counted: it has to be written, too."),
    "table read only once": (3, "4 * H", "H",
        "The table was counted once. It is written and read as S, then written and read as P."),
    "softmax free": (3, "4 * H", "2 * H",
        "The table was counted twice. It moves four times: S is written and read, P is written and "
        "read."),
}
