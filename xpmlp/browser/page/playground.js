// The page: settings in, steps taken while there is time, regions and figures out.

import { drawCurve, element } from "./curve.js";
import { Net } from "./net.js";
import { npz } from "./npz.js";
import { COLOURS, Plane, SHAPES } from "./plane.js";

const STEPPING = 12; // milliseconds of steps before the page may draw again
const LOOKING = 150; // milliseconds between two looks at the regions
const ERASER = "eraser";
const at = (id) => document.getElementById(id);
const number = (text) => (text.trim() === "" ? NaN : Number(text.replace(",", ".")));

const [about, draws] = await loaded();
const plane = new Plane(at("plane"), about.reach);
let net; // of the settings as they stand; undefined where there is none
let classes = []; // the colours that are in use, in order
let losses = [];
let running = false;
let edits = 0; // how often points came or went since the first step
let wish = 0; // counts the settings, so that what is late is told from what holds
let pen = 0;
globalThis.playground = { plane, get net() { return net; }, get losses() { return losses; } };

async function loaded() {
  try {
    const [json, bytes] = await Promise.all([fetch("about.json"), fetch("draws.bin")]);
    if (!json.ok || !bytes.ok) throw new Error("about.json or draws.bin is missing");
    return [await json.json(), new Float64Array(await bytes.arrayBuffer())];
  } catch (error) {
    at("needs").textContent = `The page is not complete: ${error.message}. Write it anew with xpmlp playground.`;
    throw error;
  }
}

function say(text) {
  at("status").textContent = text;
  at("status").hidden = !text;
}

function complain(text, field) {
  at("complaint").hidden = !text;
  at("complaint").textContent = text;
  for (const input of at("settings").querySelectorAll("input")) {
    input.setAttribute("aria-invalid", String(Boolean(text) && input.name === field));
  }
}

// What the form says. Throws [message, name of the field].
function settings() {
  const value = (name) => at(name).value;
  const hidden = value("hidden").split(/[\s,x-]+/).filter(Boolean).map(Number);
  if (!hidden.every((width) => Number.isInteger(width) && width >= 1)) {
    throw ["Hidden widths are whole numbers with blanks between, such as 8 8.", "hidden"];
  }
  const widest = Math.max(0, ...hidden);
  if (widest > about.widest) {
    throw [`A layer of ${widest} is too wide for this page, which goes up to ${about.widest}.`, "hidden"];
  }
  if (hidden.length > about.deepest) {
    throw [`${hidden.length} hidden layers are too many for this page, which goes up to ${about.deepest}.`, "hidden"];
  }
  const learning_rate = number(value("learning_rate"));
  if (!(learning_rate > 0 && learning_rate < Infinity)) {
    throw ["The learning rate is a number above 0, such as 0.1.", "learning_rate"];
  }
  const l2 = number(value("l2"));
  if (!(l2 >= 0 && l2 < Infinity)) throw ["The L2 penalty is 0 or more.", "l2"];
  const until = number(value("until"));
  if (!(Number.isInteger(until) && until >= 1)) {
    throw ["The step to pause at is a whole number, 1 or more.", "until"];
  }
  const activation = value("activation");
  const numbers = { learning_rate, l2, momentum: about.momentum };
  const law = about.activations[activation];
  return { hidden, activation, law, optimizer: value("optimizer"), numbers, until };
}

// Makes a net of the settings, with new weights, or says why there is none.
async function restart() {
  const mine = (wish += 1);
  running = false;
  net = undefined;
  losses = [];
  edits = 0;
  plane.forget();
  complain("");
  try {
    classes = [...new Set(plane.points.map((point) => point[2]))].sort();
    const chosen = settings();
    if (classes.length < 2) {
      say("Draw points of two or more colours, or take an example.");
    } else {
      const seed = Number(at("seed").value);
      const stream = draws.subarray((seed * draws.length) / about.seeds);
      const made = await Net.open({ ...chosen, colours: classes.length }, stream);
      if (mine !== wish) return;
      net = made;
      await look();
      if (mine !== wish) return;
      say("Ready: Train, or One step.");
    }
  } catch (error) {
    if (mine !== wish) return;
    say("");
    if (Array.isArray(error)) complain(...error);
    else say(`The net can't be loaded: ${error.message ?? error}`);
  }
  refresh();
}

function batch() {
  return Net.batch(plane.points.map(([x, y, colour]) => [x, y, classes.indexOf(colour)]));
}

