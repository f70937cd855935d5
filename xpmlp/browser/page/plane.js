// The plane of the two features: points, the net's regions behind them, a cross-hair for keys.

export const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#b5619b"];
export const SHAPES = ["circle", "square", "triangle", "diamond"];
const CELLS = 64; // regions are asked for on so many by so many points
const OUTLINES = {
  square: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
  triangle: [[0, -1.3], [1.2, 0.9], [-1.2, 0.9]],
  diamond: [[0, -1.4], [1.2, 0], [0, 1.4], [-1.2, 0]],
};

function rgb(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

export class Plane {
  constructor(canvas, reach) {
    [this.canvas, this.reach, this.points] = [canvas, reach, []];
    this.cross = undefined;
    this.regions = document.createElement("canvas");
    this.regions.width = this.regions.height = CELLS;
    this.known = false;
    this.grid = new Float64Array(2 * CELLS * CELLS);
    for (let i = 0; i < CELLS * CELLS; i += 1) {
      this.grid[2 * i] = this.at((i % CELLS) + 0.5);
      this.grid[2 * i + 1] = -this.at(Math.floor(i / CELLS) + 0.5);
    }
  }

  at(cell) {
    return ((2 * cell) / CELLS - 1) * this.reach;
  }

  // A place of the plane, to three digits, from one of the window.
  place(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const scaled = (part) => Math.round(1000 * this.reach * (2 * part - 1)) / 1000;
    const x = scaled((clientX - box.left) / box.width);
    const y = -scaled((clientY - box.top) / box.height);
    return [x, y].map((v) => Math.max(-this.reach, Math.min(this.reach, v)) + 0);
  }

  // The index of the point nearest to a place, -1 where none is near.
  near([x, y]) {
    const far = this.points.map(([x1, x2]) => Math.hypot(x1 - x, x2 - y));
    const least = Math.min(...far);
    return least < 0.08 * this.reach ? far.indexOf(least) : -1;
  }

  // Takes the probabilities of the grid, of so many colours each.
  show(probabilities, colours) {
    const surface = this.regions.getContext("2d");
    const image = surface.createImageData(CELLS, CELLS);
    const tones = COLOURS.map(rgb);
    for (let i = 0; i < CELLS * CELLS; i += 1) {
      const p = probabilities.subarray(i * colours.length, (i + 1) * colours.length);
      for (let k = 0; k < 3; k += 1) {
        image.data[4 * i + k] = p.reduce((sum, share, c) => sum + share * tones[colours[c]][k], 0);
      }
      image.data[4 * i + 3] = 40 + 90 * Math.max(...p) ** 2;
    }
    surface.putImageData(image, 0, 0);
    this.known = true;
  }

  forget() {
    this.known = false;
  }

  draw() {
    const { canvas, reach } = this;
    const size = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
    if (canvas.width !== size) canvas.width = canvas.height = size;
    const surface = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    const pixel = (x, y) => [((x / reach + 1) / 2) * size, ((1 - y / reach) / 2) * size];
    surface.clearRect(0, 0, size, size);
    if (this.known) surface.drawImage(this.regions, 0, 0, size, size);
    surface.strokeStyle = style.getPropertyValue("--line");
    surface.lineWidth = size / 500;
    this.line(surface, pixel(0, -reach), pixel(0, reach));
    this.line(surface, pixel(-reach, 0), pixel(reach, 0));
    for (const [x, y, colour] of this.points) this.mark(surface, pixel(x, y), size / 75, colour);
    if (this.cross && document.activeElement === canvas) {
      const [x, y] = pixel(...this.cross);
      surface.strokeStyle = style.getPropertyValue("--text");
      surface.lineWidth = size / 220;
      this.line(surface, [x - size / 28, y], [x + size / 28, y]);
      this.line(surface, [x, y - size / 28], [x, y + size / 28]);
    }
  }

  line(surface, from, to) {
    surface.beginPath();
    surface.moveTo(...from);
    surface.lineTo(...to);
    surface.stroke();
  }

  mark(surface, [x, y], r, colour) {
    surface.beginPath();
    const outline = OUTLINES[SHAPES[colour]];
    if (outline) outline.forEach(([dx, dy]) => surface.lineTo(x + r * dx, y + r * dy));
    else surface.arc(x, y, 1.1 * r, 0, 2 * Math.PI);
    surface.closePath();
    surface.fillStyle = COLOURS[colour];
    surface.fill();
    surface.strokeStyle = "#fff";
    surface.lineWidth = r / 3;
    surface.stroke();
  }
}
