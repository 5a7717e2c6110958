"use strict";
// The weights, the masks and the tokens that came with the page, what is chosen of them, and the
// words for it. The scripts after this one draw it and listen; together they are one script.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const [layers, heads, Tq, Tk] = data.shape;
const weights = new Float32Array(bytes(data.weights).buffer);
const allowed = data.mask && bytes(data.mask); // one bit per weight, the lowest first
const LONGEST = 24; // characters

const now = { layer: 0, head: 0, query: 0, cell: null }; // cell: [query, key] under the pointer

function bytes(base64) {
  const text = atob(base64), array = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) array[i] = text.charCodeAt(i);
  return array;
}

const start = (layer, head) => (layer * heads + head) * Tq * Tk;
const at = (i, j) => start(now.layer, now.head) + i * Tk + j;
const keep = (i, j) => !allowed || (allowed[at(i, j) >> 3] >> (at(i, j) & 7)) & 1;
const row = (i) => weights.subarray(at(i, 0), at(i, 0) + Tk);
const isDead = (i) => allowed && !row(i).some((_, j) => keep(i, j));
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

function describe(i, j) {
  const state = isDead(i) ? "may attend to nothing" : keep(i, j) ? "" : "may not attend to it";
  return [`${query(i)} → ${key(j)}`, number(weights[at(i, j)]), state];
}