// Asks the net for the regions, and for how many points are right.
async function look() {
  const asked = net;
  const { points } = plane;
  const own = Float64Array.from([...points.flatMap(([x, y]) => [x, y]), ...plane.grid]);
  const p = await asked.predict(own);
  if (asked !== net) return;
  const best = (i) => {
    const row = p.subarray(i * classes.length, (i + 1) * classes.length);
    return classes[row.indexOf(Math.max(...row))];
  };
  const right = points.filter((point, i) => best(i) === point[2]).length;
  at("right").textContent = `${right} / ${points.length}`;
  plane.show(p.subarray(points.length * classes.length), classes);
}

async function takeStep(rows) {
  const mine = net;
  const loss = await mine.step(rows);
  if (mine !== net) return false;
  if (!Number.isFinite(loss)) {
    running = false;
    complain(
      `The loss diverged: after step ${net.steps} it is no finite number any more. Choose a ` +
        "smaller learning rate; that starts anew.",
      "learning_rate",
    );
    return false;
  }
  losses.push(loss);
  return true;
}

async function train() {
  if (running) {
    running = false;
    return;
  }
  running = true;
  say("Training.");
  refresh();
  const [mine, until] = [net, settings().until];
  const goal = mine.steps < until ? until : Infinity;
  let looked = 0;
  let rows = { edits, batch: batch() };
  while (running && mine === net && mine.steps < goal) {
    const start = performance.now();
    if (rows.edits !== edits) rows = { edits, batch: batch() };
    do {
      if (!(await takeStep(rows.batch))) break;
    } while (running && mine.steps < goal && performance.now() - start < STEPPING);
    if (mine === net && performance.now() - looked > LOOKING) {
      looked = performance.now();
      await look();
    }
    refresh();
    await new Promise((next) => requestAnimationFrame(next));
  }
  if (mine !== net) return;
  running = false;
  await look();
  say(at("complaint").hidden ? `Paused after step ${mine.steps}.` : "");
  refresh();
}

function refresh() {
  const ready = Boolean(net);
  const stuck = !at("complaint").hidden;
  at("train").textContent = running ? "Pause" : "Train";
  at("train").disabled = at("one").disabled = !ready || stuck;
  at("one").disabled ||= running;
  at("reset").disabled = !ready;
  at("steps").textContent = ready ? net.steps.toLocaleString("en") : "0";
  at("loss").textContent = losses.length ? shortened(losses.at(-1)) : "–";
  if (!ready) at("right").textContent = "–";
  plane.draw();
  drawCurve(at("curve"), losses);
  showCommand();
}

function shortened(loss) {
  return loss < 1e-3 ? loss.toExponential(2) : loss.toPrecision(4);
}

function showCommand() {
  at("same").hidden = !net;
  if (!net) return;
  at("same-note").textContent = edits
    ? "Points came or went on the way, which no command repeats; after a new start the numbers are those of:"
    : "Take the points with you, and run; loss by step is in the run’s steps.csv:";
  const { hidden, activation, optimizer, numbers } = net.settings;
  const options = {
    dataset: "points.npz",
    validation: 0,
    scale: "none",
    hidden: hidden.join(" "),
    activation: hidden.length ? activation : "relu",
    dropout: 0,
    optimizer,
    "learning-rate": numbers.learning_rate,
    "lr-schedule": "constant",
    l2: numbers.l2,
    beta2: 0.999,
    "batch-size": 0,
    "early-stopping": 0,
    epochs: Math.max(1, net.steps),
    seed: at("seed").value,
    dtype: "float64",
    out: "played",
  };
  const flags = Object.entries(options).map(([name, value]) => `--${name} ${value}`.trim());
  const lines = [["python -m xpmlp.train"]];
  flags.forEach((flag, i) => (i % 4 ? lines.at(-1).push(flag) : lines.push([flag])));
  at("command").textContent = lines.map((line) => line.join(" ")).join(" \\\n    ");
}

function pointsFile() {
  const { points } = plane;
  const x = Float64Array.from(points.flatMap(([x1, x2]) => [x1, x2]));
  const y = BigInt64Array.from(points, (point) => BigInt(point[2]));
  const rows = { x: ["<f8", [points.length, 2], x], y: ["<i8", [points.length], y] };
  return npz({ x_train: rows.x, y_train: rows.y, x_test: rows.x, y_test: rows.y });
}

// Draws or takes away a point; a net in training goes on with the points as they are.
async function edit(place, takeAway) {
  if (takeAway) {
    const index = plane.near(place);
    if (index < 0) return;
    plane.points.splice(index, 1);
  } else if (plane.points.length >= about.most_points) {
    say(`${about.most_points} points are as many as this page takes.`);
    return;
  } else {
    plane.points.push([...place, pen]);
  }
  await pointsChanged();
}

