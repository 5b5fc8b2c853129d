/* The paper's network: voltage maps of 4 mm every 10 ms -> a code for each frame -> attention -> LSTM both ways -> ECG.

   src/forwardecg/surrogates/paper/{model, data}.py, surrogates/{predict, recording}.py; a function names its counterpart.
   tools/demo.py says how the weights are packed. */
"use strict";

(function (demo) {
  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  /* Tensors by name: whole numbers of a few bits times the scale of their row; all else in half precision. */
  function unpack(paper) {
    const bytes = bytesOf(paper.codes), halves = demo.halves(bytesOf(paper.halves)), w = {};
    let bit = 0, used = 0;
    for (const [name, rows, columns, width] of paper.matrices) {
      const out = (w[name] = new Float32Array(rows * columns));
      for (let i = 0; i < out.length; i++, bit += width) {
        const at = bit >> 3, two = (bytes[at] << 8) | (bytes[at + 1] || 0); // a number lies in two bytes at most
        const code = (two >> (16 - (bit & 7) - width)) & ((1 << width) - 1);
        out[i] = (code - (1 << (width - 1))) * halves[used + Math.floor(i / columns)];
      }
      used += rows;
    }
    for (const [name, size] of paper.vectors) w[name] = halves.subarray(used, (used += size));
    return w;
  }

  /* data.network_maps: pixels of twice the side, every `stride`-th frame. */
  function coarser(m, pool, stride) {
    const n_y = m.n_y / pool, n_x = m.n_x / pool, n_t = Math.ceil(m.n_t / stride), u = new Float32Array(n_t * n_y * n_x);
    for (let t = 0; t < n_t; t++)
      for (let y = 0; y < n_y; y++)
        for (let x = 0; x < n_x; x++) {
          let sum = 0;
          for (let b = 0; b < pool; b++)
            for (let a = 0; a < pool; a++) sum += m.u[(t * stride * m.n_y + y * pool + b) * m.n_x + x * pool + a];
          u[(t * n_y + y) * n_x + x] = sum / pool ** 2;
        }
    return { u, n_t, n_y, n_x, dx: m.dx * pool, dt: m.dt * stride };
  }

  /* torch.nn.functional.conv2d of one square map (channel, y, x) with zeros beyond it. */
  function convolve(z, n_in, side, weight, bias, n_out, kernel, stride) {
    const pad = kernel >> 1, n = Math.floor((side - 1) / stride) + 1, out = new Float64Array(n_out * n * n);
    for (let o = 0; o < n_out; o++)
      for (let y = 0; y < n; y++)
        for (let x = 0; x < n; x++) {
          let sum = bias[o];
          for (let b = Math.max(0, pad - y * stride); b < Math.min(kernel, side + pad - y * stride); b++)
            for (let i = 0; i < n_in; i++) {
              const row = (i * side + y * stride + b - pad) * side + x * stride - pad, at = ((o * n_in + i) * kernel + b) * kernel;
              for (let a = Math.max(0, pad - x * stride); a < Math.min(kernel, side + pad - x * stride); a++)
                sum += weight[at + a] * z[row + a];
            }
          out[(o * n + y) * n + x] = sum;
        }
    return { z: out, side: n };
  }

  /* torch.nn.functional.linear of one vector; weight (out, in) from row `first` on. */
  function linear(z, weight, bias, n_out, first = 0) {
    const n_in = z.length, out = new Float64Array(n_out);
    for (let o = 0; o < n_out; o++) {
      let sum = bias ? bias[first + o] : 0;
      for (let i = 0, at = (first + o) * n_in; i < n_in; i++) sum += weight[at + i] * z[i];
      out[o] = sum;
    }
    return out;
  }

  const add = (a, b) => a.map((value, i) => value + b[i]);

  /* model.Seq2Seq: its `encoder`, one frame u (y, x) to a code. */
  function encode(u, w, paper) {
    let z = u, n_in = 1, side = paper.pixels;
    paper.channels.forEach((n_out, l) => {
      const name = `encoder.${2 * l}`, [kernel, stride] = l ? [3, 2] : [5, paper.stride];
      ({ z, side } = convolve(z, n_in, side, w[`${name}.weight`], w[`${name}.bias`], n_out, kernel, stride));
      demo.gelu(z);
      n_in = n_out;
    });
    const name = `encoder.${2 * paper.channels.length + 1}`;
    return linear(z, w[`${name}.weight`], w[`${name}.bias`], paper.width);
  }

  /* model.TimeEmbedding of one time in ms. */
  function timeEmbedding(t, w, paper) {
    const half = paper.width / 2;
    const phase = Array.from({ length: half }, (_, k) => ((2 * Math.PI) / paper.tScale) * 2 ** (-1 + (7 * k) / (half - 1)) * t);
    return linear([...phase.map(Math.sin), ...phase.map(Math.cos)], w["time.mix.weight"], w["time.mix.bias"], paper.width);
  }

  /* torch.nn.LayerNorm of one vector. */
  function layerNorm(z, weight, bias) {
    const middle = z.reduce((a, b) => a + b, 0) / z.length, spread = z.reduce((a, b) => a + (b - middle) ** 2, 0) / z.length;
    return z.map((value, i) => ((value - middle) / Math.sqrt(spread + 1e-5)) * weight[i] + bias[i]);
  }

  /* torch.nn.MultiheadAttention of a sequence with itself. */
  function attention(sequence, w, paper) {
    const { width, heads } = paper, size = width / heads;
    const [q, k, v] = [0, 1, 2].map((part) => sequence.map((z) => linear(z, w["attention.in_proj_weight"], w["attention.in_proj_bias"], width, part * width)));
    return sequence.map((_, t) => {
      const mixed = new Float64Array(width);
      for (let h = 0; h < heads; h++) {
        const scores = k.map((key) => {
          let sum = 0;
          for (let i = h * size; i < (h + 1) * size; i++) sum += q[t][i] * key[i];
          return sum / Math.sqrt(size);
        });
        const most = Math.max(...scores), weights = scores.map((score) => Math.exp(score - most)), total = weights.reduce((a, b) => a + b);
        v.forEach((value, s) => {
          for (let i = h * size; i < (h + 1) * size; i++) mixed[i] += (weights[s] / total) * value[i];
        });
      }
      return linear(mixed, w["attention.out_proj.weight"], w["attention.out_proj.bias"], width);
    });
  }

  /* torch.nn.LSTM of one layer in one direction: "" or "_reverse"; gates in the order i, f, g, o. */
  function lstm(sequence, w, n, direction) {
    const get = (name) => w[`decoder.${name}_l0${direction}`], sigmoid = (x) => 1 / (1 + Math.exp(-x));
    const order = [...sequence.keys()], out = [];
    let h = new Float64Array(n), c = new Float64Array(n);
    for (const t of direction ? order.reverse() : order) {
      const z = add(linear(sequence[t], get("weight_ih"), get("bias_ih"), 4 * n), linear(h, get("weight_hh"), get("bias_hh"), 4 * n));
      c = c.map((value, i) => sigmoid(z[n + i]) * value + sigmoid(z[i]) * Math.tanh(z[2 * n + i]));
      h = c.map((value, i) => sigmoid(z[3 * n + i]) * Math.tanh(value));
      out[t] = h;
    }
    return out;
  }

  /* predict.PaperSurrogate.predict: the ECG at the times of its frames, from maps that end at rest or at its last frame. */
  function paperEcg(m, w, paper) {
    const { pixels, time, width } = paper, seen = coarser(m, m.n_x / pixels, Math.round((time[1] - time[0]) / m.dt)), n = pixels ** 2;
    const codes = time.map((t, k) => {
      const frame = k < seen.n_t ? seen.u.subarray(k * n, (k + 1) * n) : new Float32Array(n);
      return add(encode(frame, w, paper), timeEmbedding(t, w, paper));
    });
    const normal = codes.map((z) => layerNorm(z, w["norm.weight"], w["norm.bias"])), context = attention(normal, w, paper);
    const decoded = codes.map((z, t) => add(z, context[t]));
    const forth = lstm(decoded, w, width, ""), back = lstm(decoded, w, width, "_reverse");
    const head = (t) => linear([...forth[t], ...back[t]], w["head.weight"], w["head.bias"], 1)[0];
    return { phi: Float64Array.from({ length: Math.min(seen.n_t, time.length) }, (_, t) => paper.scale * head(t)), seen };
  }

  /* recording.unlike_one_beat: share of the pixels that rise through one half more than once. */
  function risesAgain({ u, n_t, n_y, n_x }) {
    const n = n_y * n_x, rises = new Uint8Array(n);
    for (let t = 1; t < n_t; t++) for (let i = 0; i < n; i++) if (u[t * n + i] > 0.5 && !(u[(t - 1) * n + i] > 0.5)) rises[i]++;
    return rises.filter((many) => many > 1).length / n;
  }

  Object.assign(demo, { unpackPaper: unpack, paperEcg, risesAgain });
})(window.forwardecgDemo);
