// The matrices on the page: made once, and drawn anew after every change.

const $ = (id) => document.getElementById(id);
const shown = JSON.parse($("data").textContent);
const call = prepare(CALLS[shown.call], shown.sizes);
const knob = call.knob && call.given[call.knob] ? call.knob : null;
const state = {
  given: structuredClone(shown.given), mask: structuredClone(shown.mask),
  off: new Set(),  // terms that are left out
  step: null,      // the line that is looked at; null for the whole call
  hovered: null,   // [name, i, j] under the pointer
  fixed: null,     // [name, i, j] that has the focus, or was touched
};
let trees, values, expected; // what is shown, and the gradients by complex step (null: not yet)
const cells = {}; // cells[name][i][j] is an element

function word(name, ...parts) {
  return parts.reduce((text, part, n) => text.replaceAll(`{${n}}`, part), shown.words[name]);
}

function element(tag, properties = {}, ...children) {
  const { className = "", text, ...attributes } = properties;
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A number in at most `digits` digits, the true minus, and 0 for nothing but an exact zero. */
function short(x, digits = 2) {
  if (x === 0) return "0";
  const size = Math.abs(x);
  let text = size >= 10 ** (digits + 2) || size < 10 ** (-digits - 1) ? x.toExponential(digits - 1)
    : size < 0.0995 ? x.toPrecision(digits)
    : x.toFixed(Math.max(0, digits - Math.max(0, Math.floor(Math.log10(size)) - 1)));
  return text.replace("e+", "e").replaceAll("-", "−");
}

const long = (x) => short(x, 4);

const visible = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
  (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`) || "␣";

/** The label of a position on an axis, as it stands beside a matrix. */
function label(axis, n) {
  return shown.labels[axis] ? visible(shown.labels[axis][n]) : String(n);
}

function position(axis, n, side) { // the same in words
  const kind = { Tq: "query", Tk: "key", T: "token" }[axis];
  const text = shown.labels[axis] ? `“${label(axis, n)}”` : String(n);
  return kind ? word(kind, text) : word(side, n);
}

function place([name, i, j]) { // of a cell in words, without axes of length 1
  const [rows, columns] = call.axes[name];
  const parts = [rows && position(rows, i, "row"), columns && position(columns, j, "column")];
  return parts.filter(Boolean).join(", ");
}

const isInput = (name) => name in call.given && !(name === knob);
const kindOf = (name) => name === "mask" ? "mask" : name === "P" ? "weight"
  : call.gradients.has(name) ? "gradient" : "value";
const isDead = (i) => state.mask && !state.mask[i].some(Boolean);
const spelled = (name) => shown.words[name] ?? name;

function makeMatrix(name) {
  const [rows, columns] = call.shape(name), [rowAxis, columnAxis] = call.axes[name];
  const kind = kindOf(name), input = isInput(name);
  const size = [rowAxis || "1", columnAxis || "1"].join(" × ");
  const caption = element("caption", {}, element("b", { text: spelled(name) }),
    element("span", { text: size }));
  const head = element("tr", {}, element("th"), ...call.ranges[columnAxis]?.map((j) =>
    element("th", { scope: "col", text: label(columnAxis, j), title: label(columnAxis, j) }))
    ?? [element("th")]);
  cells[name] = table(rows, columns, (i, j) => element("td", {
    role: kind === "mask" ? "checkbox" : "gridcell", tabindex: i + j ? -1 : 0,
    className: input ? "given" : "", "data-cell": `${name} ${i} ${j}`,
    ...(kind === "mask" ? {} : { "aria-readonly": !input }),
  }, element("span")));
  const body = cells[name].map((row, i) => element("tr", {}, element("th", rowAxis
    ? { scope: "row", text: label(rowAxis, i), title: label(rowAxis, i) } : {}), ...row));
  return element("div", { className: `slot ${kind}`, "data-name": name },
    element("table", {
      role: kind === "mask" ? "group" : "grid",
      "aria-label": word("matrix", spelled(name), rows, columns)
        + (input ? `: ${word("editable")}` : ""),
    }, caption, element("thead", {}, head), element("tbody", {}, ...body)));
}

function makeFlow() {
  const tall = (n) => Math.max(...call.pairs.map((pair) => call.shape(pair[n])[0]));
  call.pairs.forEach((names) => {
    const small = names.includes("mask");
    const slots = names.map((name, n) => {
      const slot = makeMatrix(name);
      slot.style.setProperty("--tall", tall(n));
      return slot;
    });
    $("flow").append(element("div", { className: small ? "pair small" : "pair" }, ...slots));
  });
}

/** Room for the longest label of a row. */
function measureLabels() {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const rows = ["Tq", "Tk", "T"].filter((axis) => shown.sizes[axis]);
  const widest = Math.max(...rows.flatMap((axis) =>
    call.ranges[axis].map((n) => pen.measureText(label(axis, n)).width)));
  const side = Math.min(72, Math.max(22, Math.ceil(widest) + 6));
  $("flow").style.setProperty("--side", `${side}px`);
}

/** All pairs in one row if there is room for them, with cells as wide as fit. */
function fit() {
  const flow = $("flow"), fits = () => flow.scrollWidth <= flow.clientWidth;
  measureLabels();
  flow.style.removeProperty("--cell");
  flow.style.removeProperty("column-gap");
  flow.classList.toggle("one-row", innerWidth > 860);
  if (innerWidth <= 860) return;
  for (let width = 54; width >= 37; width--) {
    flow.style.setProperty("--cell", `${width}px`);
    if (!fits()) continue;
    const pairs = [...flow.children], taken = pairs.reduce((sum, pair) => sum + pair.offsetWidth, 0);
    flow.style.columnGap = `${Math.min(44, (flow.clientWidth - taken) / (pairs.length - 1))}px`;
    return;
  }
  flow.style.removeProperty("--cell");
  flow.classList.remove("one-row");
}

function rebuild() { // after a change of the mask or of a term
  trees = treesOf(call, state.mask, state.off);
  refresh();
}

let waiting;
function refresh() { // after a change of a number
  values = compute(call, trees, state.given);
  expected = null;
  clearTimeout(waiting);
  const work = call.backward.filter(({ of }) => of).reduce((n, { of }) => n + size(of), 0)
    * call.forward.reduce((n, { name }) => n + size(name), 0);
  const ask = () => { expected = witness(call, trees, values); };
  if (work < 8000) ask(); // at once where it takes less than a frame
  else waiting = setTimeout(() => { ask(); draw(); }, 120);
  draw();
}

const size = (name) => call.shape(name).reduce((m, n) => m * n);

function draw() {
  const greatest = {};
  for (const name in cells) {
    if (name === "mask") continue;
    greatest[name] = Math.max(...values[name].flat().map(Math.abs));
  }
  if (shown.call === "attention") { // numbers of one kind share one scale
    const top = Math.max(...["Q", "K", "V", "S", "O"].map((name) => greatest[name]));
    for (const name of ["Q", "K", "V", "S", "O"]) greatest[name] = top;
  }
  if ("P" in greatest) greatest.P = 1;
  for (const name in cells) {
    if (name === "mask") cells.mask.forEach((row, i) => row.forEach((cell, j) => drawMask(cell, i, j)));
    else cells[name].forEach((row, i) => row.forEach((cell, j) =>
      drawCell(cell, name, i, j, greatest[name])));
  }
  if (knob) {
    const [[value]] = state.given[knob], root = $("knob");
    if (document.activeElement !== root.querySelector("input") || !dragging) {
      root.querySelector("input").value = value;
    }
    root.querySelector("output").textContent = long(value);
  }
  drawVerdict();
  drawLines();
  drawPointed();
}

function drawMask(cell, i, j) {
  cell.firstChild.textContent = state.mask[i][j] ? "●" : "";
  cell.setAttribute("aria-checked", state.mask[i][j]);
  cell.setAttribute("aria-label", `${place(["mask", i, j])}: ${
    word(state.mask[i][j] ? "may" : "may not")}`);
  cell.parentElement.classList.toggle("dead", isDead(i));
}

function drawCell(cell, name, i, j, greatest) {
  const value = values[name][i][j], masked = (name === "S" || name === "P" || name === "dS")
    && state.mask && !state.mask[i][j];
  const text = short(value);
  if (cell.firstChild.tagName === "SPAN") cell.firstChild.textContent = text;
  cell.classList.toggle("tight", text.length > 5);
  cell.style.setProperty("--t", greatest ? Math.abs(value) / greatest : 0);
  const wrong = isWrong(name, i, j);
  cell.classList.toggle("minus", value < 0);
  cell.classList.toggle("masked", Boolean(masked));
  cell.classList.toggle("wrong", wrong);
  cell.title = wrong ? word("differs", long(value - expected[name][i][j])) : "";
}

/** Whether an entry of a gradient is not what the complex step gives; rounding is forgiven. */
function isWrong(name, i, j) {
  if (!expected?.[name]) return false;
  const right = expected[name][i][j];
  return !(Math.abs(values[name][i][j] - right) <= 1e-9 * Math.max(1e-3, greatestOf(expected[name])));
}

const greatestOf = (rows) => Math.max(...rows.flat().map(Math.abs));

function drawVerdict() {
  const verdict = $("verdict");
  verdict.replaceChildren();
  verdict.className = expected ? "" : "wait";
  if (!expected) return verdict.append(word("computing"));
  const all = Object.keys(expected), wrong = [];
  let worst = 0, count = 0;
  for (const name of all) {
    expected[name].forEach((row, i) => row.forEach((right, j) => {
      const difference = Math.abs(values[name][i][j] - right);
      worst = Math.max(worst, difference);
      count++;
      if (isWrong(name, i, j)) wrong.push({ name, i, j, right, difference });
    }));
  }
  const list = (names) => names.join(", ");
  if (wrong.length) {
    const { name, i, j, right } = wrong.reduce((a, b) => b.difference > a.difference ? b : a);
    verdict.className = "bad";
    verdict.append(word("wrong", wrong.length, count, list(all.filter((name) =>
      wrong.some((entry) => entry.name === name))), `${name}[${i}, ${j}]`,
      long(values[name][i][j]), long(right)));
  } else {
    verdict.append(word("right", count, list(all), worst ? short(worst, 2) : word("exact") + " 0"));
  }
  if (state.off.size) {
    const back = element("button", { type: "button", text: word("put back") });
    back.addEventListener("click", () => { state.off.clear(); rebuild(); });
    verdict.append(back);
  }
}
