// The page: looks at .ddc files that are dropped on it, or at the one that it was made of.

import { ALPHA, COLOR } from "./core.js";
import { code, decode, info } from "./ddc.js";

const PIXELS_SHOWN = 16_000_000; // a canvas of more can hardly be shown
const PSNR_PEAK = 255;
const TIMES = "\u00d7";
const GAINS = [1, 4, 8, 16, 32];
const SIGNATURE = [0xdd, 0x44, 0x44, 0x43];
const TOP = 8; // bits at the top of the colour scale, unless many places have more
// Equidistant points of a scale that gets lighter all the way; it follows "inferno" of Smith, van der Walt and Firing.
const COLOURS = [
  [0, 0, 4], [33, 12, 74], [87, 16, 110], [138, 34, 106], [188, 55, 84], [228, 90, 49], [249, 142, 9], [249, 203, 53],
  [252, 255, 164],
];
const PRIMARIES = { 1: "BT.709", 9: "BT.2020", 12: "Display P3" };

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const $ = (selector) => document.querySelector(selector);
const given = JSON.parse($("#given").textContent || "null");
// Whoever makes a page of a file has allowed its size.
const limits = given ? { maxPixels: Infinity } : {};
const files = new Map(); // name -> {name, bytes, original}
let shown = null;

function made(tag, fields = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(fields))
    if (name === "style") node.style.cssText = value;
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const count = (number) => number.toLocaleString("en-US");
const size = (width, height) => `${width} ${TIMES} ${height}`;

// ---- files that come in ----

async function take(list) {
  const said = [];
  const originals = [];
  const taken = [];
  for (const file of list) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const isDdc = SIGNATURE.every((byte, k) => bytes[k] === byte);
    if (isDdc) {
      files.set(file.name, { name: file.name, bytes });
      taken.push(file.name);
    } else if (/\.ddc$/i.test(file.name)) said.push(`${file.name} is no .ddc file.`);
    else originals.push(file);
  }
  let next = taken.at(-1);
  for (const file of originals) {
    const name = partnerOf(file.name, taken);
    if (!name) said.push(`${file.name} is no .ddc file. Drop a .ddc file first, then the picture that it was made from.`);
    else if (await takeOriginal(file, files.get(name))) next = name;
    else said.push(`${file.name} is no picture that this browser can read.`);
  }
  if (next) said.unshift(...(await show(next)));
  else listFiles();
  say(said.join(" "));
}

// The file that an original belongs to: the one of its name, or else the last that came with it, or the one shown.
function partnerOf(name, taken) {
  const stem = name.replace(/\.[^.]*$/, "");
  const named = [...files.keys()].find((own) => own === `${stem}.ddc` || own === `${name}.ddc`);
  return named ?? taken.at(-1) ?? (files.has(shown?.name) ? shown.name : undefined);
}

async function takeOriginal(file, entry) {
  try {
    entry.original = { name: file.name, bitmap: await createImageBitmap(file, { colorSpaceConversion: "none" }) };
    return true;
  } catch {
    return false;
  }
}

function say(sentence) {
  $(".error").textContent = sentence;
  $(".error").hidden = !sentence;
}

// ---- a file is shown ----

// Returns sentences about what cannot be shown.
async function show(name) {
  const entry = files.get(name);
  const said = [];
  try {
    const facts = await info(entry.bytes);
    const finest = given?.finest ?? finestShown(facts);
    const start = performance.now();
    const image = await decode(entry.bytes, { scale: 2 ** finest, ...limits });
    const seconds = (performance.now() - start) / 1000;
    const coded = await code(entry.bytes, limits);
    await withAlpha(image);
    if (entry.original && !fits(entry.original.bitmap, facts, image)) {
      const { width, height } = entry.original.bitmap;
      said.push(`${entry.original.name} has ${size(width, height)} pixels: it cannot be held against ${name}.`);
      entry.original = null;
    }
    shown = { ...entry, facts, finest, image, seconds, coded };
    render();
  } catch (error) {
    said.push(`${name}: ${error.message}`);
    files.delete(name);
  }
  listFiles();
  return said;
}

function finestShown({ width, height, octaves }) {
  for (let octave = 0; octave < octaves; octave++)
    if (Math.ceil(width / 2 ** octave) * Math.ceil(height / 2 ** octave) <= PIXELS_SHOWN) return octave;
  return octaves - 1;
}

const fits = (bitmap, ...sizes) => sizes.some(({ width, height }) => bitmap.width === width && bitmap.height === height);

