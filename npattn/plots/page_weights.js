"use strict";
// The weights, the masks and the tokens that came with the page, what is chosen of them, and the
// words for it. The scripts after this one draw it and listen; together they are one script.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const [layers, heads, Tq, Tk] = data.shape;
const weights = new Float32Array(bytes(data.weights).buffer);
const allowed = data.mask && bytes(data.mask); // one bit per weight, the lowest first
const LONGEST = 24; // characters

// layer === layers, or head === heads: the mean over all of them.
// cell: [query, key] under the pointer
const now = { layer: 0, head: 0, query: 0, cell: null };

function bytes(base64) {
  const text = atob(base64), array = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
  return array;
}

const views = new Map();
function view(layer, head) { // { values, keep }: a head's weights, or a mean; keep null: all may
  const name = `${layer} ${head}`;
  if (!views.has(name)) views.set(name, mean(chosen(layer, layers), chosen(head, heads)));
  return views.get(name);
}

const chosen = (n, count) => n < count ? [n] : Array.from({ length: count }, (_, m) => m);

function mean(ofLayers, ofHeads) {
  const size = Tq * Tk, count = ofLayers.length * ofHeads.length;
  const starts = ofLayers.flatMap((l) => ofHeads.map((h) => (l * heads + h) * size));
  const keep = allowed && new Uint8Array(size);
  let values = weights.subarray(starts[0], starts[0] + size);
  if (count > 1) {
    const sums = new Float64Array(size);
    for (const start of starts) for (let c = 0; c < size; c++) sums[c] += weights[start + c];
    values = new Float32Array(sums.map((sum) => sum / count));
  }
  if (keep) { // a mean may be attended to where one of its heads may
    for (const start of starts) {
      for (let c = 0; c < size; c++) keep[c] |= allowed[start + c >> 3] >> (start + c & 7) & 1;
    }
  }
  return { values, keep };
}

let values, mask; // of what is chosen, set by choose
const at = (i, j) => i * Tk + j;
const keep = (i, j) => !mask || mask[at(i, j)] === 1;
const row = (i) => values.subarray(at(i, 0), at(i, 0) + Tk);
const isDead = (i) => mask && !mask.subarray(at(i, 0), at(i, 0) + Tk).includes(1);
const number = (x, digits = 4) => String(Number(x.toPrecision(digits))).replace("-", "−");
const inside = (x, count) => Math.min(count - 1, Math.max(0, x));

const visible = (text) => text.replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu,
  (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
const short = (text) =>
  text.length > LONGEST ? [...text].slice(0, LONGEST - 1).join("") + "…" : text;
const labels = (tokens, count) => Array.from({ length: count },
  (_, i) => tokens ? short(visible(tokens[i])) : String(i));
const query = (i) => data.queries ? `“${visible(data.queries[i])}” (${i})` : `query ${i}`;
const key = (j) => data.keys ? `“${visible(data.keys[j])}” (${j})` : `key ${j}`;
const layerName = (n) => n < layers ? visible(data.layers[n]) : "mean of all layers";
const headName = (n) => n < heads ? visible(data.heads[n]) : "mean of all heads";
const panelName = (layer, head) => [layers > 1 && layerName(layer), heads > 1 && headName(head)]
  .filter(Boolean).join(", ");

function describe(i, j) {
  const state = isDead(i) ? "may attend to nothing" : keep(i, j) ? "" : "may not attend to it";
  return [`${query(i)} → ${key(j)}`, number(values[at(i, j)]), state];
}
