// Where things lie and what colours they have, in the light and in the dark.

const BARS = 96, GAP = 8, LABEL = 12, MARGIN = 28, LINE = 15, AXIS = 18; // pixels
const NUMBER = 46, CELL = [3, 56]; // pixels that a number beside the bars takes; that a cell may
let colours, palette, place; // set by readColours and measure

function readColours() {
  const style = getComputedStyle(document.documentElement);
  colours = (variable) => style.getPropertyValue(variable).trim();
  const ramp = new OffscreenCanvas(256, 1).getContext("2d");
  const gradient = ramp.createLinearGradient(0.5, 0, 255.5, 0);
  const stops = colours("--scale").split(",");
  stops.forEach((stop, i) => gradient.addColorStop(i / (stops.length - 1), stop.trim()));
  ramp.fillStyle = gradient;
  ramp.fillRect(0, 0, 256, 1);
  palette = new Uint32Array(ramp.getImageData(0, 0, 256, 1).data.buffer);
}

function measure() {
  const ctx = context($("cells"));
  const widest = (texts) => Math.ceil(Math.max(...texts.map((t) => ctx.measureText(t).width)));
  $("heatmap").style.maxWidth = "none";
  const room = $("stage").clientWidth, fits = (texts, most) => texts.map((t) => clip(ctx, t, most));
  const queries = fits(labels(data.queries, Tq), Math.max(60, room * 0.22));
  const keys = fits(labels(data.keys, Tk), Math.max(60, innerHeight * 0.15));
  const left = Math.max(NUMBER, widest(queries)) + LABEL + AXIS + 4, keyWidth = widest(keys);
  const top = BARS + GAP, ratio = devicePixelRatio, wide = room - left - MARGIN;
  const above = $("stage").getBoundingClientRect().top + scrollY;
  const tall = innerHeight - above - top - keyWidth - AXIS - 40;
  const fit = (room, count) => Math.min(CELL[1], Math.max(CELL[0], room / count));
  let w = fit(wide, Tk), h = fit(tall, Tq);
  [w, h] = [Math.min(w, Math.max(h, 16)), Math.min(h, Math.max(w, 16))]
    .map((size) => Math.floor(size * ratio) / ratio);
  const upright = keyWidth + 8 > w && Boolean(data.keys);
  const below = (upright ? keyWidth : LINE) + 14;
  place = { left, top, w, h, upright, queries, keys, keyWidth, below, ratio,
    width: left + w * Tk + MARGIN, height: top + h * Tq + below + AXIS };
  for (const id of ["cells", "marks"]) resize($(id), place.width, place.height);
  $("heatmap").style.maxWidth = `${Math.max(place.width, 320)}px`;
}

function clip(ctx, text, most) { // so that no label takes the room of the matrix
  if (ctx.measureText(text).width <= most) return text;
  const signs = [...text];
  while (signs.length && ctx.measureText(`${signs.join("")}…`).width > most) signs.pop();
  return `${signs.join("")}…`;
}

function resize(canvas, width, height) {
  canvas.width = Math.round(width * devicePixelRatio);
  canvas.height = Math.round(height * devicePixelRatio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

function context(canvas) {
  const ctx = canvas.getContext("2d");
  ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  ctx.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  ctx.imageSmoothingEnabled = false;
  return ctx;
}

const shade = (value) => palette[
  Math.round(Math.min(255, Math.max(0, (value - data.low) * 255 / (data.high - data.low))))];

function picture(layer, head) {
  const image = new ImageData(Tk, Tq), pixels = new Uint32Array(image.data.buffer);
  const { values } = view(layer, head), { low } = data, scale = 255 / (data.high - low);
  for (let c = 0; c < pixels.length; c++) {
    pixels[c] = palette[Math.round(Math.min(255, Math.max(0, (values[c] - low) * scale)))];
  }
  const canvas = new OffscreenCanvas(Tk, Tq);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