// The alpha plane that the page was made with, of 8 bits: not every browser unpacks the one in the file.
async function withAlpha(image) {
  if (!given?.alpha) return;
  const alpha = await inflated(fromBase64(given.alpha));
  alpha.forEach((value, k) => (image.data[4 * k + 3] = value));
  image.notes = image.notes.filter((note) => !note.includes("transparency"));
}

function listFiles() {
  const list = $(".files");
  list.hidden = files.size < (given ? 2 : 1);
  list.replaceChildren(
    ...[...files.keys()].map((name) =>
      made("button", { type: "button", "aria-pressed": name === shown?.name, onclick: async () => say((await show(name)).join(" ")) }, name),
    ),
    ...(given ? [] : [made("button", { type: "button", onclick: actions.open }, "Open files")]),
  );
  $(".drop").hidden = Boolean(given) || files.size > 0;
  $("main").hidden = !shown;
}

// ---- what is on the page ----

function render() {
  const { name, facts, image, original, finest } = shown;
  $("h1").textContent = document.title = name;
  const pixels = facts.width * facts.height;
  const lead = [
    `${size(facts.width, facts.height)} pixels`,
    `${count(facts.fileBytes)} bytes`,
    `${((8 * facts.fileBytes) / pixels).toFixed(3)} bits per pixel`,
  ];
  const layers = { decoded: canvasOf(image) };
  if (original) {
    const first = rawPixels(original.bitmap, image);
    layers.original = canvasOf(first);
    const apart = apartOf(image, first);
    layers.difference = canvasOf(apart.image);
    shown.gain = apart.gain;
    // Colours under alpha count for less; the commands measure that.
    lead.push(...(given?.measures ?? (facts.chunks[ALPHA] ? [] : [psnrText(apart.mean, facts.depth)])));
  }
  const bits = bitMaps();
  const top = topOf(bits);
  layers.bits = canvasOf(heat(spread(bits, finest, image), image, top));
  for (const [kind, canvas] of Object.entries(layers)) canvas.className = kind;
  $(".lead").replaceChildren(...lead.map((part) => made("li", {}, part)));
  $(".notes").replaceChildren(...notesOf().map((note) => made("p", {}, note)));
  $(".sheet").replaceChildren(...Object.values(layers));
  controls(Boolean(original));
  bytesOfParts();
  for (const legend of document.querySelectorAll(".legend")) fillLegend(legend, top);
  $(".octaves").replaceChildren(...[...bits].map(([octave, own]) => octaveCard(octave, own, top)));
  $(".facts").replaceChildren(...factsOf().map(([term, fact]) => made("div", {}, made("dt", {}, term), made("dd", {}, fact))));
  $("main").hidden = false;
  arrange();
}

function notesOf() {
  const { original, finest, image, facts } = shown;
  const notes = original ? [`Compared with ${original.name}.`] : [];
  if (finest)
    notes.push(
      `The picture is too large for a page. It is shown at 1/${2 ** finest}, ${size(image.width, image.height)}, ` +
        `without the octaves below ${finest}.` + (given?.measures ? " All measures are of the whole pictures." : ""),
    );
  if (given?.note) notes.push(`Note in the file: ${given.note}`);
  if (facts.fileBytes < shown.bytes.length) notes.push("There are bytes behind the end of the file; they are no part of it.");
  return [...notes, ...image.notes];
}

function factsOf() {
  const { facts, seconds } = shown;
  const kind = facts.planes === 3 ? "RGB" : "grey";
  const profile = facts.octaves > 1 && !facts.finerPlanes ? "classic" : "default";
  const base = facts.base ? `weights as differences from base ${facts.base}` : "weights without a base";
  const metadata = ["icc", "exif", "xmp"]
    .map((name) => [name, facts.parts.find((part) => part.name === name)])
    .filter(([, part]) => part)
    .map(([name, part]) => `${name.toUpperCase()} (${count(part.bytes)} bytes)`);
  return [
    ["Format", `version ${facts.version}, ${kind}, ${facts.depth ? 16 : 8} bits a sample`],
    ["Profile", given?.profile ?? `${profile}, ${base}`],
    ["Network", given?.network],
    ["Octaves", `${facts.octaves}, with code in ${facts.ends.map(({ octave }) => octave).join(", ")}`],
    ["Context model", `${facts.neighbours} neighbours, ${facts.contextChannels} channels in two layers`],
    ["Synthesis", `${facts.finestChannels} channels, top layer of ${facts.topChannels}, ${2 * facts.taps} taps`],
    ["Colours", given?.colours ?? coloursOf(facts)],
    ["Metadata", metadata.join(", ")],
    ["CRC-32 of the samples", facts.samplesCrc.toString(16).padStart(8, "0")],
    ["Decoded here in", `${seconds.toFixed(2)} s`],
  ].filter(([, fact]) => fact);
}

