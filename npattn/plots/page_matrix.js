// Canvas `cells`: the row of the chosen query as bars, below it the matrix with its labels.

function draw() {
  const ctx = context($("cells")), { left, top, w, h } = place;
  ctx.clearRect(0, 0, place.width, place.height);
  ctx.drawImage(picture(now.layer, now.head), left, top, w * Tk, h * Tq);
  if (Math.min(w, h) >= 12) drawLines(ctx);
  if (mask) drawMask(ctx);
  if (Math.min(w, h) >= 36) drawNumbers(ctx);
  ctx.strokeStyle = colours("--line");
  ctx.strokeRect(left, top, w * Tk, h * Tq);
  drawLabels(ctx);
  drawBars(ctx);
  drawMarks();
}

function drawLines(ctx) {
  const { left, top, w, h } = place;
  ctx.fillStyle = colours("--page");
  for (let j = 1; j < Tk; j++) ctx.fillRect(left + j * w - 0.5, top, 1, h * Tq);
  for (let i = 1; i < Tq; i++) ctx.fillRect(left, top + i * h - 0.5, w * Tk, 1);
}

function hatching(ctx) {
  const size = 6 * place.ratio, tile = new OffscreenCanvas(size, size), pen = tile.getContext("2d");
  pen.strokeStyle = colours("--hatch");
  pen.lineWidth = place.ratio * 0.9;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 1, size + 1);
    pen.lineTo(shift + size + 1, -1);
  }
  pen.stroke();
  const pattern = ctx.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / place.ratio));
  return pattern;
}

function drawMask(ctx) {
  const { left, top, w, h } = place, hatch = hatching(ctx);
  for (let i = 0; i < Tq; i++) {
    for (let j = 0, end; j < Tk; j = end) {
      const blank = !keep(i, j) && values[at(i, j)] === 0;
      for (end = j + 1; end < Tk && keep(i, end) === keep(i, j)
        && (values[at(i, end)] === 0) === (values[at(i, j)] === 0); end++);
      if (keep(i, j)) continue;
      if (blank) { // a weight where none should be stays in sight
        ctx.fillStyle = colours("--page");
        ctx.fillRect(left + j * w, top + i * h, (end - j) * w, h);
      }
      ctx.fillStyle = hatch;
      ctx.fillRect(left + j * w, top + i * h, (end - j) * w, h);
    }
  }
  drawDead(ctx);
}

function drawDead(ctx) {
  const { left, top, w, h } = place;
  let free = 0;
  $("dead-key").hidden = true;
  ctx.fillStyle = colours("--dead");
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  for (let i = 0; i < Tq; i++) {
    if (!isDead(i)) continue;
    $("dead-key").hidden = false;
    ctx.fillRect(left + w * Tk, top + i * h, 3, h);
    if (i * h < free) continue;
    ctx.fillText("∅", left + w * Tk + 8, top + (i + 0.5) * h);
    free = i * h + LINE;
  }
}

// The ink with the greater contrast, by the luminance of WCAG: never less than 4.5 : 1.
const linear = (byte) =>
  byte <= 10 ? byte / 3294.6 : ((byte / 255 + 0.055) / 1.055) ** 2.4;
const luminance = (abgr) => 0.2126 * linear(abgr & 255) + 0.7152 * linear(abgr >> 8 & 255)
  + 0.0722 * linear(abgr >> 16 & 255);
const inkOn = (abgr) => luminance(abgr) < 0.179 ? "#ffffff" : "#000000";

function drawNumbers(ctx) {
  const { left, top, w, h } = place;
  const greatest = Math.max(data.high, -data.low), fixed = greatest >= 0.1 && greatest < 100;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (let i = 0; i < Tq; i++) {
    for (let j = 0; j < Tk; j++) {
      const value = values[at(i, j)];
      if (!keep(i, j)) continue;
      ctx.fillStyle = inkOn(shade(value));
      const text = fixed ? value.toFixed(2).replace("-", "−") : number(value, 2);
      ctx.fillText(text, left + (j + 0.5) * w, top + (i + 0.5) * h, w - 4);
    }
  }
}

function drawLabels(ctx) {
  const { left, top, w, h, upright, queries, keys, keyWidth } = place;
  const thin = (room) => {
    for (let step = 1; ; step *= 10) {
      for (const m of [1, 2, 5]) if (step * m * room >= LINE || step * m > 1e6) return step * m;
    }
  };
  ctx.fillStyle = colours("--ink");
  ctx.textBaseline = "middle";
  ctx.textAlign = "right";
  for (let i = 0, step = thin(h); i < Tq; i += step) {
    ctx.fillText(queries[i], left - LABEL, top + (i + 0.5) * h);
  }
  ctx.textAlign = upright ? "right" : "center";
  const room = upright ? w : w * LINE / (keyWidth + 8);
  for (let j = 0, step = thin(room); j < Tk; j += step) {
    ctx.save();
    ctx.translate(left + (j + 0.5) * w, top + h * Tq + (upright ? 8 : 14));
    if (upright) ctx.rotate(-Math.PI / 2);
    ctx.fillText(keys[j], 0, 0);
    ctx.restore();
  }
  drawAxisNames(ctx);
}

function drawAxisNames(ctx) {
  const { left, top, w, h, below } = place;
  ctx.fillStyle = colours("--quiet");
  ctx.textAlign = "center";
  ctx.fillText(data.xlabel, left + w * Tk / 2, top + h * Tq + below + AXIS / 2 - 4);
  ctx.save();
  ctx.translate(AXIS / 2, top + h * Tq / 2);
  ctx.rotate(-Math.PI / 2);
  ctx.fillText(data.ylabel, 0, 0);
  ctx.restore();
}

function drawBars(ctx) {
  const { left, w } = place, bars = row(now.query);
  const high = Math.max(0, ...bars), low = Math.min(0, ...bars);
  const scale = (BARS - 18) / (high - low || 1), zero = 18 + high * scale;
  const gap = w > 4 ? Math.min(6, w / 5) : 0;
  ctx.fillStyle = colours("--bar");
  bars.forEach((value, j) => {
    const y = zero - Math.max(value, 0) * scale;
    ctx.fillRect(left + j * w + gap / 2, y, w - gap, Math.abs(value) * scale);
  });
  ctx.fillStyle = colours("--line");
  ctx.fillRect(left, zero, w * Tk, 1);
  ctx.fillStyle = colours("--quiet");
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  if (zero - 18 > LINE) ctx.fillText(number(high, 2), left - LABEL, 18);
  if (BARS - zero > LINE) ctx.fillText(number(low, 2), left - LABEL, BARS);
  ctx.fillText("0", left - LABEL, zero - 4);
}
