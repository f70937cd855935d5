// A net in training: its state, and the two graphs that change it and ask it. No page here.

import * as ort from "./runtime/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more need a server that isolates the page
ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;

const sessions = new Map();
const LAYER = /^(?:params|moments\.\d+)\.(\d+)\.([Wb])$/;

function open(name) {
  if (!sessions.has(name)) {
    const url = new URL(`./graphs/${name}.onnx`, import.meta.url).href;
    sessions.set(name, ort.InferenceSession.create(url));
    sessions.get(name).catch(() => sessions.delete(name));
  }
  return sessions.get(name);
}

function floats(numbers, shape) {
  return new ort.Tensor("float64", numbers, shape);
}

// Weights as `xpmlp train` draws them: each layer's W in turn from the numbers of its seed.
function drawn(sizes, law, draws) {
  let used = 0;
  return sizes.slice(1).map((width, i) => {
    const [d, h] = [sizes[i], width];
    const hidden = i < sizes.length - 2;
    const variance = hidden && law === "he" ? 2 / d : 2 / (d + h);
    const part = draws.subarray(used, (used += d * h));
    return { W: Float64Array.from(part, (z) => Math.sqrt(variance) * z), b: new Float64Array(h) };
  });
}

export class Net {
  // settings: hidden, activation, law, optimizer, colours, numbers (learning_rate, l2, momentum).
  // draws: of the seed.
  static async open(settings, draws) {
    const { hidden, activation, optimizer } = settings;
    const kind = `${hidden.length ? activation : "identity"}-${hidden.length}`;
    const [stepper, asker] = await Promise.all([open(`${optimizer}-${kind}`), open(`net-${kind}`)]);
    return new Net(stepper, asker, settings, draws);
  }

  constructor(stepper, asker, settings, draws) {
    [this.stepper, this.asker, this.settings] = [stepper, asker, settings];
    const sizes = [2, ...settings.hidden, settings.colours];
    const layers = drawn(sizes, settings.law, draws);
    this.state = { step: new ort.Tensor("int64", new BigInt64Array(1), []) };
    this.numbers = {};
    for (const name of stepper.inputNames) {
      const [, layer, leaf] = name.match(LAYER) ?? [];
      if (leaf) {
        const shape = leaf === "W" ? [sizes[layer], sizes[+layer + 1]] : [sizes[+layer + 1]];
        const first = name.startsWith("params") ? layers[layer][leaf] : undefined;
        this.state[name] = floats(first ?? new Float64Array(shape.reduce((a, b) => a * b)), shape);
      } else if (name in settings.numbers) {
        this.numbers[name] = floats(Float64Array.of(settings.numbers[name]), []);
      }
    }
    this.steps = 0;
  }

  // Points as [x1, x2, class] each.
  static batch(points) {
    const n = points.length;
    return {
      x: floats(Float64Array.from(points.flatMap(([x1, x2]) => [x1, x2])), [n, 2]),
      t: new ort.Tensor("int64", BigInt64Array.from(points, (p) => BigInt(p[2])), [n]),
    };
  }

  // Takes one step on a batch; returns the loss before it. A step with no finite loss is not kept.
  async step(batch) {
    const results = await this.stepper.run({ ...this.state, ...batch, ...this.numbers });
    const loss = results.loss.data[0];
    if (Number.isFinite(loss)) {
      for (const name in results) {
        if (name.startsWith("new.")) this.state[name.slice(4)] = results[name];
      }
      this.steps += 1;
    }
    return loss;
  }

  // Returns the probabilities (n × colours) of points, x1 and x2 in turn.
  async predict(x) {
    const params = Object.entries(this.state).filter(([name]) => name.startsWith("params"));
    const feeds = { ...Object.fromEntries(params), x: floats(x, [x.length / 2, 2]) };
    return (await this.asker.run(feeds)).outputs.data;
  }
}
