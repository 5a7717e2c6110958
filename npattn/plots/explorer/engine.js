// From the formulas to the numbers: a whole call, the complex step, and the path of a gradient.

const STEP = 1e-20;
const table = (rows, columns, entry) =>
  Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => entry(i, j)));

/** A call with its sizes ({ Tq: 3, … }): lines, and axes of all its matrices by name. */
function prepare(call, sizes) {
  const ranges = Object.fromEntries(
    Object.entries(sizes).map(([axis, n]) => [axis, Array.from({ length: n }, (_, i) => i)]));
  const lines = [...call.forward, ...call.backward];
  const axes = { ...call.given, mask: ["Tq", "Tk"] };
  for (const line of lines) axes[line.name] = line.axes;
  const gradients = new Set([call.seed, ...call.backward.map((line) => line.name)]);
  const shape = (name) => axes[name].map((axis) => axis ? sizes[axis] : 1);
  return { ...call, sizes, ranges, lines, axes, gradients, shape };
}

/** The tree of every entry of every line, by name. Of terms that are `off` nothing is in them. */
function treesOf(call, mask, off) {
  const context = {
    ...call.ranges,
    on: (term) => !off.has(term),
    may: (i, j) => !mask || typeof i === "string" || typeof j === "string" || mask[i][j],
  };
  return Object.fromEntries(call.lines.map((line) => [
    line.name, table(...call.shape(line.name), (i, j) => line.cell(i, j, context)),
  ]));
}

/** The entry of a line with letters for its indices. */
function symbolOf(call, line, off) {
  const letters = { Tq: "i", Tk: "j", Dk: "k", Dv: "c", T: "i", D: "j", "": 0 };
  const context = { ...call.ranges, on: (term) => !off.has(term), may: () => true };
  return line.cell(...line.axes.map((axis) => letters[axis]), context);
}

const reader = (values) => ({ name, i, j }) => values[name][i][j];

/** All matrices of the call from the given ones. */
function compute(call, trees, given) {
  const values = { ...given };
  for (const { name } of call.lines) {
    values[name] = trees[name].map((row) => row.map((tree) => valueOf(tree, reader(values))));
  }
  return values;
}

/** ∂(Σ dO ⊙ O) / ∂(entry i, j of matrix `name`), by the complex step through the forward lines. */
function complexStep(call, trees, values, name, i, j) {
  const stepped = { ...values, [name]: values[name].map((row) => row.slice()) };
  stepped[name][i][j] = { re: values[name][i][j], im: STEP };
  const begin = call.forward.findIndex((line) => line.name === name) + 1;
  for (const { name: later } of call.forward.slice(begin)) {
    stepped[later] = trees[later].map((row) => row.map((tree) => valueOf(tree, reader(stepped))));
  }
  let loss = 0;
  stepped[call.output].forEach((row, r) => row.forEach((entry, c) => {
    loss += values[call.seed][r][c] * im(entry);
  }));
  return loss / STEP;
}

/** What each gradient should be, by name: tables of complex steps. */
function witness(call, trees, values) {
  return Object.fromEntries(call.backward.filter((line) => line.of).map(({ name, of }) => [
    name, table(...call.shape(name), (i, j) => complexStep(call, trees, values, of, i, j)),
  ]));
}

/** How much of one gradient entry came through each entry of the gradients before it.
 *
 * A backward line is linear in the gradients that it reads: the coefficient of one is the line's
 * value where this one is 1 and all others are 0. Coefficients multiply along the path to dO, so
 * that the shares of each matrix on it, δ aside, add up to the entry. Returns tables by name. */
function pathOf(call, trees, values, name, i, j) {
  const weights = {}, shares = {};
  const weight = (other) => weights[other] ??= table(...call.shape(other), () => 0);
  weight(name)[i][j] = 1;
  for (const line of call.backward.slice().reverse()) {
    if (!weights[line.name]) continue;
    weights[line.name].forEach((row, r) => row.forEach((w, c) => {
      if (w === 0) return;
      const tree = trees[line.name][r][c];
      for (const source of cellsOf(tree).filter((cell) => call.gradients.has(cell.name))) {
        const read = (cell) => !call.gradients.has(cell.name) ? values[cell.name][cell.i][cell.j]
          : Number(cell.name === source.name && cell.i === source.i && cell.j === source.j);
        weight(source.name)[source.i][source.j] += w * valueOf(tree, read);
      }
    }));
  }
  for (const other of Object.keys(weights)) {
    shares[other] = weights[other].map((row, r) => row.map((w, c) => w * values[other][r][c]));
  }
  return { weights, shares };
}
