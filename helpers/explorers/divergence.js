// A cross-entropy as an entropy plus a divergence, over the predicted probability.
customElements.get("divergence-explorer") || (({ text, path, rect, line, Explorer }) => {
  const { exp, log, max, min } = Math, part = (a, b) => a && a * log(a / b);
  const tail = [.001, .01], STOPS = [0, ...tail, ...Array.from({ length: 19 }, (_, i) => (i + 1) / 20), .99, .999, 1];
  const LEFT = 36, RIGHT = 16, TOP = 26, FOOT = 210, LIMIT = 2;

  customElements.define("divergence-explorer", class extends Explorer {
    alt = "The cross-entropy against q, a curve that is lowest at q = p, where it is the entropy of p.";
    inputs = ["p", "q"].map(name => ({ name, stops: STOPS, least: 0, most: 1 }));
    head = ["part", "nats"];
    rows = [["entropy H(p)", "floor"], ["divergence KL(p ‖ q)", "gap"], ["cross-entropy H(p, q)", "line"]];
    style_ = "thead th { width: 64% } thead th + th { width: 36% } .floor { stroke-opacity: .4; stroke-width: 12 } .gap { stroke: #009e73; stroke-width: 12 }";
    height = 258;

    parts(p, q) {
      const entropy = -part(p, 1) - part(1 - p, 1), divergence = max(0, part(p, q) + part(1 - p, 1 - q));
      return [entropy, divergence, entropy + divergence];
    }

    numbers({ p, q }) {
      return this.parts(p, q).map(v => isFinite(v) ? v.toFixed(6) : "inf");
    }

    draw({ p, q }, width) {
      const sx = v => LEFT + v * (width - LEFT - RIGHT), sy = v => FOOT - min(v, LIMIT) / LIMIT * (FOOT - TOP - 24);
      const [floor, , cross] = this.parts(p, q), x = sx(q), y = cross === Infinity ? TOP + 7 : sy(cross), right = width - RIGHT;
      const after = q < .2 || q > p && q < .8; // below the curve, where there is room
      this.axis = { name: "q", from: LEFT, to: right, least: 0, most: 1, value: q, step: .01, top: TOP, foot: FOOT };
      const odds = Array.from({ length: 401 }, (_, i) => exp(14 - .07 * i)); // dense near 0 and 1, where the curve is steep
      const curve = odds.map(v => 1 / (1 + v)).map(v => [sx(v), this.parts(p, v)[2]]);
      const within = i => curve[i]?.[1] <= LIMIT;
      return rect(LEFT, TOP, right, TOP + 14, "strip") + rect(LEFT, sy(floor), right, FOOT, "strip")
        + line("line", curve.map(([at, v], i) => [at, v <= LIMIT || within(i - 1) || within(i + 1) ? sy(v) : NaN])) // up to the limit
        + path("thin", `M${LEFT} ${TOP}V${FOOT}H${right}`) + text(0, 13, "cross-entropy (nats)", "bold")
        + text(LEFT - 6, TOP + 11, "inf", "end") + [0, 1, 2].map(v => text(LEFT - 6, sy(v) + 4, v, "end")).join("")
        + [0, .25, .5, .75, 1].map(v => text(sx(v), FOOT + 24, v, "middle")).join("")
        + text(sx(.5), FOOT + 42, "predicted probability q", "middle")
        + path("floor", `M${x} ${FOOT}V${sy(floor)}`) + path("gap", `M${x} ${sy(floor)}V${y}`)
        + text(LEFT + 6, FOOT - 6, "entropy H(p)")
        + text(after ? x + 10 : x - 10, (y + sy(floor)) / 2 + 4, "KL(p ‖ q)", after ? "" : "end");
    }
  });
})(window.bookExplorers);
