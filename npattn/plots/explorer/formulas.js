// THE FORMULAS of the three calls, forward and backward. Everything that the page shows is computed
// from them, and they are written nowhere else.
//
// A line gives one matrix: its name, its axes, the formula as it is read, and `cell`, the tree of
// one entry. A term { term, text, drop } of a formula can be switched off: `on(term)` says whether
// it counts; `needs` says which sizes must be equal for the shapes still to fit. `of` names what a
// gradient belongs to: the complex step checks it. may(i, j): whether query i may attend to key j.

const [Q, K, V, S, P, scale] = ["Q", "K", "V", "S", "P", "scale"].map(matrix);
const [dO, dP, delta, dS] = ["dO", "dP", "δ", "dS"].map(matrix);
const [X, mean, rstd, Xhat, gain, bias, eps] = ["X", "μ", "r", "X̂", "gain", "bias", "eps"].map(matrix);
const [dY, dXhat, a, b] = ["dY", "dX̂", "a", "b"].map(matrix);

const term = (name, text, drop, needs) => ({ term: name, text, drop, needs });

const SOFTMAX = {
  name: "P", axes: ["Tq", "Tk"], formula: ["P = softmax(S)"],
  cell: (i, j, { Tk, may }) => {
    const keys = Tk.filter((n) => may(i, n)), top = greatest("n", keys, (n) => S(i, n));
    if (!may(i, j)) return number(0);
    return over(exp(minus(S(i, j), top)), sum("n", keys, (n) => exp(minus(S(i, n), top))));
  },
};

const SOFTMAX_BACKWARD = [
  { name: "δ", axes: ["Tq", ""], formula: ["δ = Σⱼ dP ⊙ P"],
    cell: (i, _, { Tk }) => sum("j", Tk, (j) => times(dP(i, j), P(i, j))) },
  { name: "dS", axes: ["Tq", "Tk"], of: "S",
    formula: ["dS = ", term("dS weights", "P", " ⊙"), " (dP", term("row sum", "", " − δ"), ")"],
    cell: (i, j, { on }) => times(on("dS weights") && P(i, j),
      on("row sum") ? minus(dP(i, j), delta(i)) : dP(i, j)) },
];

