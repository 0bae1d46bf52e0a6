// What the figures that readers push on share: number types, exact numbers, how numbers are written, and the frame around a
// picture, with its fields, its marker and its link. Each figure is a custom element in a shadow root of its own.
window.bookExplorers ||= (() => {
  const { abs, floor, max, min } = Math;

  // ---- Types: an operation in a type is the double's operation, rounded to the type.
  const view = new DataView(new ArrayBuffer(8));
  const exponent = v => (view.setFloat64(0, v), (view.getUint16(0) >> 4 & 2047) - 1023);
  const type = (t, emin, round) => {
    const largest = (2 - 2 ** -t) * 2 ** (1 - emin), tiny = 2 ** emin, step = v => 2 ** (max(exponent(v), emin) - t);
    round ||= v => {
      if (!v || !isFinite(v)) return v;
      const unit = step(v), rounded = (v / unit + 1.5 * 2 ** 52 - 1.5 * 2 ** 52) * unit; // whole steps, ties to even
      return abs(rounded) > largest ? rounded * Infinity : rounded;
    };
    const up = v => v < 0 ? -down(-v) : round(v + step(v));
    const down = v => v <= 0 ? -up(-v) : v === Infinity ? largest : v - step(v - step(v) / 2); // denser below a power of two
    return { round, t, emin, eps: 2 ** -t, tiny, largest, step, up, down };
  };
  const TYPES = { // bits of the fraction, exponent of the smallest normal number
    float16: type(10, -14), bfloat16: type(7, -126), float32: type(23, -126, Math.fround), float64: type(52, -1022, v => v),
  };

  // ---- Exact numbers: [m, e] is m 2^e. Sums and products keep 400 bits, and exp and log are right to 190.
  const F = 256n, ONE = 1n << F, ln2 = (() => { // 2 artanh(1/3)
    let sum = 0n;
    for (let n = 1n, power = 2n * ONE / 3n; power; n += 2n, power /= 9n) sum += power / n;
    return sum;
  })();
  const bits = m => (m < 0n ? -m : m).toString(16).length * 4;
  const shift = (m, by) => by < 0 ? m >> BigInt(-by) : m << BigInt(by);
  const trim = ([m, e]) => {
    const extra = bits(m) - 400;
    return extra > 0 ? [m >> BigInt(extra), e + extra] : [m, e];
  };
  const big = v => {
    const e = max(exponent(v), -1022) - 52, m = BigInt(abs(v) / 2 ** max(e, -1022) / 2 ** min(e + 1022, 0));
    return [v < 0 ? -m : m, e];
  };
  const plus = (a, b) => {
    if (!a[0] || !b[0]) return a[0] ? a : b;
    if (a[1] < b[1]) [a, b] = [b, a];
    return a[1] - b[1] > 5000 ? a : trim([(a[0] << BigInt(a[1] - b[1])) + b[0], b[1]]);
  };
  const minus = (a, b) => plus(a, [-b[0], b[1]]);
  const times = (a, b) => trim([a[0] * b[0], a[1] + b[1]]);
  const over = (a, b) => {
    const more = max(0, 400 + bits(b[0]) - bits(a[0]));
    return [(a[0] << BigInt(more)) / b[0], a[1] - b[1] - more];
  };
  const toNumber = ([m, e]) => {
    const extra = max(bits(m) - 64, 0), power = e + extra;
    return Number(m >> BigInt(extra)) * 2 ** max(power, -1000) * 2 ** min(power + 1000, 0);
  };
  const expMinus = a => { // e^-a for a >= 0: a = k log 2 + r, and e^-r by Taylor at r / 256, squared eight times
    const whole = shift(a[0], a[1] + 256), k = whole / ln2, r = (whole - k * ln2) >> 8n;
    let e = ONE;
    for (let n = 1n, term = ONE; term; n++) e += term = -term * r / ONE / n;
    for (let n = 0; n < 8; n++) e = e * e >> F;
    return [e, -256 - Number(k)];
  };
  const log1p = v => { // log(1 + v) for v >= 0: 1 + v = 2^k (1 + f), and log(1 + f) = 2 artanh(f / (2 + f))
    const sum = plus([1n, 0], v), k = max(0, sum[0].toString(2).length - 1 + sum[1]);
    const f = k ? minus([sum[0], sum[1] - k], [1n, 0]) : v, w = over(f, plus(f, [2n, 0])), square = times(w, w);
    const factor = shift(square[0], max(square[1] + 256, -9999));
    let series = 0n;
    for (let n = 1n, power = 2n * ONE; power; n += 2n, power = power * factor >> F) series += power / n;
    return plus(times(w, [series, -256]), [BigInt(k) * ln2, -256]);
  };
  const errorInEps = (computed, exact, { t, emin }) => { // of the smallest normal number, if that is larger
    if (!isFinite(computed)) return abs(computed);
    const off = minus(big(computed), exact), least = [1n, emin];
    return abs(toNumber(over(off, minus(exact, least)[0] > 0n ? exact : least))) * 2 ** t;
  };

  // ---- Numbers as NumPy prints them: the fewest digits that lead back to them.
  const layout = (digits, e, small) =>
    small || e > 15 ? digits.replace(/^.(?=.)/, "$&.") + (e < 0 ? "e-" : "e+") + `${abs(e)}`.padStart(2, 0)
    : e < 0 ? "0." + "0".repeat(-e - 1) + digits
    : digits.slice(0, e + 1).padEnd(e + 1, 0) + "." + (digits.slice(e + 1) || 0);
  const show = (v, { round }) => {
    if (v < 0) return "-" + show(-v, { round });
    if (!v || v === Infinity) return v ? "inf" : v === 0 ? "0.0" : "nan";
    let n = 0, s;
    do s = v.toExponential(n++); while (round(+s) !== v);
    const longer = v.toExponential(n), even = longer.replace(/([02468])5e/, "$1e"); // JavaScript rounds ties up
    if (even !== longer && n < 16 && +longer === v && round(+even) === v) s = even;
    const [digits, e] = s.split("e");
    return layout(digits.replace(".", ""), +e, v < 1e-4);
  };
  const showExact = ([m, e], places = 17) => {
    if (m < 0n) return "-" + showExact([-m, e], places);
    if (!m) return "0.0";
    const size = floor((bits(m) + e) * .30103), up = places + 3 - size; // the decimal exponent, or up to two less
    if (up > 99999) return "< 1e-99000"; // too many digits to wait for
    const s = `${up < 0 ? shift(m, e) / 10n ** BigInt(-up) : shift(m * 10n ** BigInt(up), e)}`;
    const digits = `${(BigInt(s.slice(0, places + 1)) + 5n) / 10n}`, power = s.length - up - 1 + digits.length - places;
    return layout(digits.slice(0, places).replace(/0+$/, ""), power, power < -4);
  };
  const showError = (computed, exact, kind) => { // of the type `kind`
    const least = [1n, kind.emin], small = minus(exact, least)[0] < 0n && exact[0];
    if (small && abs(computed) < kind.tiny) return "underflow";
    const error = errorInEps(computed, exact, kind);
    return error < 1000 ? `${+error.toPrecision(2)}` : isFinite(error) ? error.toExponential(1).replace(/\+(?=.$)/, "+0")
      : show(error, kind);
  };
  const decimal = v => isFinite(v) ? `${+v.toPrecision(12)}`.replace(/e([+-])(.)$/, "e$10$2") : show(v, TYPES.float64);

  // ---- Sums in a type
  const inLanes = (terms, lanes, round) => { // lane l adds the terms l, l + lanes, l + 2 lanes, …
    const sums = new Array(min(lanes, terms.length)).fill(0);
    for (let j = 0; j < terms.length; j++) sums[j % lanes] = round(sums[j % lanes] + terms[j]);
    return sums;
  };
  const pairwise = (a, r) => { // as NumPy adds: eight sums side by side, and halves above 128
    const n = a.length, whole = n - n % 8, half = floor(n / 2) - floor(n / 2) % 8;
    if (n > 128) return r(pairwise(a.slice(0, half), r) + pairwise(a.slice(half), r));
    let s = n < 8 ? [0] : inLanes(a.slice(0, whole), 8, r);
    while (s.length > 1) s = s.flatMap((v, i) => i % 2 ? [] : [r(v + s[i + 1])]);
    return a.slice(n < 8 ? 0 : whole).reduce((sum, v) => r(sum + v), s[0]);
  };

  // ---- Drawing
  const text = (x, y, words, kind = "") => `<text class="${kind}" x="${x}" y="${y}">${words}</text>`;
  const path = (kind, d) => `<path class="${kind}" d="${d}"/>`;
  const rect = (x, y, x2, y2, kind) =>
    `<rect class="${kind}" x="${x}" y="${y}" width="${max(x2 - x, 0)}" height="${max(y2 - y, 0)}"/>`;
  const line = (kind, points) => { // of [x, y]; NaN interrupts it
    let d = "", on = false;
    for (const [x, y] of points) {
      if (!isNaN(y)) d += (on ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1);
      on = !isNaN(y);
    }
    return path(kind, d);
  };

  const STYLE = `
    :host { --paper: var(--color-background-primary, var(--jp-layout-color0, #fff)); --rule: var(--color-background-border, #bbb);
      display: block; max-width: 38em; padding: .7em 3px 3px; font-size: 15px; line-height: 1.5; text-align: left }
    form > div, label { display: flex; flex-wrap: wrap; align-items: center; gap: .2em .8em }
    form > div { margin: .2em 0 }
    label { flex: 1 10em }
    input, select, button, textarea { box-sizing: border-box; min-height: 28px; min-width: 0; font: inherit; color: inherit;
      background: var(--paper); border: 1px solid; border-radius: 3px; padding: 0 .5em }
    option { background: #fff; color: #000 }
    [type=range] { flex: 1; padding: 0; border: 0; accent-color: var(--color-brand-primary, #0072b2) }
    [type=text] { width: 9em }
    textarea { width: 100%; height: 4.5em; padding: .3em .5em; font: 13px monospace }
    button { cursor: pointer }
    a { color: inherit; display: inline-block; min-height: 24px }
    :focus-visible { outline: 2px solid; outline-offset: 2px }
    [aria-invalid=true] { border: 2px solid #d55e00 }
    p { margin: .3em 0; font-size: 14px }
    .fault:empty { display: none }
    .fault { border-left: 4px solid #d55e00; padding-left: .6em }
    svg.picture { display: block; width: 100%; margin: .5em 0; font-size: 13px; touch-action: pan-y; user-select: none }
    .drag { cursor: ew-resize }
    path, circle, rect { fill: none; stroke: currentColor; stroke-width: 2.5 }
    text { fill: currentColor; stroke: var(--paper); stroke-width: 4; paint-order: stroke; stroke-linejoin: round }
    .middle { text-anchor: middle } .end { text-anchor: end } .bold { font-weight: 600 }
    table { width: 100%; table-layout: fixed; border-collapse: collapse }
    th, td { padding: .1em .6em .1em 0; font-weight: normal; text-align: left; vertical-align: baseline; overflow-wrap: anywhere }
    tbody th:has(svg) { padding-left: 30px; text-indent: -30px } sub { line-height: 0 }
    thead th { border-bottom: 1px solid; font-size: 14px }
    td { font: 13px/1.7 monospace } td:last-child { padding-right: 0 }
    th svg { width: 24px; height: 12px; margin: 0 .3em 0 0 }
    .naive { stroke: #d55e00; stroke-width: 6 } .library { stroke: #666 } .stable { stroke: #0072b2; stroke-dasharray: 7 5 }
    .naive, .library, .stable, .gap, .filled { filter: var(--book-figure, none) }
    .exact, .thin { stroke-width: 1 } .strip { fill: currentColor; fill-opacity: .07; stroke: none }
    .rule { stroke-width: 1; stroke-dasharray: 2 3 }
    .hatch { fill: url(#hatch); stroke: none }
    .marker { outline: none } .marker path { stroke-width: 1.5 } .marker circle { fill: var(--paper); stroke-width: 2 }
    .marker:focus-visible circle { stroke-width: 5 }
    footer { display: flex; flex-wrap: wrap; gap: .3em 1em; align-items: center; font-size: 14px; margin-top: .4em }
    @media (max-width: 500px) { td { font-size: 12px } thead th { font-size: 13px } tbody th:has(svg) { padding-left: 0; text-indent: 0 } }
    @media print { form, footer, .marker circle { display: none } }`;
  const HATCH = `<pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
    <path d="M0 0V7" style="stroke-width:1.5;stroke-opacity:.45"/></pattern>`;

  // ---- What a reader types. A comma is a decimal point, unless it may stand between thousands; nothing is clamped.
  const NAMES = { inf: Infinity, "+inf": Infinity, "-inf": -Infinity, nan: NaN };
  const read = (typed, { label = "", whole, least = -Infinity, most = Infinity }) => {
    const s = typed.trim().replace(/[−–]/, "-").toLowerCase();
    if (/^[-+]?[1-9]\d{0,2}(,\d{3})+$/.test(s)) throw `${label}: write ${typed.trim()} without a comma`;
    const number = s in NAMES ? NAMES[s] : /^[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?$/.test(s) ? +s.replace(",", ".") : undefined;
    if (number === undefined) throw `${label}: “${typed}” is not a number`;
    if (whole && number % 1 !== 0) throw `${label} must be a whole number, got ${typed}`;
    if (!(number >= least && number <= most) && (least > -Infinity || most < Infinity))
      throw `${label} must lie in [${least}, ${most}], got ${typed}`;
    return number;
  };

  // Fields, a picture with a marker, a table that is read out as it changes, and a link that carries the state. A figure gives
  // `inputs`, `head`, `rows`, `alt`; `draw(values, width)`, which sets `height` and perhaps `axis`; `numbers(values)`, the cells.
  class Explorer extends HTMLElement {
    static TYPES = TYPES;

    connectedCallback() {
      if (this.shadowRoot) return;
      const root = this.attachShadow({ mode: "open" }), { inputs, head, rows, presets = {} } = this;
      const control = input => {
        const { name, label = name, options, stops, area } = input;
        const choice = `<select name="${name}">${options?.map(option => `<option>${option}`).join("")}</select>`;
        if (options) return `<label>${label} ${choice}</label>`;
        if (area) return `<label>${label} <textarea name="${name}" spellcheck="false"></textarea></label>`;
        const field = `<input type="text" inputmode="decimal" autocomplete="off" name="${name}"`, end = stops?.length - 1;
        return stops ? `<label>${label} <input type="range" data-of="${name}" min="0" max="${end}"></label>
          ${field} aria-label="${label}">` : `<label>${label} ${field}></label>`;
      };
      root.innerHTML = `<style>${STYLE}${this.style_ || ""}</style><form>${inputs.map(i => `<div>${control(i)}</div>`).join("")}
        <div>${Object.keys(presets).map(name => `<button type="button" class="preset">${name}</button>`).join("")}</div></form>
        <p class="fault" role="alert"></p><p class="use"></p>
        <svg class="picture" role="group" aria-label="${this.alt}">${HATCH}<g class="drawn" aria-hidden="true"></g>
          <g class="marker" role="slider" tabindex="0"></g></svg>
        <table aria-live="polite"><thead><tr>${head.map(name => `<th scope="col">` + name).join("")}<tbody>`
        + rows.map(([name, kind, span]) => `<tr aria-atomic="true"><th scope="row">`
          + (kind ? `<svg aria-hidden="true">${path(kind, "M0 6H24")}</svg>` : "") + name
          + (span ? `<td colspan="${span}">` : "<td>".repeat(head.length - 1))).join("")
        + `</table><p class="notes"></p><footer><button type="button" class="reset">Reset</button>
          <a class="link" href="#">Link to this state</a></footer>`;
      this.one = selector => root.querySelector(selector);
      this.all = selector => [...root.querySelectorAll(selector)];
      root.addEventListener("submit", event => event.preventDefault());
      root.addEventListener("keydown", event => event.stopPropagation()); // the page's shortcuts are not meant
      root.addEventListener("input", ({ target }) => {
        const { of } = target.dataset;
        if (of) this.one(`[name=${of}]`).value = inputs.find(i => i.name === of).stops[target.value];
        this.update();
      });
      this.one("form").addEventListener("click", ({ target }) => {
        const state = presets[target.textContent];
        if (state) this.set(typeof state === "function" ? state(this.read()) : state);
      });
      this.one(".reset").addEventListener("click", () => this.set(this.dataset));
      this.one(".link").addEventListener("click", event => this.share(event));
      this.steer(this.one(".picture"), this.one(".marker"));
      this.place = () => this.closest("figure")?.id || this.localName;
      addEventListener("hashchange", () => this.restore());
      this.set(this.dataset);
      if (this.restore()) addEventListener("load", () => this.scrollIntoView());
      let width;
      new ResizeObserver(() => width !== (width = this.clientWidth) && this.update()).observe(this);
    }

    set(state) {
      for (const { name } of this.inputs) if (name in state) this.one(`[name=${name}]`).value = state[name];
      this.update();
    }

    restore() { // the state that the page's address carries
      const [place, query] = location.hash.slice(1).split("?");
      if (!query || decodeURIComponent(place) !== this.place()) return false;
      this.set({ ...this.dataset, ...Object.fromEntries(new URLSearchParams(query)) });
      return true;
    }

    share({ target }) {
      navigator.clipboard?.writeText(target.href).then(() => { target.textContent = "Link copied"; }, () => {});
      setTimeout(() => { target.textContent = "Link to this state"; }, 2000);
    }

    steer(svg, marker) { // by mouse and touch anywhere in the picture, and by keys at the marker
      let start, drags;
      const go = value => {
        this.set({ [this.axis.name]: `${value}` });
        marker.focus({ preventScroll: true });
      };
      const snap = v => +(Math.round(v / this.axis.step) * this.axis.step).toPrecision(9);
      const point = event => {
        if (!this.axis) return;
        const { left, width } = svg.getBoundingClientRect(), { from, to, least, most } = this.axis;
        const part = ((event.clientX - left) * this.width / width - from) / (to - from);
        go(part >= 1 ? most : snap(least + max(0, part) * (most - least)));
      };
      svg.addEventListener("pointerdown", event => {
        if (event.button || !this.axis) return;
        svg.setPointerCapture(event.pointerId);
        start = event;
        drags = event.pointerType === "mouse"; // a finger may be about to scroll the page
        if (drags) { event.preventDefault(); point(event); }
      });
      svg.addEventListener("pointermove", event => {
        if (!svg.hasPointerCapture(event.pointerId)) return;
        drags ||= abs(event.clientX - start.clientX) > max(6, abs(event.clientY - start.clientY));
        if (drags) point(event);
      });
      svg.addEventListener("click", point);
      marker.addEventListener("keydown", event => {
        const { least, most, step, value, next } = this.axis;
        const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
        const to = { Home: least, End: most }[event.key] ?? (by && (next ? next(value, by) : snap(value + by * step)));
        if (to === undefined) return;
        event.preventDefault();
        go(max(min(least, value), min(max(most, value), to)));
      });
    }

    read(values = {}) {
      for (const input of this.inputs) {
        const field = this.one(`[name=${input.name}]`);
        field.setAttribute("aria-invalid", "true");
        const limits = { label: input.name, ...input, ...input.limits?.(values) };
        values[input.name] = input.options ? field.value : (input.read || read)(field.value, limits);
        field.setAttribute("aria-invalid", "false");
        const slider = this.one(`[data-of=${input.name}]`);
        if (slider) {
          const distances = input.stops.map(stop => abs(stop - values[input.name]));
          slider.value = distances.indexOf(min(...distances));
          slider.setAttribute("aria-valuetext", field.value);
        }
      }
      return values;
    }

    update() {
      const [fault, svg, marker, link] = [".fault", ".picture", ".marker", ".link"].map(this.one);
      const cells = this.all("td"), put = (node, words) => node.textContent === words || (node.textContent = words);
      let values;
      try { values = this.read(); } catch (message) {
        if (typeof message !== "string") throw message;
        put(fault, message);
        svg.style.opacity = .25;
        cells.forEach(cell => put(cell, "–"));
        put(this.one(".use"), "");
        this.one(".notes").innerHTML = "";
        return;
      }
      put(fault, "");
      svg.style.opacity = "";
      this.width = max(this.clientWidth - 6, 280);
      this.one(".drawn").innerHTML = this.draw(values, this.width);
      svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      svg.classList.toggle("drag", !!this.axis);
      marker.style.display = this.axis ? "" : "none";
      if (this.axis) {
        const { name, from, to, least, most, value, top, foot } = this.axis;
        const x = (from + max(0, min(1, (value - least) / (most - least))) * (to - from)).toFixed(1);
        marker.innerHTML = path("", `M${x} ${top}V${foot}`) + `<circle cx="${x}" cy="${foot}" r="7"/>`;
        const plain = v => v.toFixed(20).replace(/\.?0+$/, ""), now = max(least, min(most, value)) || 0; // without an exponent
        const said = { label: name, valuemin: plain(least), valuemax: plain(most), valuenow: plain(now), valuetext: value };
        for (const key in said) marker.setAttribute("aria-" + key, said[key]);
      }
      this.numbers(values).forEach((number, i) => put(cells[i], number));
      put(this.one(".use"), this.inUse?.(values) || "");
      this.one(".notes").innerHTML = this.notes?.(values) || "";
      const state = this.inputs.map(({ name }) => [name, this.one(`[name=${name}]`).value]);
      link.href = `#${this.place()}?${new URLSearchParams(state)}`;
    }
  }

  return { TYPES, big, plus, minus, times, over, toNumber, expMinus, log1p, errorInEps, show, showExact, showError, decimal,
    inLanes,
    pairwise, text, path, rect, line, read, Explorer };
})();
