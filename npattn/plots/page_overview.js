// Canvas `overview`: all heads at once, and their means. Several layers of several heads are a table
// with a row for each layer; a single row of heads is wrapped, with the name below each panel.

const PANEL = [12, 64], NAME = 16; // pixels that a panel spans; that a line of names takes
let overview; // { sheet, panels, size }: the panels without the frame, and where they lie

const brief = (name) => name.replace(/^(layer|head|block|mean of all) (?=\S)/i, "");
const fitPanel = (room, count) =>
  Math.max(PANEL[0], Math.min(PANEL[1], Math.floor(room / count)));

function drawOverview() {
  if (layers * heads === 1) return;
  const room = $("overview-section").clientWidth, pen = context($("overview"));
  const plan = layers > 1 && heads > 1 ? tablePlan(pen, room) : linePlan(pen, room);
  const { panels, names, size } = plan;
  resize($("overview"), plan.width, plan.height);
  const sheet = new OffscreenCanvas($("overview").width, $("overview").height);
  const ctx = context(sheet);
  ctx.fillStyle = colours("--quiet");
  ctx.textBaseline = "middle";
  for (const { text, x, y, align, turned } of names) {
    ctx.save();
    ctx.translate(x, y);
    if (turned) ctx.rotate(-Math.PI / 2);
    ctx.textAlign = align;
    ctx.fillText(text, 0, 0);
    ctx.restore();
  }
  ctx.imageSmoothingEnabled = Math.max(Tq, Tk) > size;
  for (const { layer, head, x, y } of panels) {
    ctx.drawImage(picture(layer, head), x + 1, y + 1, size - 2, size - 2);
  }
  overview = { sheet, panels, size };
  frameOverview();
}

function tablePlan(ctx, room) {
  const texts = (count, name) => Array.from({ length: count + 1 },
    (_, n) => n < count ? clip(ctx, brief(name(n)), 64) : "mean");
  const rows = texts(layers, layerName), columns = texts(heads, headName);
  const wide = (names) => Math.ceil(Math.max(...names.map((t) => ctx.measureText(t).width)));
  const left = Math.max(wide(rows), wide(["layer"])) + 8, size = fitPanel(room - left, heads + 1);
  const widest = wide(columns.slice(0, -1)), turned = widest > size - 2;
  const top = NAME + (turned ? widest + 6 : NAME);
  const x = (head) => left + head * size + (head === heads ? 4 : 0);
  const y = (layer) => top + layer * size + (layer === layers ? 4 : 0);
  const names = [{ text: "layer", x: left - 6, y: top - NAME / 2, align: "right" },
    { text: "head", x: left, y: NAME / 2, align: "left" }];
  rows.forEach((text, l) => {
    if (size >= NAME - 3 || l % 2 === 0) {
      names.push({ text, x: left - 6, y: y(l) + size / 2, align: "right" });
    }
  });
  columns.slice(0, -1).forEach((text, h) => names.push({ text, x: x(h) + size / 2,
    y: turned ? top - 4 : top - NAME / 2, align: turned ? "left" : "center", turned }));
  names.push({ text: columns[heads], x: x(heads) + size, y: top - NAME / 2, align: "right" });
  const panels = rows.flatMap((_, layer) => columns.map((_, head) =>
    ({ layer, head, x: x(head), y: y(layer) })));
  return { panels, names, size, width: x(heads) + size, height: y(layers) + size };
}

function linePlan(ctx, room) {
  const count = Math.max(layers, heads), perLine = Math.min(count + 1, 4);
  const size = fitPanel(room, perLine), panels = [], names = [];
  for (let n = 0; n <= count; n++) {
    const [layer, head] = layers > 1 ? [n, 0] : [0, n];
    const x = n % perLine * size, y = Math.floor(n / perLine) * (size + NAME);
    const text = n < count ? (layers > 1 ? layerName : headName)(n) : "mean";
    panels.push({ layer, head, x, y });
    names.push({ text: clip(ctx, text, size - 2), x: x + size / 2, y: y + size + NAME / 2,
      align: "center" });
  }
  const lines = Math.ceil((count + 1) / perLine);
  return { panels, names, size, width: perLine * size, height: lines * (size + NAME) };
}

function frameOverview() {
  if (!overview) return;
  const { sheet, panels, size } = overview, ctx = context($("overview"));
  const { width, height } = $("overview");
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.drawImage(sheet, 0, 0);
  ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const { x, y } = panels.find(({ layer, head }) => layer === now.layer && head === now.head);
  ctx.strokeStyle = colours("--ink");
  ctx.lineWidth = 2;
  ctx.strokeRect(x + 1, y + 1, size - 2, size - 2);
}

function panelAt(event) {
  return overview.panels.find(({ x, y }) => event.offsetX >= x && event.offsetY >= y
    && event.offsetX < x + overview.size && event.offsetY < y + overview.size);
}

$("overview").addEventListener("pointermove", (event) => {
  const panel = panelAt(event);
  $("overview").title = panel ? panelName(panel.layer, panel.head) : "";
});
$("overview").addEventListener("click", (event) => {
  const panel = panelAt(event);
  if (panel) choose({ layer: panel.layer, head: panel.head });
});