const CALLS = {
  attention: {
    pairs: [["Q", "dQ"], ["K", "dK"], ["S", "dS"], ["mask", "δ"], ["P", "dP"], ["V", "dV"], ["O", "dO"]],
    given: { Q: ["Tq", "Dk"], K: ["Tk", "Dk"], V: ["Tk", "Dv"], dO: ["Tq", "Dv"], scale: ["", ""] },
    output: "O", seed: "dO", knob: "scale",
    forward: [
      { name: "S", axes: ["Tq", "Tk"], formula: ["S = Q Kᵀ · scale"],
        cell: (i, j, { Dk }) => times(scale(0), sum("k", Dk, (k) => times(Q(i, k), K(j, k)))) },
      SOFTMAX,
      { name: "O", axes: ["Tq", "Dv"], formula: ["O = P V"],
        cell: (i, c, { Tk }) => sum("j", Tk, (j) => times(P(i, j), V(j, c))) },
    ],
    backward: [
      { name: "dV", axes: ["Tk", "Dv"], of: "V",
        formula: ["dV = ", term("dV transpose", "P", "ᵀ", ["Tq", "Tk"]), " dO"],
        cell: (j, c, { Tq, on }) => sum("i", Tq, (i) =>
          times(on("dV transpose") ? P(i, j) : P(j, i), dO(i, c))) },
      { name: "dP", axes: ["Tq", "Tk"], of: "P",
        formula: ["dP = dO ", term("dP transpose", "V", "ᵀ", ["Tk", "Dv"])],
        cell: (i, j, { Dv, on }) => sum("c", Dv, (c) =>
          times(dO(i, c), on("dP transpose") ? V(j, c) : V(c, j))) },
      ...SOFTMAX_BACKWARD,
      { name: "dQ", axes: ["Tq", "Dk"], of: "Q",
        formula: ["dQ = dS K", term("dQ scale", "", " · scale")],
        cell: (i, k, { Tk, on }) => times(on("dQ scale") && scale(0),
          sum("j", Tk, (j) => times(dS(i, j), K(j, k)))) },
      { name: "dK", axes: ["Tk", "Dk"], of: "K",
        formula: ["dK = ", term("dK transpose", "dS", "ᵀ", ["Tq", "Tk"]), " Q",
          term("dK scale", "", " · scale")],
        cell: (j, k, { Tq, on }) => times(on("dK scale") && scale(0), sum("i", Tq, (i) =>
          times(on("dK transpose") ? dS(i, j) : dS(j, i), Q(i, k)))) },
    ],
  },

  softmax: {
    pairs: [["S", "dS"], ["mask", "δ"], ["P", "dP"]],
    given: { S: ["Tq", "Tk"], dP: ["Tq", "Tk"] },
    output: "P", seed: "dP",
    forward: [SOFTMAX],
    backward: SOFTMAX_BACKWARD,
  },

  layer_norm: {
    pairs: [["X", "dX"], ["μ", "a"], ["r", "b"], ["X̂", "dX̂"], ["gain", "dgain"], ["bias", "dbias"],
      ["Y", "dY"]],
    given: { X: ["T", "D"], gain: ["", "D"], bias: ["", "D"], dY: ["T", "D"], eps: ["", ""] },
    output: "Y", seed: "dY",
    forward: [
      { name: "μ", axes: ["T", ""], formula: ["μ = meanⱼ X"],
        cell: (i, _, { D }) => over(sum("j", D, (j) => X(i, j)), number(D.length)) },
      { name: "r", axes: ["T", ""], formula: ["r = 1 / √(meanⱼ (X − μ)² + eps)"],
        cell: (i, _, { D }) => over(number(1), root(plus(
          over(sum("j", D, (j) => square(minus(X(i, j), mean(i)))), number(D.length)), eps(0)))) },
      { name: "X̂", axes: ["T", "D"], formula: ["X̂ = (X − μ) ⊙ r"],
        cell: (i, j) => times(minus(X(i, j), mean(i)), rstd(i)) },
      { name: "Y", axes: ["T", "D"], formula: ["Y = X̂ ⊙ gain + bias"],
        cell: (i, j) => plus(times(Xhat(i, j), gain(0, j)), bias(0, j)) },
    ],
    backward: [
      { name: "dgain", axes: ["", "D"], of: "gain",
        formula: ["dgain = Σᵢ dY", term("dgain rows", "", " ⊙ X̂")],
        cell: (_, j, { T, on }) => sum("i", T, (i) =>
          times(dY(i, j), on("dgain rows") && Xhat(i, j))) },
      { name: "dbias", axes: ["", "D"], of: "bias", formula: ["dbias = Σᵢ dY"],
        cell: (_, j, { T }) => sum("i", T, (i) => dY(i, j)) },
      { name: "dX̂", axes: ["T", "D"], of: "X̂",
        formula: ["dX̂ = dY", term("dX̂ gain", "", " ⊙ gain")],
        cell: (i, j, { on }) => times(dY(i, j), on("dX̂ gain") && gain(0, j)) },
      { name: "a", axes: ["T", ""], formula: ["a = meanⱼ dX̂"],
        cell: (i, _, { D }) => over(sum("j", D, (j) => dXhat(i, j)), number(D.length)) },
      { name: "b", axes: ["T", ""], formula: ["b = meanⱼ dX̂ ⊙ X̂"],
        cell: (i, _, { D }) => over(sum("j", D, (j) => times(dXhat(i, j), Xhat(i, j))),
          number(D.length)) },
      { name: "dX", axes: ["T", "D"], of: "X",
        formula: ["dX = ", term("dX rstd", "r", " ⊙"), " (dX̂", term("mean", "", " − a"),
          term("variance", "", " − X̂ ⊙ b"), ")"],
        cell: (i, j, { on }) => times(on("dX rstd") && rstd(i), plus(dXhat(i, j),
          ...(on("mean") ? [negative(a(i))] : []),
          ...(on("variance") ? [negative(times(Xhat(i, j), b(i)))] : []))) },
    ],
  },
};
