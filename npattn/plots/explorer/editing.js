// Pointer, touch and keyboard: pointing at cells, and changing numbers and the mask.

const LARGEST = 1e6, PIXEL = 0.01, NUDGE = 0.1; // of a number; a pixel of dragging; a key
let dragging = null; // { cell, x, value, moved } while a number follows the pointer

function cellAt(target) {
  const td = target.closest?.("[data-cell]");
  if (!td) return null;
  const [name, i, j] = td.dataset.cell.split(" ");
  return [name, Number(i), Number(j)];
}

const same = (a, b) => a === b || String(a) === String(b);

function point(cell) {
  if (same(state.hovered, cell)) return;
  state.hovered = cell;
  drawLines();
  drawPointed();
}

function settle(cell) { // it stays when the pointer leaves
  state.fixed = cell;
  state.hovered = null;
  if (cell) {
    const table = cells[cell[0]];
    for (const td of table.flat()) td.tabIndex = -1;
    table[cell[1]][cell[2]].tabIndex = 0;
    $("spoken").textContent = spoken(cell);
  }
  drawLines();
  drawPointed();
}

/** Give an entry a value: everything follows. */
function change([name, i, j], value) {
  state.given[name][i][j] = Math.max(-LARGEST, Math.min(LARGEST, value));
  refresh();
}

function toggle(i, j) {
  state.mask[i][j] = !state.mask[i][j];
  rebuild();
  $("spoken").textContent = spoken(["mask", i, j]);
}

const rounded = (x) => Number(x.toFixed(10)); // 0.1 + 0.2 is 0.3 to who types

// ---------------------------------------------------------------- pointer and touch

function listenToPointer(flow) {
  flow.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "touch" && !dragging) point(cellAt(event.target));
  });
  flow.addEventListener("pointerleave", () => { if (!dragging) point(null); });
  flow.addEventListener("pointerdown", (event) => {
    const cell = cellAt(event.target);
    if (!cell || event.button || event.target.tagName === "INPUT") return;
    if (!isInput(cell[0])) return;
    const value = state.given[cell[0]][cell[1]][cell[2]];
    dragging = { cell, x: event.clientX, value, moved: false };
    event.target.closest("td").setPointerCapture(event.pointerId);
  });
  flow.addEventListener("pointermove", (event) => {
    if (!dragging) return;
    const way = event.clientX - dragging.x;
    if (!dragging.moved && Math.abs(way) < 4) return;
    dragging.moved = true;
    state.fixed = dragging.cell;
    change(dragging.cell, rounded(dragging.value + way * PIXEL));
  });
  flow.addEventListener("pointercancel", () => { dragging = null; });
  flow.addEventListener("click", (event) => {
    const cell = cellAt(event.target), moved = dragging?.moved, before = state.fixed;
    dragging = null;
    if (!cell || event.target.tagName === "INPUT") return;
    cells[cell[0]][cell[1]][cell[2]].focus({ preventScroll: true });
    settle(cell);
    if (moved) return;
    if (cell[0] === "mask") toggle(cell[1], cell[2]);
    else if (isInput(cell[0]) && same(before, cell)) edit(cell);
  });
  document.addEventListener("pointerup", () => setTimeout(() => { dragging = null; }));
  flow.addEventListener("focusin", (event) => {
    const cell = cellAt(event.target);
    if (cell && event.target.matches("td:focus-visible") && !same(state.fixed, cell)) settle(cell);
  });
  $("close").addEventListener("click", () => settle(null));
}

// ---------------------------------------------------------------- keyboard

function listenToKeys(flow) {
  flow.addEventListener("keydown", (event) => {
    const cell = cellAt(event.target);
    if (!cell || event.target.tagName === "INPUT" || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    const [name, i, j] = cell, { key, shiftKey } = event, input = isInput(name);
    const [rows, columns] = call.shape(name);
    const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
      Home: [0, -j], End: [0, columns - 1 - j] };
    if (input && shiftKey && (key === "ArrowUp" || key === "ArrowDown")) {
      change(cell, rounded(state.given[name][i][j] + (key === "ArrowUp" ? NUDGE : -NUDGE)));
      $("spoken").textContent = spoken(cell);
    } else if (key in ways) {
      const r = Math.max(0, Math.min(rows - 1, i + ways[key][0]));
      const c = Math.max(0, Math.min(columns - 1, j + ways[key][1]));
      settle([name, r, c]);
      cells[name][r][c].focus();
    } else if (name === "mask" && (key === " " || key === "Enter")) toggle(i, j);
    else if (input && /^[-−+.,\d]$/.test(key)) edit(cell, key);
    else if (input && (key === "Enter" || key === "F2")) edit(cell);
    else if (key === "Escape") settle(null);
    else return;
    event.preventDefault();
  });
}

/** An input in the place of the number, with its value or the key that was pressed first. */
function edit(cell, typed) {
  const [name, i, j] = cell, td = cells[name][i][j], shownNumber = td.firstChild;
  const input = element("input", { inputmode: "decimal", "aria-label": `${name}, ${place(cell)}` });
  input.value = typed ?? String(state.given[name][i][j]);
  const finish = (keep) => {
    if (!input.isConnected || finish.done) return;
    finish.done = true;
    const text = input.value.trim().replace("−", "-").replace(",", ".");
    const value = Number(text), right = text !== "" && Math.abs(value) <= LARGEST;
    input.replaceWith(shownNumber);
    if (keep && right) change(cell, value);
    else draw();
    $("spoken").textContent = keep && !right ? word("not a number", LARGEST) : spoken(cell);
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    finish(event.key === "Enter");
    td.focus();
  });
  input.addEventListener("blur", () => finish(true));
  shownNumber.replaceWith(input);
  input.focus();
  if (typed === undefined) input.select();
}

// ---------------------------------------------------------------- the slider, and the start

function makeKnob() {
  if (!knob) return;
  const slider = $("knob").querySelector("input"), start = shown.given[knob][0][0];
  $("knob").hidden = false;
  $("knob").querySelector("i").textContent = knob;
  slider.min = Math.min(0, 2 * start);
  slider.max = Math.max(2, 2 * start);
  slider.addEventListener("input", () => change([knob, 0, 0], Number(slider.value)));
}

function reset() {
  state.given = structuredClone(shown.given);
  state.mask = structuredClone(shown.mask);
  state.off.clear();
  state.step = null;
  rebuild();
}

document.title = $("title").textContent = shown.title;
makeFlow();
makeLines();
makeKnob();
fit();
addEventListener("resize", fit);
listenToPointer($("flow"));
listenToKeys($("flow"));
$("reset").addEventListener("click", reset);
rebuild();
