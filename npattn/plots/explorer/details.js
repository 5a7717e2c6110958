// What is said of the cell that is pointed at, and the cells that light up with it.

const factor = (x) => x < 0 ? `(${short(x)})` : short(x); // after a sign
const pointed = () => state.hovered ?? state.fixed;
const lineOf = (name) => call.lines.find((line) => line.name === name);

function drawPointed() {
  const cell = pointed();
  for (const name in cells) {
    for (const td of cells[name].flat()) {
      td.classList.remove("lit", "direct", "pointed");
      delete td.dataset.note;
    }
  }
  const line = cell && lineOf(cell[0]);
  $("flow").classList.toggle("lighting", Boolean(line));
  if (cell) cells[cell[0]][cell[1]][cell[2]].classList.add("pointed");
  $("detail").classList.toggle("open", Boolean(cell));
  const story = $("story");
  story.replaceChildren();
  if (!cell) {
    $("detail-title").textContent = word("hint");
    story.append(element("p", { className: "quiet", text: word("hint text", call.seed) }));
    return;
  }
  const [name, i, j] = cell;
  story.className = kindOf(name);
  drawTitle(cell);
  if (name === "mask") return tellMask(story, i, j);
  if (!line) return tellGiven(story, name);
  tellFormula(story, line, i, j);
  const shares = sharesOf(line, i, j);
  light(name, i, j, shares);
  if (expected?.[name]) tellProof(story, name, i, j);
  if (shares.terms.length > 1) tellTerms(story, shares);
  if (call.gradients.has(name)) tellPath(story, name, i, j);
}

function drawTitle(cell) {
  const [name, i, j] = cell, title = $("detail-title");
  title.replaceChildren(element("b", { text: spelled(name) }), ` ${place(cell)} `);
  if (name !== "mask") title.append("= ", element("strong", { text: long(values[name][i][j]) }));
}

function tellMask(story, i, j) {
  story.append(element("p", { text: word(state.mask[i][j] ? "may" : "may not") }));
  if (isDead(i)) story.append(element("p", { text: word("dead") }));
  story.append(element("p", { className: "quiet", text: word("toggle") }));
}

function tellGiven(story, name) {
  if (name === call.seed) story.append(element("p", { text: word("seed") }));
  story.append(element("p", { className: "quiet", text: word("given") }));
}

