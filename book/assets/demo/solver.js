/* The monodomain sheet: a Fenton-Karma cell on each node, diffusion between them, explicit Euler.

   The same scheme as the package: src/forwardecg/tissue/{cell, diffusion}.py, solver/{kernel, calibration, simulation}.py.
   Functions name their counterparts. All is in double precision, dtype=np.float64 there: scripts are faster with it. */
"use strict";
window.forwardecgDemo = window.forwardecgDemo || {};

(function (demo) {
  const AT_REST = 1e-4; // simulation.AT_REST: u below which a sheet counts as repolarized
  const NOTHING = 1e-20; // u that is taken for 0 ahead of a wave, so that rows at rest can be skipped

  /* cell.constants: reciprocals taken, gate factors exact over one dt. */
  function constants(fk, dt) {
    return {
      u_c: fk.u_c, u_v: fk.u_v, k_8: fk.k / 8, k_8_u_c_si: (fk.k * fk.u_c_si) / 8,
      dt_tau_d: dt / fk.tau_d, dt_tau_0: dt / fk.tau_0, dt_tau_r: dt / fk.tau_r, dt_tau_si: dt / fk.tau_si,
      decay_v_plus: Math.exp(-dt / fk.tau_v_plus),
      decay_v_low: Math.exp(-dt / fk.tau_v_minus_low), decay_v_high: Math.exp(-dt / fk.tau_v_minus_high),
      decay_w_plus: Math.exp(-dt / fk.tau_w_plus), decay_w_minus: Math.exp(-dt / fk.tau_w_minus),
    };
  }

  /* calibration.calibrate_diffusivity: D -> D_num, a piecewise cubic in log D whose coefficients Python has written. */
  function calibrated(D, table) {
    const s = Math.log(D), knots = table.log_D;
    let k = 0;
    while (k < knots.length - 2 && s >= knots[k + 1]) k++;
    const t = s - knots[k], c = table.coefficients[k];
    return Math.exp(((c[0] * t + c[1]) * t + c[2]) * t + c[3]);
  }

  /* diffusion.face_diffusivity: harmonic mean over a face, 0 where one side does not conduct. */
  function harmonic(a, b) {
    return a * b > 0 ? (2 * a * b) / (a + b) : 0;
  }

  /* D_x (y, x + 1) across west faces and D_y (y + 1, x) across south faces, in double precision; 0 at the outer edge. */
  function faceDiffusivity(D, n_y, n_x) {
    const D_x = new Float64Array(n_y * (n_x + 1)), D_y = new Float64Array((n_y + 1) * n_x);
    for (let y = 0; y < n_y; y++)
      for (let x = 0; x < n_x; x++) {
        const here = D[y * n_x + x];
        if (x > 0) D_x[y * (n_x + 1) + x] = harmonic(D[y * n_x + x - 1], here);
        if (y > 0) D_y[y * n_x + x] = harmonic(D[(y - 1) * n_x + x], here);
      }
    return { D_x, D_y };
  }

  /* A tissue and its state. D (y, x) is the physical diffusivity in mm^2/ms, conductive (y, x) is 0 or 1. */
  class Sheet {
    constructor(D, conductive, n_y, n_x, data) {
      Object.assign(this, { n_y, n_x, dx: data.dx, dt: data.dt, du: data.dt * data.stimulus.amplitude });
      this.c = constants(data.cell, data.dt);
      this.stimulusSteps = Math.round(data.stimulus.duration / data.dt);
      const S = (this.stride = n_x + 2), size = S * (n_y + 2); // one halo cell on every side, with couplings of 0
      this.conductive = conductive;
      this.D = D.map((value, i) => (conductive[i] ? value : 0));
      const known = new Map(); // a sheet has few different diffusivities
      const D_num = Float64Array.from(this.D, (value) => {
        if (value > 0 && !known.has(value)) known.set(value, calibrated(value, data.calibration));
        return value > 0 ? known.get(value) : 0;
      });
      const g = faceDiffusivity(D_num, n_y, n_x), scale = this.dt / this.dx ** 2; // march: couplings times dt / dx^2
      this.g_x = new Float64Array(size);
      this.g_y = new Float64Array(size);
      for (let y = 0; y < n_y; y++)
        for (let x = 0; x < n_x; x++) {
          this.g_x[(y + 1) * S + x + 1] = g.D_x[y * (n_x + 1) + x] * scale;
          this.g_y[(y + 1) * S + x + 1] = g.D_y[y * n_x + x] * scale;
        }
      this.u = new Float64Array(size);
      this.next = new Float64Array(size);
      this.v = new Float64Array(size).fill(1);
      this.w = new Float64Array(size).fill(1);
      this.lat = new Float32Array(n_y * n_x).fill(-1); // ms, first upward crossing of u = 1/2
      this.first = new Int32Array(n_y + 2).fill(size); // of each row, the first and the last cell that has left rest
      this.last = new Int32Array(n_y + 2).fill(-1);
      this.steps = 0;
      this.south = new Float64Array(S); // fluxes through the south faces of a row, kept from the row below
      this.stimuli = []; // of {cells, on, off}
    }

    get time() {
      return this.steps * this.dt;
    }

    /* stimulus.focal_stimulus: a disc about (x, y) in mm; false if no conductive cell is in it. */
    stimulate(x, y, radius, start) {
      const cells = [], dx = this.dx;
      for (let j = 0; j < this.n_y; j++)
        for (let i = 0; i < this.n_x; i++)
          if (((j + 0.5) * dx - y) ** 2 + ((i + 0.5) * dx - x) ** 2 <= radius ** 2 && this.D[j * this.n_x + i] > 0)
            cells.push((j + 1) * this.stride + i + 1);
      const on = Math.round(start / this.dt);
      if (cells.length) this.stimuli.push({ cells, on, off: on + this.stimulusSteps });
      return cells.length > 0;
    }

    /* kernel.advance: n time steps. Rows at rest are skipped: a cell at rest beside cells at rest stays at rest. */
    advance(n) {
      for (let k = 0; k < n; k++) {
        this.step();
        for (const s of this.stimuli) if (s.on <= this.steps && this.steps < s.off) this.inject(s.cells);
        [this.u, this.next] = [this.next, this.u];
        this.steps++;
      }
    }

    step() {
      const { south, u, next, v, w, g_x, g_y, lat, first, last, stride: S, n_x, n_y } = this;
      south.fill(0);
      const { u_c, u_v, k_8, k_8_u_c_si, dt_tau_d, dt_tau_0, dt_tau_r, dt_tau_si } = this.c;
      const { decay_v_plus, decay_v_low, decay_v_high, decay_w_plus, decay_w_minus } = this.c;
      const one_v_low = 1 - decay_v_low, one_v_high = 1 - decay_v_high, one_w = 1 - decay_w_minus;
      let before = [first[0], last[0]]; // of the row below, as it was before this step
      for (let y = 1; y <= n_y; y++) {
        const own = [first[y], last[y]];
        const from = Math.max(1, Math.min(own[0] - 1, before[0], first[y + 1]));
        const to = Math.min(n_x, Math.max(own[1] + 1, before[1], last[y + 1]));
        before = own;
        if (from > to) {
          south.fill(0);
          continue;
        }
        south.fill(0, 0, from).fill(0, to + 1);
        let left = from, right = to, i = y * S + from, u_i = u[i], west = g_x[i] * (u_i - u[i - 1]);
        for (let x = from; x <= to; x++, i++) {
          // div(D grad u) dt: the flux through a face leaves one cell and enters the next, so that each is taken once
          const u_east = u[i + 1], east = g_x[i + 1] * (u_east - u_i);
          const north = g_y[i + S] * (u[i + S] - u_i);
          let u_new = u_i + (east - west + (north - south[x]));
          south[x] = north;
          const v_i = v[i], w_i = w[i];
          if (u_i < u_c) {
            // p = 0: cell.currents J_so = u / tau_0, and cell.gates, which open. J_si is left out: it is below 1e-9 a step here
            u_new -= u_i * dt_tau_0;
            if (u_i < u_v) v[i] = v_i * decay_v_low + one_v_low;
            else v[i] = v_i * decay_v_high + one_v_high;
            w[i] = w_i * decay_w_minus + one_w;
          } else {
            // p = 1: J_fi, J_so = 1 / tau_r, J_si by cell.slow_inward_rate, whose exp is a Taylor polynomial; the gates close
            const q = k_8_u_c_si - k_8 * u_i;
            let e = 1 + q * (1 + q * (1 / 2 + q * (1 / 6 + q * (1 / 24))));
            e *= e; e *= e; e *= e; e *= e;
            u_new += v_i * (dt_tau_d - dt_tau_d * u_i) * (u_i - u_c) - dt_tau_r + (w_i * dt_tau_si) / (1 + e);
            v[i] = v_i * decay_v_plus;
            w[i] = w_i * decay_w_plus;
          }
          next[i] = u_new;
          if (u_i < 0.5 && u_new >= 0.5) {
            const cell = (y - 1) * n_x + x - 1; // kernel._record_activation: linear between steps
            if (lat[cell] < 0) lat[cell] = this.dt * (this.steps + (0.5 - u_i) / (u_new - u_i));
          }
          u_i = u_east;
          west = east;
        }
        // what has just been reached and is next to nothing still counts as rest
        while (left < own[0] && left <= right && Math.abs(next[y * S + left]) < NOTHING) next[y * S + left++] = 0;
        while (right > own[1] && right >= left && Math.abs(next[y * S + right]) < NOTHING) next[y * S + right--] = 0;
        if (left <= right) {
          first[y] = Math.min(own[0], left);
          last[y] = Math.max(own[1], right);
        }
      }
    }

    inject(cells) {
      for (const i of cells) {
        const y = Math.floor(i / this.stride), x = i - y * this.stride, before = this.next[i];
        this.next[i] = before + this.du;
        this.first[y] = Math.min(this.first[y], x);
        this.last[y] = Math.max(this.last[y], x);
        const cell = (y - 1) * this.n_x + x - 1;
        if (before < 0.5 && this.next[i] >= 0.5 && this.lat[cell] < 0) this.lat[cell] = this.dt * (this.steps + 1);
      }
    }

    /* simulation.solve with stop_at_rest: after all stimuli, every u below AT_REST. */
    atRest() {
      if (this.stimuli.some((s) => this.steps < s.off)) return false;
      for (let i = 0; i < this.u.length; i++) if (this.u[i] >= AT_REST) return false;
      return true;
    }

    /* u (y, x) without the halo, a copy. */
    frame() {
      const { n_y, n_x, stride: S } = this, out = new Float32Array(n_y * n_x);
      for (let y = 0; y < n_y; y++) out.set(this.u.subarray((y + 1) * S + 1, (y + 1) * S + 1 + n_x), y * n_x);
      return out;
    }
  }

  Object.assign(demo, { Sheet, faceDiffusivity });
})(window.forwardecgDemo);
