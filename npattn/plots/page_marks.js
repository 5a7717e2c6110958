// Canvas `marks`, above `cells`, with what follows the pointer or the arrow keys, so that moving
// redraws next to nothing.

function drawMarks() {
  const ctx = context($("marks")), { left, top, w, h } = place;
  ctx.clearRect(0, 0, place.width, place.height);
  const frame = (x, y, width, height, line) => {
    for (const [colour, size] of [["--halo", line + 2], ["--ink", line]]) {
      ctx.strokeStyle = colours(colour);
      ctx.lineWidth = size;
      ctx.strokeRect(x, y, width, height);
    }
  };
  frame(left, top + now.query * h, w * Tk, h, 1);
  ctx.fillStyle = colours("--ink");
  ctx.beginPath();
  const middle = top + (now.query + 0.5) * h;
  ctx.moveTo(left - 8, middle - 4);
  ctx.lineTo(left - 2, middle);
  ctx.lineTo(left - 8, middle + 4);
  ctx.fill();
  if (now.cell) {
    const [i, j] = now.cell;
    ctx.globalAlpha = 0.5;
    frame(left, top + i * h, w * Tk, h, 1);
    frame(left + j * w, 0, w, top + h * Tq, 1);
    ctx.globalAlpha = 1;
    frame(left + j * w, top + i * h, w, h, 2);
  }
  showTip();
}

function showTip() {
  const tip = $("tip"), { left, top, w, h } = place;
  tip.hidden = !now.cell;
  if (!now.cell) return;
  const [i, j] = now.cell;
  describe(i, j).forEach((text, part) => { tip.children[part].textContent = text; });
  const x = left + (j + 1) * w + 10, y = top + (i + 1) * h + 10;
  const { offsetWidth, offsetHeight } = tip, stage = $("stage");
  const overRight = x + offsetWidth > stage.scrollLeft + stage.clientWidth;
  const overBottom = y + offsetHeight > place.height;
  tip.style.left = `${Math.max(0, overRight ? left + j * w - 10 - offsetWidth : x)}px`;
  tip.style.top = `${Math.max(0, overBottom ? top + i * h - 10 - offsetHeight : y)}px`;
}
