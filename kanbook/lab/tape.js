// What a KAN and an MLP share: layers in a row, all their numbers in one array, passes over samples.

import { rowsOf, sum } from "./numbers.js";

/** A layer has arrays of numbers, by the names in `parts`; of each, `free` says what may change. */
export class Net {
  constructor(layers) {
    this.assemble(layers);
  }

  /** Take these layers, which no other network may have, and all their numbers into one array. */
  assemble(layers) {
    const length = sum(layers.flatMap(layer => layer.parts.map(part => layer[part]?.length ?? 0)));
    this.layers = layers;
    this.theta = new Float64Array(length);
    this.gradient = new Float64Array(length);
    this.free = new Uint8Array(length);
    let start = 0;
    for (const layer of layers) {
      Object.assign(layer, { gradient: {}, free: {}, at: {} });
      for (const part of layer.parts.filter(part => layer[part])) {
        const end = start + layer[part].length;
        this.theta.set(layer[part], start);
        layer[part] = this.theta.subarray(start, end);
        layer.gradient[part] = this.gradient.subarray(start, end);
        layer.free[part] = this.free.subarray(start, end);
        layer.at[part] = start;
        start = end;
      }
    }
    this.refresh();
    return this;
  }

  /** After a change of what edges are: which numbers may change now. */
  refresh() {
    for (const layer of this.layers) layer.refresh();
  }

  get widths() {
    return [this.layers[0].inputs, ...this.layers.map(layer => layer.outputs)];
  }

  count() {
    return sum(this.free);
  }

  /** For passes over n samples: of x, first all samples of input 0. */
  tape(x, n) {
    return new Tape(this, x, n);
  }

  /** The same after a pass forward. */
  passed(x, n) {
    const tape = this.tape(x, n);
    tape.forward();
    return tape;
  }

  predict(x, n) {
    return this.passed(x, n).output;
  }

  copy() {
    return new this.constructor(this.layers.map(layer => new layer.constructor(layer)));
  }
}

/** Buffers for passes over the same samples; the first layer's basis functions are kept. */
class Tape {
  constructor(net, x, n) {
    this.net = net;
    let inputs = rowsOf(x, n);
    this.parts = net.layers.map(layer => {
      const part = layer.buffers(inputs, n);
      inputs = part.y;
      return part;
    });
    [this.output] = inputs;
    [this.outputSlopes] = this.parts.at(-1).gy;
  }

  forward() {
    this.net.layers.forEach((layer, l) => layer.forward(this.parts[l], l === 0));
    return this.output;
  }

  /** From `outputSlopes`, those of the loss in the output, to net.gradient. */
  backward(fade = 0) {
    const { layers, gradient, free } = this.net, { parts } = this;
    gradient.fill(0);
    for (let l = layers.length - 1; l >= 0; l--) layers[l].backward(parts[l], parts[l - 1]?.gy, fade);
    for (let p = 0; p < gradient.length; p++) if (!free[p]) gradient[p] = 0;
  }

  /** The slopes of the output at sample s in the free numbers on its way, and their places; how many. */
  row(s, places, slopes) {
    let count = 0;
    this.net.layers.forEach((layer, l) => layer.row(this.parts[l], s, (place, slope) => {
      places[count] = place;
      slopes[count++] = slope;
    }));
    return count;
  }
}