function coloursOf({ chunks }) {
  if (!chunks[COLOR]) return chunks[1] ? "" : "sRGB";
  if (chunks[COLOR].length < 2) return "";
  const [primaries, transfer] = chunks[COLOR];
  if (transfer === 13) return primaries === 1 ? "sRGB" : PRIMARIES[primaries];
  return `described in the file: primaries ${PRIMARIES[primaries] ?? primaries}, transfer ${transfer}`;
}

// ---- pictures ----

function canvasOf(image) {
  const canvas = made("canvas", { width: image.width, height: image.height });
  canvas.getContext("2d", { colorSpace: image.colorSpace }).putImageData(image, 0, 0);
  return canvas;
}

// The samples of an original, taken for those of the file's own colours, so that equal ones look alike.
function rawPixels(bitmap, { width, height, colorSpace }) {
  const canvas = made("canvas", { width, height });
  const context = canvas.getContext("2d", { colorSpace: "srgb", willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  return new ImageData(context.getImageData(0, 0, width, height).data, width, height, { colorSpace });
}

// The absolute differences, the mean of their squares, and a factor at which one in a hundred is brighter than the middle.
function apartOf(one, other) {
  const image = new ImageData(one.width, one.height);
  const histogram = new Float64Array(256);
  let sum = 0;
  for (let k = 0; k < image.data.length; k++) {
    const apart = k % 4 === 3 ? 255 : Math.abs(one.data[k] - other.data[k]);
    image.data[k] = apart;
    if (k % 4 === 3) continue;
    sum += apart * apart;
    histogram[apart]++;
  }
  const samples = 0.75 * image.data.length;
  let bright = 255;
  for (let rest = 0.01 * samples; bright > 0 && (rest -= histogram[bright]) > 0; ) bright--;
  const gain = GAINS.findLast((factor) => factor * bright <= 127.5) ?? 1;
  return { image, gain, mean: sum / samples };
}

function psnrText(mean, isDeep) {
  const bits = isDeep ? " (of 8 bits)" : "";
  return mean ? `PSNR ${(10 * Math.log10(PSNR_PEAK ** 2 / mean)).toFixed(2)} dB${bits}` : `PSNR inf: no difference${bits}`;
}

// ---- bits ----

// Octave -> {width, height, bits, planes, integers}; `bits` is the sum over the planes.
function bitMaps() {
  const { facts, coded } = shown;
  const result = new Map();
  let at = 0;
  for (const { octave, planes, width, height } of facts.ends) {
    if (octave < shown.finest) break;
    const bits = new Float32Array(width * height);
    for (let plane = 0, from = at; plane < planes; plane++)
      for (let k = 0; k < bits.length; k++, from++) bits[k] += coded.costs[from] / 256;
    const integers = coded.integers.subarray(at, (at += planes * width * height));
    result.set(octave, { width, height, bits, planes, integers });
  }
  return result;
}

function topOf(maps) {
  const greatest = Math.max(...[...maps.values()].map(({ bits }) => percentile(bits, 0.99)));
  let top = TOP;
  while (top < greatest) top *= 2;
  return top;
}

// What `part` of the values are at most, to a 16th.
function percentile(values, part) {
  const steps = new Uint32Array(16 * 256);
  for (const value of values) steps[Math.min(steps.length - 1, Math.ceil(16 * value))]++;
  let step = 0;
  for (let below = steps[0]; below < part * values.length; ) below += steps[++step];
  return step / 16;
}

// The bits of all octaves from `finest` on, for each pixel of the picture that is shown.
function spread(maps, finest, { width, height }) {
  const total = new Float32Array(width * height);
  for (const [octave, { width: columns, height: rows, bits }] of maps) {
    const side = 2 ** (octave - finest);
    for (let y = 0, k = 0; y < height; y++) {
      const row = Math.floor(y / side);
      const tall = Math.min(height, (row + 1) * side) - row * side;
      for (let x = 0; x < width; x++, k++) {
        const column = Math.floor(x / side);
        const wide = Math.min(width, (column + 1) * side) - column * side;
        total[k] += bits[row * columns + column] / (wide * tall);
      }
    }
  }
  return total;
}

function heat(bits, { width, height }, top) {
  const image = new ImageData(width, height);
  bits.forEach((value, k) => {
    // The scale is that of a square root, as the legend's marks are.
    const place = Math.min(1, Math.sqrt(value / top)) * (COLOURS.length - 1);
    const low = Math.min(COLOURS.length - 2, Math.floor(place));
    for (let c = 0; c < 3; c++)
      image.data[4 * k + c] = COLOURS[low][c] + (place - low) * (COLOURS[low + 1][c] - COLOURS[low][c]);
    image.data[4 * k + 3] = 255;
  });
  return image;
}

// The planes of an octave side by side: grey is 0, black and white are the greatest.
function grey({ width, height, planes, integers }) {
  const columns = Math.ceil(Math.sqrt(planes));
  const rows = Math.ceil(planes / columns);
  const image = new ImageData(columns * (width + 1) - 1, rows * (height + 1) - 1);
  image.data.fill(255);
  let peak = 1;
  for (const value of integers) peak = Math.max(peak, Math.abs(value));
  integers.forEach((value, k) => {
    const plane = Math.floor(k / (width * height));
    const x = (k % width) + (plane % columns) * (width + 1);
    const y = (Math.floor(k / width) % height) + Math.floor(plane / columns) * (height + 1);
    image.data.fill(128 + (127 * value) / peak, 4 * (y * image.width + x), 4 * (y * image.width + x) + 3);
  });
  return { image, peak };
}

function octaveCard(octave, own, top) {
  const { width, height, bits, planes, integers } = own;
  const bytes = shown.facts.parts.find(({ name }) => name === `octave ${octave}`).bytes;
  const { image, peak } = grey(own);
  const most = bits.reduce((a, b) => Math.max(a, b), 0);
  const mean = bits.reduce((a, b) => a + b, 0) / bits.length;
  const greatest = integers.some(Boolean) ? peak : 0;
  const many = planes > 1 ? `${planes} planes; ` : "";
  const figure = (picture, caption, label) => {
    const canvas = canvasOf(picture);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    return made("figure", {}, canvas, made("figcaption", {}, caption));
  };
  return made(
    "section", { className: "octave" },
    made("h3", {}, `Octave ${octave} `, made("small", {}, `${size(width, height)}, ${count(bytes)} bytes`)),
    made(
      "div", {},
      figure(heat(bits, own, top), `Bits: ${mean.toFixed(2)} per pixel, at most ${most.toFixed(1)}`, `Bits of octave ${octave}`),
      figure(image, `Code: ${many}black \u2212${greatest}, grey 0, white ${greatest}`, `Code of octave ${octave}`),
    ),
  );
}

function fillLegend(legend, top) {
  const colours = COLOURS.map((colour) => `rgb(${colour.join()})`).join();
  legend.replaceChildren(
    made("div", { style: `background: linear-gradient(90deg, ${colours})` }),
    made("p", {}, ...[0, 1, 2, 3, 4].map((quarter) => made("span", {}, String((top * quarter ** 2) / 16)))),
  );
}

// ---- bytes ----

function marked({ name, bytes }) {
  const [kind, octave] = name.split(" ");
  const known = { weights: "weights", octave: "octave", alpha: "alpha", header: "head", section: "head" };
  return made("i", { className: known[kind] ?? "chunk", style: `--bytes: ${bytes}; --octave: ${octave}`, title: `${name}: ${count(bytes)} bytes` });
}

function bytesOfParts() {
  const { parts, fileBytes, width, height } = shown.facts;
  const row = (title, bytes) =>
    made(
      "tr", {}, made("th", { scope: "row" }, ...title),
      ...[count(bytes), `${((100 * bytes) / fileBytes).toFixed(1)} %`, ((8 * bytes) / (width * height)).toFixed(4)].map(
        (text) => made("td", {}, text),
      ),
    );
  const octaves = parts.filter(({ name }) => name.startsWith("octave ")).reduce((sum, { bytes }) => sum + bytes, 0);
  $(".bar").replaceChildren(...parts.map(marked));
  $("tbody").replaceChildren(...parts.map((part) => row([marked(part), part.name], part.bytes)));
  $("tfoot").replaceChildren(row(["all octaves"], octaves), row(["file"], fileBytes));
}

// ---- controls ----

const chosen = (name) => $(`[name=${name}]:checked`)?.value;

function choice(name, title, labels, first) {
  const before = chosen(name);
  const value = before in labels ? before : first;
  const buttons = Object.entries(labels).map(([key, label]) =>
    made("label", {}, made("input", { type: "radio", name, value: key, checked: key === value, onchange: arrange }), made("span", {}, label)),
  );
  return made("fieldset", { className: "choice", id: name }, made("legend", {}, title), made("div", {}, ...buttons));
}

function controls(hasOriginal) {
  const kinds = hasOriginal
    ? { slider: "Slider", decoded: "Decoded", original: "Original", difference: "Difference", bits: "Bits" }
    : { decoded: "Decoded", bits: "Bits" };
  const times = (factors) => Object.fromEntries(factors.map((factor) => [factor, `${factor}${TIMES}`]));
  const choices = [
    choice("show", "Show", kinds, Object.keys(kinds)[0]),
    choice("zoom", "Zoom", { 0: "Fit", ...times([1, 2, 4]) }, "0"),
  ];
  if (hasOriginal) choices.push(choice("gain", "Amplified", times(GAINS), String(shown.gain)));
  $(".controls").replaceChildren(...choices);
}

function divide() {
  const stage = $(".stage");
  const x = ($(".share").value / 100) * stage.clientWidth;
  $(".divider").style.left = `${x}px`;
  $(".divider").style.height = `${stage.clientHeight}px`;
  const original = $("canvas.original");
  if (original) original.style.clipPath = chosen("show") === "slider" ? `inset(0 calc(100% - ${x + stage.scrollLeft}px) 0 0)` : "";
}

function arrange() {
  if (!shown) return;
  // One pixel of the picture is one of the screen at zoom 1; what fits the page is not enlarged, unless it is tiny.
  const viewer = $(".viewer");
  const { width, height } = shown.image;
  const zoom = Number(chosen("zoom"));
  const fitting = Math.min(viewer.clientWidth / width, (0.85 * innerHeight) / height, Math.max(1, 160 / Math.max(width, height)));
  const scale = zoom ? zoom / devicePixelRatio : fitting;
  $(".sheet").style.width = `${width * scale}px`;
  $(".sheet").style.height = `${height * scale}px`;
  viewer.classList.toggle("fit", !zoom && fitting < 2);
  viewer.dataset.show = chosen("show");
  if ($("canvas.difference")) $("canvas.difference").style.filter = `brightness(${chosen("gain")})`;
  divide();
}

function save(blob, name) {
  const link = made("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const actions = {
  open: () => $("input[type=file]").click(),
  keep: () => save(new Blob([shown.bytes]), shown.name),
  save: async () => {
    const image = shown.finest ? await decode(shown.bytes, limits) : shown.image;
    canvasOf(image).toBlob((blob) => save(blob, `${shown.name}.png`), "image/png");
  },
};
for (const button of document.querySelectorAll("[data-do]")) button.onclick = actions[button.dataset.do];

$(".share").oninput = divide;
$(".stage").onscroll = divide;
window.addEventListener("resize", arrange);
$(".divider").onpointerdown = (event) => event.currentTarget.setPointerCapture(event.pointerId);
$(".divider").onpointermove = (event) => {
  if (chosen("show") !== "slider" || !event.buttons) return;
  const stage = $(".stage");
  $(".share").value = (100 * (event.clientX - stage.getBoundingClientRect().left)) / stage.clientWidth;
  divide();
};

$("input[type=file]").onchange = async (event) => {
  await take(event.target.files);
  event.target.value = "";
};
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
window.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(event.dataTransfer.files);
});

// ---- what is there at first ----

async function begin() {
  if (given) {
    const entry = { name: given.name, bytes: fromBase64(given.file) };
    if (given.original) {
      const png = new Blob([fromBase64(given.original.png)], { type: "image/png" });
      entry.original = { name: given.original.name, bitmap: await createImageBitmap(png, { colorSpaceConversion: "none" }) };
    }
    files.set(given.name, entry);
    say((await show(given.name)).join(" "));
    return;
  }
  listFiles();
  const link = new URLSearchParams(location.search).get("file");
  if (!link) return;
  try {
    const response = await fetch(link);
    if (!response.ok) throw new Error();
    await take([new File([await response.arrayBuffer()], link.split("/").at(-1) || "picture.ddc")]);
  } catch {
    say(`${link} cannot be loaded.`);
  }
}

await begin();
document.documentElement.dataset.ready = "";
