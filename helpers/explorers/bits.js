// The bits of e^-x, of 1 + e^-x rounded, and of the two logarithms of it, each below its power of two; one ulp of x at a time.
customElements.get("bits-explorer") || (({ TYPES, big, expMinus, log1p, show, showExact, showError, text,
  path, rect, Explorer }) => {
  const { exp, log, max, min } = Math;

  const compute = (x, { round: r }) => {
    const v = r(exp(-x)), sum = r(1 + v);
    return { v, sum, naive: r(log(sum)), stable: r(Math.log1p(v)) };
  };
  const highest = v => v ? Number(big(v)[0].toString(2).length - 1 + big(v)[1]) : -Infinity;
  const bit = ([m, e], power) => power < e ? 0n : m >> BigInt(power - e) & 1n;

  const LEFT = 4, RIGHT = 4, PITCH = 40;
  customElements.define("bits-explorer", class extends Explorer {
    static arithmetic = { TYPES, compute };
    alt = "Rows of bits, each below its power of two: those of exp(-x), of 1 + exp(-x), of two logarithms, and of the exact one.";
    inputs = [{ name: "x", least: 0, most: 700, label: "x" }, { name: "dtype", label: "type", options: Object.keys(TYPES) }];
    presets = { "x − 1 ulp": v => this.ulp(v, -1), "x + 1 ulp": v => this.ulp(v, 1) };
    head = ["value", "number", "error in eps"];
    rows = [["exp(−x)", "", 2], ["1 + exp(−x)", "", 2], ["log(1 + exp(−x))", "naive"], ["log1p(exp(−x))", "stable"],
      ["exact", "exact", 2]];
    style_ = "thead th { width: 31% } thead th + th { width: 48% } thead th + th + th { width: 21% }"
      + " .one, .nil, .bad, .badnil { stroke-width: .7 } .one { fill: currentColor } .bad { fill: #d55e00 }"
      + " .bad, .badnil { stroke: #d55e00; filter: var(--book-figure, none) }";
    height = 6 * PITCH + 60;

    ulp({ x, dtype }, by) {
      const { up, down, round } = TYPES[dtype];
      return { x: `${max(0, (by > 0 ? up : down)(round(x)))}` };
    }

    inUse({ x, dtype }) {
      return `In use, rounded to ${dtype}: x = ${show(TYPES[dtype].round(x), TYPES[dtype])}`;
    }

    numbers({ x, dtype }) {
      const type = TYPES[dtype], at = type.round(x), { v, sum, naive, stable } = compute(at, type);
      const truth = log1p(expMinus(big(at))), pair = w => [show(w, type), showError(w, truth, type)];
      return [show(v, type), show(sum, type), ...pair(naive), ...pair(stable), showExact(truth)];
    }

    draw({ x, dtype }, width) {
      const type = TYPES[dtype], { t, emin } = type, at = type.round(x), { v, sum, naive, stable } = compute(at, type);
      const e = max(highest(v), emin), last = e - t, far = e < -t - 4; // a gap between the sum's bits and v's
      const [m, p] = log1p(expMinus(big(at))), k = BigInt(last - p), truth = [m + (1n << k - 1n) >> k, last]; // to the nearest
      const columns = 2 + t + (far ? 3 + t + 1 : -t - last), size = min((width - LEFT - RIGHT) / columns, 14);
      const column = power => power >= -t || !far ? 1 - power : t + 5 + e - power, sx = power => LEFT + column(power) * size;
      const row = (i, name, number, from, to, right) => {
        let drawn = text(LEFT, i * PITCH + 14, name), off = false;
        for (let power = from; power >= to; power--) {
          const one = bit(number, power);
          off ||= right && one !== bit(right, power);
          const kind = off ? one ? "bad" : "badnil" : one ? "one" : "nil";
          drawn += rect(sx(power) + .5, i * PITCH + 20, sx(power) + size - .5, i * PITCH + 31, kind);
        }
        return drawn;
      };
      const lost = min(-t - 1, e), top = max(highest(sum), 0);
      const of = (i, name, w) => w ? row(i, name, big(w), max(highest(w), e), last, truth)
        : text(LEFT, i * PITCH + 14, name) + text(LEFT + 3, i * PITCH + 30, "0: no bit is left");
      const scale = 6 * PITCH + 16, end = 1.6 * t * log(2), sat = (t + 1) * log(2), px = w => 12 + w / end * (width - 24);
      this.axis = { name: "x", from: 12, to: width - 12, least: 0, most: end, value: at, step: end / 200,
        top: scale - 12, foot: scale,
        next: (w, by) => { for (let n = Math.abs(by); n--;) w = max(0, by < 0 ? type.down(w) : type.up(w)); return w; } };
      const off = lost < last ? "" : rect(sx(lost), PITCH + 20, sx(last) + size, PITCH + 31, "hatch")
        + text(min(sx(lost) + 3, width - 76), PITCH + 14, "rounded off");
      return row(0, `exp(−x)${far ? ", after a gap" : ""}`, big(v), e, last)
        + row(1, "1 + exp(−x), rounded", big(sum), top, -t) + off
        + of(2, "log(1 + exp(−x))", naive) + of(3, "log1p(exp(−x))", stable) + row(4, "exact, rounded once", truth, e, last)
        + path("thin", `M12 ${scale}H${width - 12}`) + path("rule", `M${px(sat)} ${scale - 16}V${scale}`)
        + text(px(sat), scale - 20, "from here the sum is 1", "middle") + [0, .5, 1].map(part =>
          text(px(part * sat), scale + 22, (part * sat).toFixed(1), "middle")).join("") + text(width - 12, scale + 22, "x", "end");
    }
  });
})(window.bookExplorers);
