// The two caps of clipped probabilities: the numbers of a type just below 1, and where 1 - epsilon falls among them.
customElements.get("clip-explorer") || (({ TYPES, show, decimal, text, path, rect, Explorer }) => {
  const { log, max, min } = Math;

  const compute = (epsilon, { round: r }) => {
    const low = r(epsilon), high = r(1 - epsilon);
    const loss = (z, p) => r(-r(r(z * r(log(p))) + r(r(1 - z) * r(log(r(1 - p)))))); // Keras 3
    const halves = [loss(.5, low), loss(.5, high)];
    return [low, high, r(1 - high), loss(1, low), loss(0, high), loss(1, high), r(r(halves[0] + halves[1]) / 2)];
  };

  const STOPS = [1e-9, 1e-8, 3e-8, 5e-8, 6e-8, 8e-8, 1e-7, 1.2e-7, 1.5e-7, 2e-7, 3e-7, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, .01];
  const LEFT = 14, RIGHT = 24, LINE = 92;
  customElements.define("clip-explorer", class extends Explorer {
    static arithmetic = { TYPES, compute };
    alt = "The numbers of the type just below 1 on a line, the place of 1 - epsilon, and the number that it is rounded to.";
    inputs = [{ name: "epsilon", stops: STOPS, least: 0, most: .5 }, { name: "dtype", label: "type", options: Object.keys(TYPES) }];
    presets = { "Keras: 1e-7": { epsilon: "1e-7" }, "2015: 1e-9": { epsilon: "1e-9" },
      "float16: 1e-3": { epsilon: "1e-3", dtype: "float16" } };
    head = ["quantity", "number"];
    rows = [["lower bound, ε in the type"], ["upper bound, 1 − ε in the type"], ["1 − upper bound"],
      ["cap: prediction 0, label 1"], ["cap: prediction 1, label 0"],
      ["prediction 1, label 1"], ["mean for labels ½, predictions 0 and 1"]];
    style_ = "thead th { width: 58% } thead th + th { width: 42% }"
      + " .arrow { stroke: #d55e00; stroke-width: 2; filter: var(--book-figure, none) }"
      + " .bound { fill: #0072b2; stroke: none; filter: var(--book-figure, none) }";
    height = 150;

    numbers({ epsilon, dtype }) {
      return compute(epsilon, TYPES[dtype]).map(v => show(v, TYPES[dtype]));
    }

    inUse({ epsilon, dtype }) {
      const { t } = TYPES[dtype];
      const step = 2 ** -(t + 1), four = v => decimal(+v.toPrecision(4));
      return `Just below 1, ${dtype} numbers are 2^−${t + 1} = ${four(step)} apart; ε is ${four(epsilon / step)} of these steps.`;
    }

    draw({ epsilon, dtype }, width) {
      const { t, round } = TYPES[dtype], step = 2 ** -(t + 1), high = round(1 - epsilon), right = width - RIGHT;
      let wide = 8 * step;
      while (wide < 1.6 * epsilon) wide *= 2;
      const sx = distance => right - distance / wide * (right - LEFT), count = wide / step;
      this.axis = { name: "epsilon", from: right, to: sx(wide / 1.6), least: 0, most: wide / 1.6, value: epsilon, step: wide / 160,
        top: LINE - 46, foot: LINE - 40 };
      const tick = (_, i) => path("library", `M${sx(i * step).toFixed(1)} ${LINE - 9}V${LINE + 9}`);
      const ticks = count <= 64 ? Array.from({ length: count + 1 }, tick).join("")
        : rect(LEFT, LINE - 9, right, LINE + 9, "strip") + text(LEFT + 4, LINE + 5, `${count} numbers`);
      const from = sx(epsilon), to = sx(1 - high), edge = v => max(LEFT + 30, min(right - 20, v));
      return text(0, 13, `${dtype} numbers just below 1`, "bold") + ticks + path("thin", `M${LEFT} ${LINE}H${right}`)
        + path("arrow", `M${from.toFixed(1)} ${LINE - 34}L${to.toFixed(1)} ${LINE - 8}`)
        + `<circle class="bound" cx="${to.toFixed(1)}" cy="${LINE}" r="6"/>`
        + text(edge(from), LINE - 56, "1 − ε", "middle") + text(right, LINE + 46, "1", "middle")
        + (high === 1 ? text(right, LINE + 28, "upper bound 1: nothing is clipped", "end")
          : text(edge(to), LINE + 28, "upper bound", "middle"))
        + text(LEFT, LINE + 46, `1 − ${decimal(+wide.toPrecision(3))}`);
    }
  });
})(window.bookExplorers);
