// What can be chosen, by pointer or by keyboard. Text enters the page as text, never as markup.

function showRow() {
  const values = row(now.query), total = values.reduce((sum, value) => sum + value, 0);
  const order = [...values.keys()].filter((j) => keep(now.query, j))
    .sort((a, b) => values[b] - values[a]).slice(0, 8);
  $("caption").textContent = `Row of ${query(now.query)}: ` +
    (isDead(now.query) ? "may attend to nothing" : `sum ${number(total)}`);
  $("strongest").replaceChildren(...order.map((j) => {
    const item = document.createElement("li"), bar = document.createElement("i");
    for (const text of [key(j), number(values[j])]) {
      item.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    bar.style.width = `${100 * Math.max(0, values[j]) / (Math.max(...values) || 1)}%`;
    item.append(bar);
    return item;
  }));
}

function choose(change) {
  Object.assign(now, change);
  $("layer").value = now.layer;
  $("head").value = now.head;
  showRow();
  draw();
  frameOverview();
}

function speakCell() {
  $("spoken").textContent = describe(...now.cell).filter(Boolean).join(", ");
}

function hit(event) {
  const i = Math.floor((event.offsetY - place.top) / place.h);
  const j = Math.floor((event.offsetX - place.left) / place.w);
  return { i, j, inRows: i >= 0 && i < Tq, inColumns: j >= 0 && j < Tk };
}

$("marks").addEventListener("pointermove", (event) => {
  const { i, j, inRows, inColumns } = hit(event);
  now.cell = inRows && inColumns ? [i, j] : null;
  drawMarks();
});
$("marks").addEventListener("pointerleave", () => {
  if ($("marks").matches(":focus-visible")) return;
  now.cell = null;
  drawMarks();
});
$("marks").addEventListener("click", (event) => {
  const { i, inRows } = hit(event);
  if (inRows) choose({ query: i });
});
$("marks").addEventListener("focus", () => {
  if (!$("marks").matches(":focus-visible")) return;
  now.cell ??= [now.query, 0];
  drawMarks();
  speakCell();
});
$("marks").addEventListener("blur", () => {
  now.cell = null;
  drawMarks();
});
$("marks").addEventListener("keydown", (event) => {
  if (event.altKey || event.metaKey) return;
  const [i, j] = now.cell ?? [now.query, 0];
  const moves = { ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1],
    ArrowRight: [i, j + 1], Home: [event.ctrlKey ? 0 : i, 0], End: [event.ctrlKey ? Tq : i, Tk] };
  const turn = { PageUp: -1, PageDown: 1 }[event.key];
  if (moves[event.key]) {
    const [to, along] = moves[event.key];
    now.cell = [inside(to, Tq), inside(along, Tk)];
    drawMarks();
    speakCell();
  } else if (event.key === "Enter" || event.key === " ") {
    choose({ query: i });
    $("spoken").textContent = $("caption").textContent;
  } else if (turn) {
    const panel = inside(now.layer * heads + now.head + turn, layers * heads);
    choose({ layer: Math.floor(panel / heads), head: panel % heads });
    $("spoken").textContent = `layer ${now.layer + 1}, head ${now.head + 1}`;
  } else {
    return;
  }
  event.preventDefault();
  $("tip").scrollIntoView({ block: "nearest", inline: "nearest" });
});

$("overview").addEventListener("click", (event) => {
  const panel = (offset, count) => inside(Math.floor(offset / small()), count);
  choose({ layer: panel(event.offsetY, layers), head: panel(event.offsetX, heads) });
});

for (const [id, count] of [["layer", layers], ["head", heads]]) {
  $(id).replaceChildren(...Array.from({ length: count }, (_, n) => new Option(`${n + 1}`, n)));
  $(id).addEventListener("change", (event) => choose({ [id]: Number(event.target.value) }));
  $(`${id}-choice`).hidden = count === 1;
}
document.title = $("title").textContent = data.title ?? "Attention";
$("size").textContent = [[layers, "layers"], [heads, "heads"], [Tq, "queries"], [Tk, "keys"]]
  .filter(([count], axis) => axis > 1 || count > 1).map((part) => part.join(" ")).join(" × ");
$("low").textContent = number(data.low);
$("high").textContent = number(data.high);
$("masked-key").hidden = $("dead-key").hidden = !allowed;
$("overview-section").hidden = $("more-help").hidden = layers * heads === 1;

function begin() {
  readColours();
  showRow();
  measure();
  draw();
  drawOverview();
}
addEventListener("resize", begin);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", begin);
begin();
