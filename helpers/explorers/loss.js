// The sigmoid cross-entropy of one logit and one label, in three forms: the loss, and below it the error, over the logit.
customElements.get("loss-explorer") || (({ TYPES, big, plus, minus, times, toNumber, expMinus, log1p, errorInEps, show,
  showExact, showError, decimal, text, path, rect, line, Explorer }) => {
  const { abs, exp, log, log10, max, min } = Math;

  const FORMS = { // of the logit x and the label z, where r rounds
    naive: (x, z, r) => r(r(x - r(x * z)) + r(log(r(1 + r(exp(-x)))))),
    library: (x, z, r) => r(r(max(x, 0) - r(x * z)) + r(Math.log1p(r(exp(-abs(x)))))),
    stable: (x, z, r) => {
      const wrong = x > 0 ? r(1 - z) : z; // 0 costs nothing, even times infinity
      return r((wrong && r(abs(x) * wrong)) + r(Math.log1p(r(exp(-abs(x))))));
    },
  };
  const slope = (x, z, r) => {
    const e = r(exp(-abs(x))), small = r(e / r(1 + e)); // σ(-|x|)
    return x < 0 ? r(small - z) : r(r(1 - z) - small);
  };
  const exact = (x, z) => { // of a finite logit
    const a = big(abs(x)), wrong = x > 0 ? minus([1n, 0], big(z)) : big(z), linear = times(a, wrong);
    return abs(x) > 1e6 && linear[0] ? linear : plus(linear, log1p(expMinus(a)));
  };

  const WIDEST = { float16: 20, bfloat16: 120, float32: 120, float64: 1000 }; // past the overflow and underflow of exp
  const near = [1e-6, 1e-5, 1e-4, .001, .002, .005, .01, .02, .05, .1, .2, .3, .4];
  const LABELS = [0, ...near, .5, ...near.map(v => +(1 - v).toFixed(6)).reverse(), 1];
  const LEFT = 58, RIGHT = 14, TOP = 24, ZERO = 166, TOP2 = 226, FOOT2 = 356;

  customElements.define("loss-explorer", class extends Explorer {
    static arithmetic = { TYPES, FORMS, slope, exact, errorInEps, show, showExact, showError };
    alt = "Two panels over the logit: the loss by three formulas and exactly, and the error of each formula.";
    inputs = [{ name: "logit" }, { name: "label", stops: LABELS, least: 0, most: 1 },
      { name: "dtype", label: "type", options: Object.keys(TYPES) }];
    head = ["form", "loss", "error in eps"];
    rows = [["naive", "naive"], ["max/abs", "library"], ["book’s", "stable"], ["exact", "exact", 2], ["slope", "", 2]];
    style_ = "thead th { width: 28% } thead th + th { width: 46% } thead th + th + th { width: 26% }"
      + ".dots { stroke-width: 3; stroke-linecap: round; stroke-dasharray: none } .naive.dots { stroke-width: 5 }";
    height = 408;

    rounded({ logit, label, dtype }) {
      const { round } = TYPES[dtype];
      return [round(logit), round(label), TYPES[dtype]];
    }

    inUse(values) {
      const [x, z] = this.rounded(values);
      return `In use, rounded to ${values.dtype}: logit ${decimal(x)}, label ${decimal(z)}`;
    }

    numbers(values) {
      const [x, z, type] = this.rounded(values), { round } = type, finite = isFinite(x);
      const truth = finite && exact(x, z), limit = (x > 0 ? 1 - z : z) ? Infinity : 0;
      const losses = Object.values(FORMS).map(form => form(x, z, round));
      const error = v => finite ? showError(v, truth, type) : v === limit ? "0" : show(abs(v - limit), type);
      return [...losses.flatMap(v => [show(v, type), error(v)]),
        isNaN(x) ? "nan" : finite ? showExact(truth) : show(limit, type), show(slope(x, z, round), type)];
    }

    // The marked logit lies on the axis, however large it is.
    range(x, dtype) {
      let range = WIDEST[dtype];
      while (isFinite(x) && abs(x) > range) range *= 10;
      return range;
    }

    scales(range, dtype, width) {
      const { t, emin } = TYPES[dtype], lowest = (emin - t) * log10(2) - .5, highest = log10(range) + .3;
      const sx = v => LEFT + (v + range) / (2 * range) * (width - LEFT - RIGHT);
      const place = (v, least, most, top, foot) => foot - (max(least, min(most, log10(v))) - least) / (most - least) * (foot - top);
      const sy = v => v === 0 ? ZERO + 7 : isFinite(v) ? place(v, lowest, highest, TOP + 24, ZERO - 6) : TOP + 7;
      const worst = t * log10(2) + 2;
      const se = v => isFinite(v) ? place(v, -1, worst, TOP2 + 20, FOOT2) : TOP2 + 7;
      return { sx, sy, se, lowest, worst };
    }

    draw({ logit, label, dtype }, width) {
      const [x, z, type] = this.rounded({ logit, label, dtype }), { round: r } = type;
      const range = this.range(x, dtype), key = [z, dtype, range, width].join(), scales = this.scales(range, dtype, width);
      if (key !== this.key) {
        this.key = key;
        this.curves = this.axes(scales, range, dtype, width) + this.forms(scales, range, z, type);
      }
      this.axis = { name: "logit", from: LEFT, to: width - RIGHT, least: -range, most: range, value: logit,
        step: range === 120 ? .5 : range / 200, top: TOP, foot: FOOT2 };
      const at = scales.sx(max(-range, min(range, x)));
      const marks = isNaN(x) ? [] : Object.entries(FORMS).map(([kind, form], i) => {
        const loss = form(x, z, r);
        return isNaN(loss) ? "" : `<circle class="${kind}" cx="${at}" cy="${scales.sy(loss).toFixed(1)}" r="${8 - 2.5 * i}"/>`;
      });
      const words = (v, said) => // beside the marker, where it would strike them out
        text(at > scales.sx(range) - 100 ? at - 8 : scales.sx(range) - 4, scales.se(v) - 5, said, "end");
      return this.curves + words(.5, "half an eps") + words(1 / type.eps, "no digit left") + marks.join("");
    }

    axes({ sx, sy, se, lowest, worst }, range, dtype, width) {
      const right = width - RIGHT, { t, largest } = TYPES[dtype], edge = sx(-log(largest));
      const gap = -lowest > 100 ? 100 : -lowest > 20 ? 20 : 4, gap2 = worst > 12 ? 5 : worst > 7 ? 3 : 1;
      let drawn = text(0, 13, "loss (nats)", "bold") + text(0, TOP2 - 11, "error (eps)", "bold")
        + [[TOP, "inf"], [ZERO, 0], [TOP2, "inf"]].map(([y, name]) => rect(LEFT, y, right, y + 14, "strip")
          + text(LEFT - 6, y + 11, name, "end")).join("")
        + (edge > LEFT ? rect(LEFT, TOP + 16, edge, ZERO - 2, "hatch") + rect(LEFT, TOP2 + 16, edge, FOOT2, "hatch") : "")
        + (edge > LEFT + 20 ? `<g transform="translate(${LEFT + 15} ${FOOT2 - 10})rotate(-90)">${text(0, 0, "exp(−x) overflows")}</g>` : "");
      const written = e => e === 0 ? 1 : e === 1 ? 10 : `1e${e < 0 ? "-" : "+"}${`${abs(e)}`.padStart(2, 0)}`;
      for (let e = 0; e > lowest; e -= gap) drawn += text(LEFT - 6, sy(10 ** e) + 4, written(e), "end");
      for (let e = 0; e < worst - 1.5; e += gap2) drawn += text(LEFT - 6, se(10 ** e) + 4, written(e), "end");
      for (const v of [.5, 2 ** t]) drawn += path("rule", `M${LEFT} ${se(v).toFixed(1)}H${right}`);
      drawn += path("thin", `M${LEFT} ${TOP}V${ZERO + 14}H${right}M${LEFT} ${TOP2}V${FOOT2}H${right}`);
      for (const part of width < 420 ? [-1, 0, 1] : [-1, -.5, 0, .5, 1])
        drawn += text(part === 1 ? width : sx(part * range), FOOT2 + 24, part * range, part === 1 ? "end" : "middle"); // 1000 is wide
      return drawn + text(sx(0), FOOT2 + 42, `logit x (${dtype})`, "middle");
    }

    forms({ sx, sy, se, lowest }, range, z, type) {
      const { round: r } = type, grid = Array.from({ length: 241 }, (_, i) => r(-range + range * i / 120));
      const truths = grid.map(x => exact(x, z)), losses = truths.map(toNumber), least = type.tiny;
      let drawn = line("exact", grid.map((x, i) => [sx(x), losses[i] > 10 ** lowest ? sy(losses[i]) : NaN]));
      for (const [kind, form] of Object.entries(FORMS)) {
        const computed = grid.map(x => form(x, z, r)), strip = v => v === 0 || v === Infinity ? v : 1;
        drawn += line(kind, computed.flatMap((v, i) => // no line leads into a strip
          [...strip(v) === strip(computed[i - 1]) ? [] : [[0, NaN]], [sx(grid[i]), v < 0 ? NaN : sy(v)]]))
          + path(kind + " dots", computed.map((v, i) => losses[i] < least && abs(v) < least || isNaN(v) ? ""
            : `M${sx(grid[i]).toFixed(1)} ${se(errorInEps(v, truths[i], type)).toFixed(1)}h0`).join(""));
      }
      return drawn;
    }
  });
})(window.bookExplorers);
