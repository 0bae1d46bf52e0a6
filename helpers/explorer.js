// Two figures that readers push on: custom elements, in shadow roots that no page's style reaches.
customElements.get("loss-explorer") || (() => {
  const { abs, exp, log, log1p, max, min } = Math;

  // An operation in a type is the double's operation, rounded to the type.
  const half = v => {
    let step = 2 ** -24;
    while (step < 32 && abs(v) >= 2048 * step) step *= 2;
    const rounded = v + 1.5 * 2 ** 52 * step - 1.5 * 2 ** 52 * step; // to whole steps, ties to even
    return abs(rounded) > 65504 ? rounded * Infinity : rounded;
  };
  const TYPES = { // rounding, bits of the fraction, exponent of the smallest normal number
    float16: [half, 10, -14],
    float32: [Math.fround, 23, -126],
    float64: [v => v, 52, -1022],
  };

  const FORMS = { // of the logit x and the label z, where r rounds
    naive: (x, z, r) => r(r(x - r(x * z)) + r(log(r(1 + r(exp(-x)))))),
    library: (x, z, r) => r(r(max(x, 0) - r(x * z)) + r(log1p(r(exp(-abs(x)))))),
    stable: (x, z, r) => {
      const wrong = x > 0 ? r(1 - z) : z; // 0 costs nothing, even times infinity
      return r((wrong && r(abs(x) * wrong)) + r(log1p(r(exp(-abs(x))))));
    },
  };
  const slope = (x, z, r) => {
    const e = r(exp(-abs(x))), small = r(e / r(1 + e)); // σ(-|x|)
    return x < 0 ? r(small - z) : r(r(1 - z) - small);
  };

  // The exact loss, an integer in units of 2^-bits: enough bits for 40 digits of e^-|x|.
  const fixed = (v, bits) => {
    let k = 0n;
    for (; v % 1; k++) v *= 2;
    return BigInt(v) << bits >> k;
  };
  const exact = (x, z) => {
    const bits = BigInt(Math.ceil(1.5 * abs(x))) + 160n, one = 1n << bits;
    const a = fixed(abs(x), bits), label = fixed(z, bits);
    let e = one, sum = 0n;
    for (let n = 1n, term = one; term; n++) e += term = -term * (a >> 12n) / one / n; // Taylor at a / 4096, …
    for (let n = 0; n < 12; n++) e = e * e / one; // … squared twelve times
    const w = e * one / (2n * one + e); // log(1 + e) = 2 artanh(e / (2 + e))
    for (let n = 1n, power = w; power; n += 2n, power = power * w / one * w / one) sum += power / n;
    return [a * (x > 0 ? one - label : label) / one + 2n * sum, bits];
  };
  const errorInEps = (computed, [loss, bits], [, t, emin]) => { // of the smallest normal number, if that is larger
    if (!isFinite(computed)) return abs(computed);
    const off = fixed(computed, bits) - loss, least = (1n << bits) >> BigInt(-emin);
    return Number(((off < 0n ? -off : off) << 99n) / (loss > least ? loss : least)) * 2 ** (t - 99);
  };

  // Numbers as NumPy prints them: the fewest digits that lead back to them.
  const layout = (digits, e, small) =>
    small ? digits.replace(/^.(?=.)/, "$&.") + "e-" + `${-e}`.padStart(2, 0)
    : e < 0 ? "0." + "0".repeat(-e - 1) + digits
    : digits.slice(0, e + 1).padEnd(e + 1, 0) + "." + (digits.slice(e + 1) || 0);
  const show = (v, r) => {
    if (v < 0) return "-" + show(-v, r);
    if (!v || v === Infinity) return v ? "inf" : v === 0 ? "0.0" : "nan";
    let n = 0, s;
    do s = v.toExponential(n++); while (r(+s) !== v);
    const longer = v.toExponential(n), even = longer.replace(/([02468])5e/, "$1e"); // JavaScript rounds ties up
    if (even !== longer && n < 16 && +longer === v && r(+even) === v) s = even;
    const [digits, e] = s.split("e");
    return layout(digits.replace(".", ""), +e, v < 1e-4);
  };
  const showExact = ([loss, bits]) => { // 17 digits
    const s = `${loss * 10n ** bits >> bits}`, digits = `${(BigInt(s.slice(0, 18)) + 5n) / 10n}`;
    const e = s.length - Number(bits) + digits.length - 18; // one more where rounding carries
    return layout(digits.slice(0, 17).replace(/0+$/, ""), e, e < -4);
  };
  const showError = v => v < 1000 ? `${+v.toPrecision(2)}` : isFinite(v) ? v.toExponential(1).replace("+", "") : "inf";

  const STYLE = `
    :host { --paper: var(--color-background-primary, var(--jp-layout-color0, transparent));
      display: block; max-width: 38em; padding: .7em 3px 3px; font-size: 15px; line-height: 1.6 }
    div, label { display: flex; flex-wrap: wrap; align-items: center; gap: .2em .8em }
    label { flex: 1 10em }
    input, select { box-sizing: border-box; min-height: 28px; min-width: 0;
      font: inherit; color: inherit; background: var(--paper) }
    option { background: #fff; color: #000 }
    [type=range] { flex: 1 }
    [type=number] { width: 9em; border: 1px solid }
    svg { display: block; width: 100%; height: 254px; margin: .5em 0; font-size: 13px }
    path, circle { fill: none; stroke: currentColor; stroke-width: 2.5 }
    text { fill: currentColor; stroke: var(--paper); stroke-width: 4; paint-order: stroke }
    th, td { padding: 0 .8em 0 0; font-weight: normal; text-align: left }
    [scope=row] { white-space: nowrap }
    td { font: 13px monospace; white-space: nowrap }
    th svg { display: inline; width: 26px; height: 12px; margin: 0 .5em 0 0 }
    .naive { stroke: #d55e00; stroke-width: 6 }
    .library, .thin { stroke-opacity: .6 }
    .stable { stroke: #0072b2; stroke-dasharray: 7 5 }
    .floor { stroke-opacity: .4; stroke-width: 12 }
    .gap { stroke: #009e73; stroke-width: 12 }
    .thin { stroke-width: 1 }
    .naive, .stable, .gap { filter: var(--book-figure, none) }`;

  // Axes, their scales, and curves on them: infinity is the upper edge, and no line leads there.
  const LEFT = 42, RIGHT = 20, TOP = 26, FOOT = 210;
  const text = (x, y, words, anchor = "middle") => `<text x="${x}" y="${y}" text-anchor="${anchor}">${words}</text>`;
  const path = (kind, d) => `<path class="${kind}" d="${d}"/>`;
  const rect = (x, y, x2, y2, fill) => `<rect x="${x}" y="${y}" width="${x2 - x}" height="${y2 - y}" ${fill}/>`;
  const axes = (width, least, most, top, words) => {
    const sx = v => LEFT + (v - least) / (most - least) * (width - LEFT - RIGHT);
    const sy = v => FOOT - (isFinite(v) ? v / top : 1) * (FOOT - TOP);
    const at = i => least + (most - least) * i / 240;
    const drawn = path("thin", `M${LEFT} ${TOP}V${FOOT}H${width - RIGHT}`) + text(0, 12, "loss (nats)", "start")
      + [0, 60, 120, 180, 240].map(i => text(sx(at(i)), FOOT + 22, at(i))).join("") + text(sx(at(120)), FOOT + 38, words)
      + [0, top / 2, top].map(v => text(LEFT - 6, sy(v) + 4, v, "end")).join("");
    const curve = (kind, f) => {
      let d = "", before;
      for (let i = 0; i <= 240; i++) {
        const y = f(at(i)), finite = isFinite(y);
        d += (finite === before ? "L" : "M") + sx(at(i)).toFixed(1) + " " + sy(y).toFixed(1);
        before = finite;
      }
      return path(kind, d);
    };
    return { sx, sy, drawn, curve };
  };

  const slider = (name, value) => `<div>
    <label>${name} <input type="range" name="${name}" min="0" max="1" step=".01" value="${value}"></label>
    <input type="number" name="${name}" min="0" max="1" step="any" value="${+value}" aria-label="${name}"></div>`;

  // Pairs of a slider and a field, a picture, and a table that is read out as it changes.
  class Explorer extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;
      const root = this.attachShadow({ mode: "open" }), [head, ...rows] = this.table;
      root.innerHTML = `<style>${STYLE}</style>${this.controls(this.dataset)}
        <svg role="img" aria-label="${this.alt}"></svg>
        <table aria-live="polite"><thead><tr>${head.map(name => `<th scope="col">` + name).join("")}<tbody>`
        + rows.map(([name, kind]) => `<tr aria-atomic="true"><th scope="row">`
          + (kind ? `<svg aria-hidden="true">${path(kind, "M0 6H26")}</svg>` : "")
          + name + "<td>".repeat(head.length - 1)).join("");
      this.all = selector => [...root.querySelectorAll(selector)];
      root.addEventListener("input", ({ target }) => this.update(target));
      root.addEventListener("change", () => this.update());
      root.addEventListener("keydown", event => event.stopPropagation()); // the page's shortcuts are not meant
      new ResizeObserver(() => this.update()).observe(this.all("svg")[0]);
    }

    update(edited) {
      this.adjust?.();
      const values = this.all("[type=number]").map(field => {
        const [range] = this.all(`[name=${field.name}]`);
        const value = max(field.min, min(field.max, edited === range ? range.value : field.value));
        range.value = value;
        if (edited !== field) field.value = value; // but not while it is typed
        return value;
      });
      const [svg] = this.all("svg"), cells = this.all("td");
      svg.innerHTML = this.draw(max(svg.clientWidth, 280), ...values);
      this.numbers(...values).forEach((number, i) => cells[i].textContent === number || (cells[i].textContent = number));
    }
  }

  customElements.define("loss-explorer", class extends Explorer {
    static arithmetic = { TYPES, FORMS, slope, exact, errorInEps, show, showExact };
    alt = "The loss against the logit, by three formulas; the numbers at the mark are in the table.";
    table = [["form", "loss", "error in eps"],
      ["naive", "naive"], ["max/abs", "library"], ["book’s", "stable"], ["exact"], ["slope"]];

    controls({ logit, label, dtype }) {
      const options = Object.keys(TYPES).map(name => `<option ${name === dtype ? "selected" : ""}>` + name);
      return slider("logit", logit) + slider("label", label) + `<label>dtype <select>${options.join("")}</select></label>`;
    }

    adjust() {
      this.dtype = this.all("select")[0].value;
      this.range = JSON.parse(this.dataset.ranges)[this.dtype];
      const inputs = this.all("[name=logit]");
      inputs[0].step = this.range / 200;
      for (const input of inputs) Object.assign(input, { max: this.range, min: -this.range });
    }

    numbers(logit, label) {
      const type = TYPES[this.dtype], [r] = type, x = r(logit), z = r(label), truth = exact(x, z);
      const losses = Object.values(FORMS).map(form => form(x, z, r));
      return [...losses.flatMap(v => [show(v, r), showError(errorInEps(v, truth, type))]),
        showExact(truth), "", show(slope(x, z, r), r), ""];
    }

    draw(width, logit, label) {
      const { range, dtype } = this, [r, t, emin] = TYPES[dtype], x = r(logit), z = r(label);
      const { sx, sy, drawn, curve } = axes(width, -range, range, range, `logit x (${dtype})`);
      const edge = sx(-log((2 - 2 ** -t) * 2 ** (1 - emin)));
      return `<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        ${path("thin", "M0 0V7")}</pattern>` + rect(LEFT, TOP, edge, FOOT, `fill="url(#hatch)"`)
        + drawn + path("thin", `M${sx(x)} ${TOP}V${FOOT}`)
        + Object.entries(FORMS).map(([kind, form], i) => curve(kind, v => form(r(v), z, r))
          + `<circle class="${kind}" cx="${sx(x)}" cy="${sy(form(x, z, r))}" r="${8 - 2.5 * i}"/>`).join("")
        + text(edge + 6, TOP + 4, "naive: inf, exp(−x) overflows", "start")
        + text(sx(range / 2) - 8, sy((1 - z) * range / 2) - 9, "all three", "end")
        + (z < .8 && edge > LEFT + 105 ? text(LEFT + 6, sy(z * range) - 9, "max/abs, book’s", "start") : "");
    }
  });

  const part = (a, b) => a && a * log(a / b);
  customElements.define("divergence-explorer", class extends Explorer {
    alt = "The cross-entropy against q: the entropy of p is its floor. The numbers at the mark are in the table.";
    table = [["part", "nats"],
      ["entropy H(p)", "floor"], ["divergence KL(p ‖ q)", "gap"], ["cross-entropy H(p, q)", "line"]];

    controls({ p, q }) {
      return slider("p", p) + slider("q", q);
    }

    parts(p, q) {
      const entropy = -part(p, 1) - part(1 - p, 1), divergence = max(0, part(p, q) + part(1 - p, 1 - q));
      return [entropy, divergence, entropy + divergence];
    }

    numbers(p, q) {
      return this.parts(p, q).map(v => isFinite(v) ? v.toFixed(6) : "inf");
    }

    draw(width, p, q) {
      const { sx, sy, drawn, curve } = axes(width, 0, 1, 2, "probability q");
      const cross = v => min(9, this.parts(p, v)[2]), x = sx(q), y = sy(cross(q)), floor = sy(this.parts(p, q)[0]);
      return rect(LEFT, floor, width - RIGHT, FOOT, `fill="currentColor" fill-opacity=".12"`) + curve("line", cross) + drawn
        + path("floor", `M${x} ${FOOT}V${floor}`) + path("gap", `M${x} ${floor}V${y}`)
        + text(LEFT + 6, FOOT - 6, "entropy H(p)", "start")
        + text(x + (q < p ? 10 : -10), max(y, TOP), "KL(p ‖ q)", q < p ? "start" : "end");
    }
  });
})();
