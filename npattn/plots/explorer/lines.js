// The call line by line: each formula, whose terms can be switched off, beside its source line.

const termsIn = call.lines.flatMap((line) => line.formula.filter((part) => part.term));

function makeLines() {
  const list = $("lines").querySelector("ol");
  let before; // the file of the line before: it is named where it changes
  call.lines.forEach((line, n) => {
    const formula = element("div", { className: "formula" }, ...line.formula.flatMap(makePart));
    const { file, lines } = shown.source[line.name];
    const indent = Math.min(...lines.map(([, text]) => text.search(/\S/)));
    const source = element("div", { className: "source" }, ...lines.flatMap(([number, text], m) => [
      element("i", { text: number }),
      element("code", { text: text.slice(indent) }),
    ]));
    const turn = { 0: "forward", [call.forward.length]: "backward" }[n];
    if (turn || file !== before) {
      list.append(element("li", { className: turn ? "file turn" : "file" },
        element("strong", { text: turn ? word(turn) : "" }), element("span", { text: file })));
    }
    before = file;
    const item = element("li", { "data-line": n }, formula, source);
    item.addEventListener("click", (event) => {
      if (!event.target.closest("button")) go(state.step === n ? null : n);
    });
    list.append(item);
  });
  $("dropout").hidden = shown.call !== "attention";
  $("back").addEventListener("click", () => go(state.step === null ? call.lines.length - 1
    : Math.max(0, state.step - 1)));
  $("next").addEventListener("click", () => go(state.step === null ? 0
    : Math.min(call.lines.length - 1, state.step + 1)));
  $("all").addEventListener("click", () => go(null));
}

function makePart(part) {
  if (typeof part === "string") return part;
  const { term, text, drop, needs } = part;
  const name = drop.trim() || text.trim();
  const button = element("button", { type: "button", className: "term", "data-term": term,
    "aria-pressed": "true" }, text, element("s", { text: drop }));
  const line = call.lines.find((line) => line.formula.includes(part));
  button.setAttribute("aria-label", word("term", `${text}${drop}`.trim(), line.name));
  button.title = button.getAttribute("aria-label");
  if (needs && call.sizes[needs[0]] !== call.sizes[needs[1]]) {
    button.disabled = true;
    button.title = word("needs", name, ...needs);
  }
  button.addEventListener("click", () => {
    if (!state.off.delete(term)) state.off.add(term);
    rebuild();
    $("spoken").textContent = $("verdict").firstChild.textContent;
  });
  return button;
}

/** Look at line `step`; what comes after it is not yet computed. null shows the whole call. */
function go(step) {
  state.step = step;
  state.hovered = null;
  draw();
  if (step === null) return;
  const line = call.lines[step];
  $("spoken").textContent = `${line.formula.map((part) => part.term ? part.text + part.drop : part)
    .join("")}. ${shown.source[line.name].lines.map(([, text]) => text.trim()).join(" ")}`;
}

function drawLines() {
  const { step } = state, cell = pointed();
  call.lines.forEach((line, n) => {
    const item = $("lines").querySelector(`[data-line="${n}"]`);
    const current = step === n || (step === null && cell?.[0] === line.name);
    if (current) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    item.classList.toggle("later", step !== null && n > step);
    const slot = cells[line.name][0][0].closest(".slot");
    slot.classList.toggle("now", step === n);
    for (const td of cells[line.name].flat()) {
      td.classList.toggle("later", step !== null && n > step);
    }
  });
  for (const button of document.querySelectorAll(".term")) {
    button.setAttribute("aria-pressed", !state.off.has(button.dataset.term));
  }
  $("all").disabled = step === null;
  $("back").disabled = step === 0;
  $("next").disabled = step === call.lines.length - 1;
}