async function pointsChanged() {
  const now = [...new Set(plane.points.map((point) => point[2]))].sort();
  if (!net || !net.steps || String(now) !== String(classes)) {
    await restart();
    return;
  }
  edits += 1;
  await look();
  refresh();
}

function onKey(event) {
  const step = (event.shiftKey ? 0.25 : 0.05) * about.reach;
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const [x, y] = plane.cross ?? [0, 0];
  if (moves[event.key]) {
    const [dx, dy] = moves[event.key];
    const inside = (v) => Math.round(1000 * Math.max(-about.reach, Math.min(about.reach, v))) / 1000;
    plane.cross = [inside(x + step * dx), inside(y + step * dy)];
    say(`Cross at ${plane.cross.join(", ")}.`);
  } else if (event.key === "Enter" || event.key === " ") {
    edit([x, y], pen === ERASER);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    edit([x, y], true);
  } else if (event.key >= "1" && event.key <= String(about.colours)) {
    choosePen(Number(event.key) - 1);
  } else {
    return;
  }
  event.preventDefault();
  plane.draw();
}

function choosePen(which) {
  pen = which;
  for (const input of at("pens").querySelectorAll("input")) input.checked = input.value === String(which);
}

function penButton(which, name, mark) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "pen", value: which });
  input.addEventListener("change", () => choosePen(which));
  label.append(input, mark, name);
  return label;
}

function fill(select, names) {
  select.replaceChildren(...names.map((name) => new Option(name, name)));
}

function build() {
  const outlines = {
    circle: element("circle", { cx: 8, cy: 8, r: 6 }),
    square: element("path", { d: "M2 2h12v12H2z" }),
    triangle: element("path", { d: "M8 1l7 13H1z" }),
    diamond: element("path", { d: "M8 0l7 8-7 8-7-8z" }),
  };
  const marks = SHAPES.map((shape, i) => {
    const svg = element("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", fill: COLOURS[i] });
    svg.append(outlines[shape]);
    return svg;
  });
  const cross = element("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", stroke: "currentColor" });
  cross.append(element("path", { d: "M3 3l10 10M13 3L3 13", "stroke-width": 2 }));
  const names = ["blue", "orange", "green", "pink"];
  at("pens").append(...marks.map((mark, i) => penButton(i, names[i], mark)), penButton(ERASER, "eraser", cross));
  for (const [name, points] of Object.entries(about.points)) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.addEventListener("click", () => take(points));
    at("examples").append(button);
  }
  const clear = Object.assign(document.createElement("button"), { type: "button", textContent: "no points" });
  clear.addEventListener("click", () => take([]));
  at("examples").append(clear);
  fill(at("activation"), Object.keys(about.activations));
  fill(at("optimizer"), Object.keys(about.rates));
  fill(at("seed"), Array.from({ length: about.seeds }, (_, i) => String(i)));
  [at("activation").value, at("optimizer").value] = ["tanh", "adam"];
  at("learning_rate").value = about.rates.adam;
  const release = about.runtime ? ` ${about.runtime}` : "";
  at("about").firstChild.textContent = `xpmlp ${about.xpmlp}, MIT licence; `;
  at("about").querySelector("a").textContent = `onnxruntime-web${release}`;
  choosePen(0);
}

function take(points) {
  plane.points = points.map((point) => [...point]);
  restart();
}

function listen() {
  at("plane").addEventListener("click", (event) => {
    plane.cross = plane.place(event.clientX, event.clientY);
    edit(plane.cross, pen === ERASER);
  });
  at("plane").addEventListener("keydown", onKey);
  for (const name of ["focus", "blur"]) at("plane").addEventListener(name, () => plane.draw());
  at("settings").addEventListener("submit", (event) => event.preventDefault());
  at("optimizer").addEventListener("change", () => {
    at("learning_rate").value = about.rates[at("optimizer").value];
  });
  at("settings").addEventListener("change", restart);
  at("train").addEventListener("click", train);
  at("one").addEventListener("click", async () => {
    at("one").disabled = true;
    if (await takeStep(batch())) await look();
    refresh();
  });
  at("reset").addEventListener("click", restart);
  at("download").addEventListener("click", () => {
    const link = document.createElement("a");
    [link.href, link.download] = [URL.createObjectURL(pointsFile()), "points.npz"];
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  at("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(at("command").textContent);
    say("The command is copied.");
  });
  new ResizeObserver(() => plane.draw()).observe(at("plane"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plane.draw());
}

at("needs").hidden = true;
document.querySelector("main").hidden = false;
build();
listen();
take(about.points.moons);
