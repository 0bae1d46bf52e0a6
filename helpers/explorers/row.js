// A row of logits that the reader pastes: its exact loss and slope, what each form gives, and what to look at.
customElements.get("row-explorer") || (({ TYPES, big, plus, minus, times, over, toNumber, expMinus, log1p, inLanes, pairwise,
  show, showExact, showError, text, path, rect, read, Explorer }) => {
  const { abs, exp, floor, log, max } = Math, MOST = 300000;

  const NUMBER = "[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[-+]?\\d+)?|[-+]?inf(?:inity)?|nan";
  const readRow = (typed, { label = "row" }) => { // numbers as they are printed, and 50256 × 0
    let rest = typed.toLowerCase().replace(/[−–]/g, "-").replace(/×/g, "*");
    if (/\.\.\.|…/.test(rest)) throw `${label}: print all logits, without …, or write the equal ones as 50256 × 0`;
    rest = rest.replace(/\b\w+\s*=\s*(<[^>]*>|'[^']*'|"[^"]*"|\([^)]*\)|[a-z_][\w.]*(?![\w.(]))/g, " ") // dtype=float32
      .replace(/\b(tf\.|torch\.|np\.|jnp\.)?(tensor|array|float(16|32|64))\b:?|\bnumpy\s*=/g, " ");
    if (/\]\s*,?\s*\[/.test(rest)) throw `${label}: paste a single row`;
    const one = new RegExp(`(?<![\\w.])(?:(\\d+)\\s*[*x]\\s*)?(${NUMBER})(?![\\w.])`, "g"), row = [];
    const left = rest.replace(one, (_, times, number) => {
      if (row.length + (+times || 1) > MOST) throw `${label}: at most ${MOST} logits`;
      const v = /inf/.test(number) ? (number[0] === "-" ? -Infinity : Infinity) : +number;
      for (let n = times === undefined ? 1 : +times; n--;) row.push(v);
      return " ";
    }).replace(/[\s,;[\](){}<>]/g, "");
    if (left) throw `${label}: cannot read “${left.slice(0, 20)}”`;
    if (!row.length) throw `${label}: no logit yet`;
    return row;
  };

  const top = row => row.reduce((a, b) => a > b || a !== a ? a : b), foot = row => -top(row.map(v => -v));
  const asEigen = (terms, round) => terms.length > 8192 // TensorFlow on a CPU, float32: halves, then 32 sums
    ? (half => round(asEigen(terms.slice(0, half), round) + asEigen(terms.slice(half), round)))(floor(terms.length / 16) * 8)
    : pairwise(inLanes(terms, 32, round), round);
  const compute = (row, y, { round: r }) => {
    const m = top(row), a = row.indexOf(m);
    const shifted = row.map(v => r(v - m)), terms = shifted.map(v => r(exp(v))), without = i => terms.filter((_, j) => j !== i);
    const in16 = pairwise(inLanes(terms, 16, r), r), once = r(terms.reduce((sum, v) => sum + v));
    const others = pairwise(without(y), r);
    return {
      in16: r(r(log(in16)) - shifted[y]), eigen: r(r(log(asEigen(terms, r))) - shifted[y]), optax: r(r(m + r(log(once))) - row[y]),
      softmax: -r(log(r(terms[y] / once))), stable: r(r(m - row[y]) + r(Math.log1p(pairwise(without(a), r)))),
      slope: r(r(terms[y] / in16) - 1), others: -r(others / r(terms[y] + others)),
    };
  };
  const exact = (row, y) => { // loss and slope, of finite logits or -inf
    const m = top(row), counts = new Map();
    for (const v of row) counts.set(v, (counts.get(v) || 0) + 1);
    counts.set(row[y], counts.get(row[y]) - 1);
    const e = v => v === -Infinity ? [0n, 0] : expMinus(minus(big(m), big(v))), own = e(row[y]);
    let others = [0n, 0];
    for (const [v, n] of counts) others = plus(others, times([BigInt(n), 0], e(v)));
    const total = plus(own, others), rest = minus(total, [1n, 0]); // 1 is the term of the largest
    const loss = plus(minus(big(m), big(row[y])), log1p(row[y] === m ? others : rest));
    return { loss, slope: over([-others[0], others[1]], total) };
  };

  const GUIDE = "why-is-my-loss-nan.html";
  const warn = (row, y, type, found, truth) => {
    const finite = row.every(isFinite), m = top(row), said = [];
    const say = (words, place) => said.push(`<li>${words} <a href="${GUIDE}#${place}">Read on.</a>`);
    if (row.some(v => isNaN(v) || v === Infinity)) say("A logit is nan or inf, and so are the loss and the gradient.", "guide-data");
    if (row[y] === -Infinity) say("The label’s own class is masked: its loss is infinite.", "guide-masked");
    else if (row.includes(-Infinity))
      say("A masked class costs nothing by its index, and nan with one-hot labels in some libraries.", "guide-masked");
    if (!finite) return said;
    const loss = max(toNumber(truth.loss), type.tiny), lost = v => abs(v - loss) > 100 * type.eps * loss;
    const sum = row.reduce((a, b) => a + b);
    if (found.softmax === Infinity) say("The softmax rounds to 0: a loss of probabilities is infinite, or sits at its clip.", "guide-log-p");
    if (m > log(type.largest)) say("exp of the largest logit overflows where nothing is subtracted first.", "guide-exp");
    const costs = found.in16 ? "digits are lost" : "the loss is exactly 0";
    if (lost(found.in16)) say(`A sum that contains a 1 absorbs small terms: ${costs}.`, "guide-small");
    if (lost(found.optax)) say("Adding the largest logit and subtracting the label’s loses digits.", "guide-offset");
    if (foot(row) >= 0 && m <= 1 && abs(sum - 1) < 1e-3 && row.length > 1)
      say("The row looks like probabilities: pass logits, or set from_logits=False.", "guide-floor");
    if (m === foot(row) && row.length > 1) say("All logits are equal: the loss is log C, whatever the label.", "guide-uniform");
    return said;
  };

  const LEFT = 14, RIGHT = 14, AXIS = 74;
  customElements.define("row-explorer", class extends Explorer {
    static arithmetic = { TYPES, readRow, compute, exact, showExact };
    alt = "The logits on a line, with the label, and the range in which a term is absorbed by the largest.";
    inputs = [{ name: "row", label: "row of logits", area: true, read: readRow },
      { name: "label", label: "label, from 0", whole: true, least: 0, limits: ({ row }) => ({ most: row.length - 1 }) },
      { name: "dtype", label: "type", options: Object.keys(TYPES) }];
    presets = { "one token of 50,257": { row: "17, 50256 × 0", label: 0 }, "20, 0, 0": { row: "20, 0, 0", label: 0 },
      "common offset": { row: "tensor([1003., 1000., 999.])", label: 0 },
      "softmax already applied": { row: "[0.7, 0.2, 0.1]", label: 0 } };
    head = ["form and who computes it", "loss", "error in eps"];
    rows = [["log Σ − (x<sub>y</sub> − m), 16 running sums: PyTorch, TensorFlow compiled", "library"],
      ["the same, 32 running sums in pieces: TensorFlow eager, float32", "library"],
      ["(m + log Σ) − x<sub>y</sub>, Σ rounded once: optax, by class index", "library"],
      ["−log of the softmax, Σ rounded once: losses of probabilities", "naive"],
      ["(m − x<sub>y</sub>) + log1p of the others: this book", "stable"], ["exact loss", "exact", 2],
      ["slope at the label, p − 1, 16 running sums", "library", 2], ["slope, minus the others: this book", "stable", 2],
      ["exact slope", "exact", 2]];
    style_ = "thead th { width: 44% } thead th + th { width: 34% } thead th + th + th { width: 22% } th { font-size: 14px }"
      + " ul { margin: .3em 0; padding-left: 1.2em; font-size: 14px }"
      + " .label { fill: #0072b2; stroke: none; filter: var(--book-figure, none) }";
    height = 118;

    find({ row, label, dtype }) {
      const key = [row, label, dtype].join();
      if (key !== this.key) {
        const type = TYPES[dtype], x = row.map(type.round), usual = x.every(v => v < Infinity) && x[label] > -Infinity;
        Object.assign(this, { key, x, type, found: compute(x, label, type), truth: usual ? exact(x, label) : undefined });
      }
      return this;
    }

    inUse(values) {
      const { x, type } = this.find(values), { row, label, dtype } = values;
      const changed = row.filter((v, j) => v !== x[j] && !isNaN(v)).length;
      return `${row.length.toLocaleString("en")} classes; the label’s logit is ${show(x[label], type)}. `
        + (changed ? `${changed} logits were rounded to ${dtype}.` : `All are ${dtype} numbers.`)
        + (type.t < 20 ? ` Every operation is rounded to ${dtype}, which libraries do in part.` : "");
    }

    numbers(values) {
      const { found, truth, type, x } = this.find(values), unusual = x.some(v => v === Infinity || isNaN(v)) ? "nan" : "inf";
      const pair = v => [show(v, type), truth ? showError(v, truth.loss, type) : "–"];
      return [...pair(found.in16), ...values.dtype === "float32" ? pair(found.eigen) : ["–", "–"],
        ...pair(found.optax), ...pair(found.softmax), ...pair(found.stable), truth ? showExact(truth.loss) : unusual,
        show(found.slope, type), show(found.others, type),
        truth ? showExact(truth.slope) : unusual === "inf" ? "-1.0" : unusual];
    }

    notes(values) {
      const { x, found, truth, type } = this.find(values), said = warn(x, values.label, type, found, truth);
      return said.length ? `<ul>${said.join("")}</ul>` : "";
    }

    draw(values, width) {
      const { x, type } = this.find(values), finite = x.filter(isFinite), own = x[values.label];
      if (!finite.length) return "";
      const m = top(finite), low = foot(finite), span = max(m - low, 1) * 1.1;
      const sx = v => width - RIGHT - 40 - (m - v) / span * (width - LEFT - RIGHT - 60), edge = m - (type.t + 1) * log(2);
      const counts = new Map();
      for (const v of finite) counts.set(v, (counts.get(v) || 0) + 1);
      const shown = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 400), left = max(sx(edge), LEFT);
      return (sx(edge) > LEFT ? rect(LEFT, 34, left, AXIS, "hatch") + text(LEFT + 2, 26, "a 1 absorbs each of these terms") : "")
        + path("thin", `M${LEFT} ${AXIS}H${width - RIGHT}`)
        + shown.map(([v]) => path("library", `M${sx(v).toFixed(1)} ${AXIS - 16}V${AXIS}`)).join("")
        + (isFinite(own) ? `<circle class="label" cx="${sx(own).toFixed(1)}" cy="${AXIS - 24}" r="6"/>`
          + text(sx(own) - 10, AXIS - 20, "label", "end") : "")
        + shown.filter(([v]) => shown.length < 5 || v === m || v === low).map(([v, n]) =>
          text(max(sx(v), LEFT + 20), AXIS + 18, n > 1 ? `${n} × ${show(v, type)}` : show(v, type), sx(v) < 60 ? "" : "middle")).join("")
        + text(width / 2, AXIS + 36, "logits x, the largest at the right", "middle");
    }
  });
})(window.bookExplorers);
