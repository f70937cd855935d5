// What is drawn as SVG: the losses by step.

const SVG = "http://www.w3.org/2000/svg";

// The losses on a logarithmic axis, at most 300 of them.
export function drawCurve(svg, losses) {
  const [left, right, top, bottom] = [36, 314, 8, 112];
  const every = Math.max(1, Math.floor(losses.length / 300));
  const shown = losses.map((loss, i) => [i, Math.log10(Math.max(loss, 1e-12))]).filter(([i]) => i % every === 0);
  const logs = shown.map((pair) => pair[1]);
  const [low, high] = [Math.floor(Math.min(...logs, -1)), Math.ceil(Math.max(...logs, 0))];
  const x = (i) => left + ((right - left) * i) / Math.max(1, losses.length - 1);
  const y = (log) => bottom - ((bottom - top) * (log - low)) / (high - low);
  const parts = [];
  for (let tick = low; tick <= high; tick += Math.ceil((high - low) / 4)) {
    parts.push(element("line", { class: "axis", x1: left, x2: right, y1: y(tick), y2: y(tick) }));
    parts.push(element("text", { x: left - 4, y: y(tick) + 3, "text-anchor": "end" }, tick < -3 ? `1e${tick}` : String(10 ** tick)));
  }
  parts.push(element("text", { x: left, y: 126 }, "step 1"));
  if (losses.length > 1) {
    parts.push(element("text", { x: right, y: 126, "text-anchor": "end" }, losses.length.toLocaleString("en")));
    parts.push(element("polyline", { class: "loss", points: shown.map(([i, log]) => `${x(i)},${y(log)}`).join(" ") }));
  }
  svg.replaceChildren(...parts);
}

export function element(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}
