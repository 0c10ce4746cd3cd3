"use strict";
// Any error is written where a person, or a test, can see it.
addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes, in a parent. */
function add(parent, name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  parent.append(element);
  return element;
}

const colour = (run) => `var(--run-${run % 6})`;
const finite = (x) => x !== null && x !== undefined && Number.isFinite(x);

/** A number as short as it can be read: 1.2k, 300k, 4M, 0.013. */
function brief(x) {
  if (!finite(x)) return "–";
  const size = Math.abs(x);
  if (size >= 1e9) return trim(x / 1e9) + "G";
  if (size >= 1e6) return trim(x / 1e6) + "M";
  if (size >= 1e4) return trim(x / 1e3) + "k";
  if (size > 0 && size < 1e-3) return x.toExponential(0).replace("e-", "e−");
  return trim(x);
}
const trim = (x) => String(Number(x.toPrecision(3))).replace("-", "−");

/** A number in a tooltip, with four digits. */
const exact = (x) => !finite(x) ? "–"
  : Math.abs(x) >= 1000 ? Math.round(x).toLocaleString("en") : String(Number(x.toPrecision(4))).replace("-", "−");

/** Round numbers from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

/** Powers of ten, or 1, 2 and 5 of each where there are few. */
function logTicks(low, high) {
  const decades = Math.log10(high / low), found = [];
  const every = Math.max(1, Math.ceil(decades / 5));
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p += every) {
    for (const m of decades < 1.5 ? [1, 2, 5] : [1]) {
      const tick = m * 10 ** p;
      if (tick >= low * 0.999 && tick <= high * 1.001) found.push(tick);
    }
  }
  return found;
}

/** From values to pixels, linear or logarithmic; values that a logarithm has not lie on the edge. */
function scale(low, high, from, to, log) {
  if (log) {
    const a = Math.log(low), b = Math.log(high);
    return (x) => from + (to - from) * (Math.log(Math.max(x, low)) - a) / (b - a);
  }
  return (x) => from + (to - from) * (x - low) / (high - low || 1);
}

/** The least and most of some values, a little wider unless they should touch the edge. */
function extent(values, log, margin = 0.05) {
  let kept = values.filter((x) => finite(x) && (!log || x > 0));
  if (!kept.length) return [0, 1];
  let low = Infinity, high = -Infinity;
  for (const x of kept) { low = Math.min(low, x); high = Math.max(high, x); }
  if (low === high) { const pad = Math.abs(low) * 0.1 || 0.5; return log ? [low / 2, high * 2] : [low - pad, high + pad]; }
  if (log) { const pad = (high / low) ** margin; return [low / pad, high * pad]; }
  const pad = (high - low) * margin;
  return [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
}

/** A range at least so wide around its middle; what is never below 0 stays above it. */
function atLeast([low, high], span) {
  if (high - low >= span) return [low, high];
  const from = (low + high - span) / 2;
  return low >= 0 && from < 0 ? [0, span] : [from, from + span];
}

/** Text in lines of so many letters, broken between words. */
function wrapped(text, letters) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + 1 + word.length > letters) lines.push(word);
    else lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim();
  }
  return lines;
}

/** Text that is wider than a box, cut short. */
const short = (text, letters) => text.length > letters ? text.slice(0, Math.max(1, letters - 1)) + "…" : text;
const LETTER = 6.3; // pixels of one, on average
const STRONG = 6.7; // of one in bold
