// What can be chosen, by pointer or by keyboard. Text enters the page as text, never as markup.

function showRow() {
  const shown = row(now.query), total = shown.reduce((sum, value) => sum + value, 0);
  const order = [...shown.keys()].filter((j) => keep(now.query, j))
    .sort((a, b) => shown[b] - shown[a]).slice(0, 8), greatest = Math.max(...shown) || 1;
  $("caption").textContent = `Row of ${query(now.query)}: ` +
    (isDead(now.query) ? "may attend to nothing" : `sum ${number(total)}`);
  $("strongest").replaceChildren(...order.map((j) => {
    const item = document.createElement("li"), bar = document.createElement("i");
    for (const text of [key(j), number(shown[j])]) {
      item.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    bar.style.width = `${100 * Math.max(0, shown[j]) / greatest}%`;
    item.append(bar);
    return item;
  }));
}

function look() { // at what is chosen
  ({ values, keep: mask } = view(now.layer, now.head));
}

function choose(change) {
  Object.assign(now, change);
  look();
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
  const down = (event.offsetY - place.top) / place.h;
  const i = event.offsetY < BARS ? now.query : Math.floor(down); // a bar is a cell of the query
  const j = Math.floor((event.offsetX - place.left) / place.w);
  const inRows = i >= 0 && i < Tq, inColumns = j >= 0 && j < Tk;
  return { i, inRows, cell: inRows && inColumns ? [i, j] : null };
}

$("marks").addEventListener("pointermove", (event) => {
  now.cell = hit(event).cell;
  drawMarks();
});
$("marks").addEventListener("pointerleave", () => {
  if ($("marks").matches(":focus-visible")) return;
  now.cell = null;
  drawMarks();
});
$("marks").addEventListener("click", (event) => {
  const { i, inRows, cell } = hit(event); // after a tap, which has no pointer that hovers
  if (inRows) choose({ query: i, cell });
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
    const panel = inside(inside(now.layer, layers) * heads + inside(now.head, heads) + turn,
      layers * heads);
    choose({ layer: Math.floor(panel / heads), head: panel % heads });
    $("spoken").textContent = panelName(now.layer, now.head);
  } else {
    return;
  }
  event.preventDefault();
  $("tip").scrollIntoView({ block: "nearest", inline: "nearest" });
});

for (const [id, count, name] of [["layer", layers, layerName], ["head", heads, headName]]) {
  $(id).replaceChildren(...Array.from({ length: count + 1 }, (_, n) =>
    new Option(n < count ? brief(name(n)) : "mean", n)));
  $(id).addEventListener("change", (event) => choose({ [id]: Number(event.target.value) }));
  $(`${id}-choice`).hidden = count === 1;
}
document.title = $("title").textContent = data.title ?? "Attention";
$("size").textContent = [[layers, "layers"], [heads, "heads"], [Tq, "queries"], [Tk, "keys"]]
  .filter(([count], axis) => axis > 1 || count > 1).map((part) => part.join(" ")).join(" × ");
$("word").textContent = data.word;
$("low").textContent = number(data.low);
$("high").textContent = number(data.high);
$("masked-key").hidden = $("dead-key").hidden = !allowed;
$("overview-section").hidden = $("more-help").hidden = layers * heads === 1;

function begin() {
  readColours();
  look();
  showRow();
  measure();
  draw();
  drawOverview();
}
addEventListener("resize", begin);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", begin);
begin();
