// A formula as a small tree. One tree is computed, written out with symbols or with numbers, and
// asked which cells it reads: so that what the page says of a cell is what it computed.

const matrix = (name) => (i, j = 0) => ({ kind: "cell", name, i, j });
const number = (value) => ({ kind: "number", value });
const negative = (x) => ({ kind: "negative", parts: [x] });
const minus = (x, y, ...more) => ({ kind: "plus", parts: [x, ...[y, ...more].map(negative)] });
const plus = (...parts) => ({ kind: "plus", parts });
const over = (x, y) => ({ kind: "over", parts: [x, y] });
const exp = (x) => ({ kind: "exp", parts: [x] });
const root = (x) => ({ kind: "root", parts: [x] });
const square = (x) => ({ kind: "square", parts: [x] });
const greatest = (index, range, term) => ({ kind: "greatest", ...run(index, range, term) });
const sum = (index, range, term) => ({ kind: "sum", ...run(index, range, term) });
const run = (index, range, term) => ({ index, body: term(index), parts: range.map(term) });

function times(...parts) { // a factor that is false is left out
  parts = parts.filter(Boolean);
  return parts.length === 1 ? parts[0] : { kind: "times", parts };
}

/** The value of a tree; read(cell) gives the value of a cell. */
function valueOf(tree, read) {
  const { kind, parts } = tree;
  const part = (n) => valueOf(parts[n], read);
  switch (kind) {
    case "cell": return read(tree);
    case "number": return tree.value;
    case "negative": return negate(part(0));
    case "plus":
    case "sum": return parts.reduce((total, term) => add(total, valueOf(term, read)), 0);
    case "times": return parts.reduce((product, term) => multiply(product, valueOf(term, read)), 1);
    case "over": return divide(part(0), part(1));
    case "exp": return exponential(part(0));
    case "root": return squareRoot(part(0));
    case "square": return multiply(part(0), part(0));
    case "greatest": return parts.map((term) => valueOf(term, read))
      .reduce((top, x) => re(x) > re(top) ? x : top);
  }
  throw new Error(`no such kind: ${kind}`);
}

/** Every cell that the tree reads, each once. */
function cellsOf(tree, found = new Map()) {
  if (tree.kind === "cell") found.set(`${tree.name} ${tree.i} ${tree.j}`, tree);
  else (tree.parts ?? []).forEach((part) => cellsOf(part, found));
  return [...found.values()];
}

/** The terms that a formula adds: those of its sum over an index, else of its plus and minus. */
function termsOf(tree) {
  return (nodeOf(tree, "sum") ?? nodeOf(tree, "plus"))?.parts ?? [];
}

function nodeOf(tree, kind) { // of a quotient what it divides by comes first
  if (tree.kind === kind) return tree;
  if (tree.kind === "greatest") return undefined;
  return (tree.parts ?? []).map((part) => nodeOf(part, kind)).findLast(Boolean);
}

/** The tree as text: strings, and trees that stand for a symbol or a number. */
function written(tree, symbols, within = "") {
  const { kind, parts, index } = tree;
  const inner = (part, place = "") => written(part, symbols, place);
  const wrap = (needed, pieces) => needed ? ["(", ...pieces, ")"] : pieces;
  const join = (list, sign) => list.flatMap((pieces, n) => n ? [sign, ...pieces] : pieces);
  switch (kind) {
    case "cell":
    case "number": return [tree];
    case "greatest": return symbols ? ["max", { index }, " ", ...inner(tree.body)] : [tree];
    case "negative": return ["−", ...inner(parts[0], "times")];
    case "times": return join(parts.map((part) => inner(part, "times")), symbols ? " " : " × ");
    case "over": return [...inner(parts[0], "times"), " / ", ...inner(parts[1], "over")];
    case "exp": return ["exp(", ...inner(parts[0]), ")"];
    case "root": return ["√(", ...inner(parts[0]), ")"];
    case "square": return ["(", ...inner(parts[0]), ")²"];
    case "sum":
      if (symbols) return wrap(within === "over", ["Σ", { index }, " ", ...inner(tree.body, "times")]);
      return wrap(within && parts.length > 1, join(parts.map((part) => inner(part)), " + "));
    case "plus":
      return wrap(within, parts.flatMap((part, n) => part.kind !== "negative"
        ? [...(n ? [" + "] : []), ...inner(part)]
        : [n ? " − " : "−", ...inner(part.parts[0], "times")]));
  }
}