/** A tree as nodes of the page: with symbols Q<sub>ik</sub>, or with its numbers. */
function nodesOf(tree, symbols) {
  return written(tree, symbols).flatMap((piece, n, all) => {
    if (typeof piece === "string") return [piece];
    if (!piece.kind) return [element("sub", { text: piece.index })];
    if (piece.kind === "number") return [String(piece.value)];
    if (symbols) {
      const letters = call.axes[piece.name].map((axis, n) => axis ? [piece.i, piece.j][n] : "");
      return [spelled(piece.name), element("sub", { text: letters.join("") })];
    }
    const value = valueOf(piece, reader(values));
    return [n > 0 && !/\($/.test(String(all[n - 1])) ? factor(value) : short(value)];
  });
}

function tellFormula(story, line, i, j) {
  const letters = { Tq: "i", Tk: "j", Dk: "k", Dv: "c", T: "i", D: "j", "": "" };
  story.append(element("p", { className: "symbols" }, spelled(line.name),
    element("sub", { text: line.axes.map((axis) => letters[axis]).join("") }), " = ",
    ...nodesOf(symbolOf(call, line, state.off), true)));
  const tree = trees[line.name][i][j];
  if (tree.kind === "number") { // a key that the mask does not allow
    story.append(element("p", { text: word(isDead(i) ? "dead" : "masked") }));
    return;
  }
  story.append(element("p", { className: "numbers" }, ...nodesOf(tree, false), " = ",
    element("strong", { text: long(values[line.name][i][j]) })));
}

/** The terms of the sum inside a cell, each with its value, its share and its cells. */
function sharesOf(line, i, j) {
  const terms = termsOf(trees[line.name][i][j]).map((tree) => ({
    tree, value: valueOf(tree, reader(values)), cells: cellsOf(tree),
  }));
  const whole = terms.reduce((total, { value }) => total + Math.abs(value), 0);
  for (const term of terms) term.share = whole ? term.value / whole : 0;
  return { terms };
}

const percent = (share) => `${share < 0 ? "−" : ""}${Math.round(Math.abs(share) * 100)} %`;

function light(name, i, j, { terms }) {
  const mark = ({ name: other, i: r, j: c }, className, note) => {
    const td = cells[other]?.[r]?.[c];
    if (!td || td.classList.contains("pointed")) return;
    td.classList.add("lit", className);
    if (note !== undefined && !td.dataset.note) td.dataset.note = note;
  };
  for (const { cells: read, share } of terms) {
    const every = ({ name: other, i: r, j: c }) => terms.length > 1 && terms.every((term) =>
      term.cells.some((cell) => cell.name === other && cell.i === r && cell.j === c));
    for (const cell of read) {
      if (every(cell)) mark(cell, "direct");
      else mark(cell, "direct", percent(share));
    }
  }
  for (const cell of cellsOf(trees[name][i][j])) mark(cell, "direct");
  if (lineOf(name).masked ?? (name === "P" && state.mask)) {
    state.mask[i].forEach((_, n) => mark({ name: "mask", i, j: n }, "path"));
  }
  if (!call.gradients.has(name)) return;
  const { shares } = pathOf(call, trees, values, name, i, j);
  for (const [other, rows] of Object.entries(shares)) {
    if (other === name) continue;
    const whole = rows.flat().reduce((total, share) => total + Math.abs(share), 0);
    rows.forEach((row, r) => row.forEach((share, c) => {
      if (share !== 0) mark({ name: other, i: r, j: c }, "path", percent(share / whole));
    }));
  }
}

function rowOf(label, value, share) {
  const bar = element("i", { className: share < 0 ? "minus" : "" });
  bar.style.setProperty("--share", Math.abs(share));
  return element("li", {}, element("span", {}, ...label),
    element("span", { className: "bars", "aria-hidden": "true" }, bar),
    element("span", { text: short(value) }), element("span", { text: percent(share) }));
}

function tellTerms(story, { terms }) {
  story.append(element("h3", { text: word("terms") }), element("ul", {}, ...terms.map((term) =>
    rowOf(nodesOf(term.tree, false), term.value, term.share))));
}

function tellProof(story, name, i, j) {
  const right = expected[name][i][j], wrong = isWrong(name, i, j);
  story.append(element("p", { className: wrong ? "proof bad" : "proof quiet" },
    `${word("step value", long(right))} `, element("strong", { text: wrong
      ? word("differs", long(values[name][i][j] - right)) : word("agrees") })));
}

function tellPath(story, name, i, j) {
  const { weights, shares } = pathOf(call, trees, values, name, i, j);
  const used = (rows) => rows.flat().filter((weight) => weight !== 0).length;
  const stations = call.backward.slice().reverse().map((line) => line.name).concat(call.seed)
    .filter((other) => other !== name && weights[other] && used(weights[other]));
  story.append(element("h3", { text: word("path", call.seed) }),
    element("p", {}, [`${name}[${i}, ${j}]`, ...stations.map((other) =>
      word("cells", used(weights[other]), other))].join(" ← ")));
  const entries = shares[call.seed]?.flatMap((row, r) => row.map((share, c) =>
    ({ r, c, share, weight: weights[call.seed][r][c] }))).filter(({ weight }) => weight !== 0) ?? [];
  const whole = entries.reduce((total, { share }) => total + Math.abs(share), 0);
  if (stations.length < 2 || !entries.length) return;
  story.append(element("p", { className: "quiet", text: word("path text", name, call.seed) }),
    element("ul", {}, ...entries.map(({ r, c, share, weight }) => rowOf(
      [`${call.seed}[${r}, ${c}]: ${short(weight)} × ${factor(values[call.seed][r][c])}`], share,
      whole ? share / whole : 0))));
}

/** The same in one sentence, for who listens. */
function spoken([name, i, j]) {
  const start = `${spelled(name)}, ${place([name, i, j])}`;
  if (name === "mask") return `${start}: ${word(state.mask[i][j] ? "may" : "may not")}`;
  const line = lineOf(name), said = [`${start}: ${long(values[name][i][j])}.`];
  if (!line) return said[0];
  const tree = trees[name][i][j];
  if (tree.kind === "number") said.push(word(isDead(i) ? "dead" : "masked"));
  else {
    said.push(`= ${nodesOf(tree, false).map((node) => node.textContent ?? node).join("")}.`);
    const from = Map.groupBy(cellsOf(tree), (cell) => cell.name);
    said.push(word("comes from", [...from].map(([other, list]) =>
      word("cells", list.length, spelled(other))).join(", ")));
  }
  if (isWrong(name, i, j)) {
    said.push(word("step value", long(expected[name][i][j])));
    said.push(word("differs", long(values[name][i][j] - expected[name][i][j])));
  }
  return said.join(" ");
}
