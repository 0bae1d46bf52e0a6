// The slope of max(x, 0) - x z + log(1 + e^-|x|) at the logit 0, by the slopes that a library gives max and abs there.
customElements.get("kink-explorer") || (({ TYPES, show, text, path, line, Explorer }) => {
  const { abs, log1p, exp, max } = Math;

  const slopeAtZero = (smax, sabs, label) => smax - sabs / 2 - label;
  const rightSlope = label => .5 - label;

  const LEFT = 40, RIGHT = 16, NEAR = 3, FOOT1 = 112, TOP = 168, FOOT = 300;
  customElements.define("kink-explorer", class extends Explorer {
    static arithmetic = { slopeAtZero, rightSlope };
    alt = "Graphs of max(x, 0), |x| and the loss, each with its slope at 0, and below them the slope of the loss over the label.";
    inputs = [{ name: "smax", label: "slope of max at 0", stops: [0, .25, .5, .75, 1], least: 0, most: 1 },
      { name: "sabs", label: "slope of abs at 0", stops: [-1, -.5, 0, .5, 1], least: -1, most: 1 },
      { name: "label", stops: Array.from({ length: 21 }, (_, i) => i / 20), least: 0, most: 1 }];
    presets = { TensorFlow: { smax: 1, sabs: 0 }, PyTorch: { smax: .5, sabs: 0 }, JAX: { smax: .5, sabs: 1 },
      "built in: one side for both": { smax: 1, sabs: 1 } };
    head = ["part", "slope at 0"];
    rows = [["max(x, 0)"], ["log(1 + exp(−|x|))"], ["slope by the library", "naive"], ["right slope, ½ − z", "stable"]];
    style_ = "thead th { width: 62% } thead th + th { width: 38% }";
    height = 342;

    numbers({ smax, sabs, label }) {
      return [smax, -sabs / 2, slopeAtZero(smax, sabs, label), rightSlope(label)].map(v => show(v, TYPES.float64));
    }

    draw({ smax, sabs, label }, width) {
      const wide = (width - 32) / 3, tilt = slopeAtZero(smax, sabs, label), right = rightSlope(label);
      const panel = (i, name, f, slopes) => {
        const left = i * (wide + 16), cx = left + wide / 2, sx = v => cx + v / NEAR * wide / 2, sy = v => FOOT1 - 10 - v / NEAR * 70;
        const tangent = ([kind, slope]) => line(kind, [-1.2, 1.2].map(v => [sx(v), sy(f(0) + v * slope)]));
        const curve = Array.from({ length: 61 }, (_, k) => (k / 30 - 1) * NEAR).map(v => [sx(v), sy(f(v))]);
        return text(left, 13, name, "bold") + path("thin", `M${left} ${FOOT1}H${left + wide}M${cx} ${FOOT1}v4`)
          + text(cx, FOOT1 + 18, "0", "middle") + line("library", curve) + slopes.map(tangent).join("");
      };
      const sx = v => LEFT + v * (width - LEFT - RIGHT), sy = v => (TOP + FOOT) / 2 - v / 1.6 * (FOOT - TOP) / 2;
      const over = slope => [0, 1].map(z => [sx(z), sy(slope(z))]);
      this.axis = { name: "label", from: LEFT, to: width - RIGHT, least: 0, most: 1, value: label, step: .01, top: TOP, foot: FOOT };
      return panel(0, "max(x, 0)", v => max(v, 0), [["naive", smax]]) + panel(1, "|x|", abs, [["naive", sabs]])
        + panel(2, "the loss", v => max(v, 0) - v * label + log1p(exp(-abs(v))), [["naive", tilt], ["stable", right]])
        + text(0, TOP - 16, "slope of the loss at 0, over the label", "bold")
        + path("thin", `M${LEFT} ${TOP}V${FOOT}H${width - RIGHT}`)
        + path("rule", `M${LEFT} ${sy(0)}H${width - RIGHT}`) + [-1, 0, 1].map(v => text(LEFT - 6, sy(v) + 4, v, "end")).join("")
        + line("naive", over(z => slopeAtZero(smax, sabs, z))) + line("stable", over(rightSlope))
        + [0, .5, 1].map(v => text(sx(v), FOOT + 22, v, "middle")).join("") + text(sx(.5), FOOT + 38, "label z", "middle");
    }
  });
})(window.bookExplorers);
