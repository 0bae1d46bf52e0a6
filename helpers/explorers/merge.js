// Two blocks of a row of logits, merged as pairs (m, s), whose sum contains the 1 of the largest, and as pairs (m, r) without it.
customElements.get("merge-explorer") || (({ TYPES, big, minus, plus, expMinus, log1p, pairwise, show, showExact, showError, text,
  path, rect, read, Explorer }) => {
  const { abs, exp, log, max, min } = Math;

  const readRow = (typed, { label = "row" }) => {
    const row = typed.replace(/[[\]]/g, " ").split(/[\s,;]+/).filter(word => word).map(word => read(word, { label }));
    if (row.length < 2 || row.length > 64) throw `${label}: write 2 to 64 logits, got ${row.length}`;
    if (!row.every(isFinite)) throw `${label}: every logit must be finite`;
    return row;
  };
  const pair = (block, r) => { // the largest, the sum of all terms, and the sum without the largest's
    const m = max(...block), a = block.indexOf(m), term = v => r(exp(r(v - m)));
    return { m, s: pairwise(block.map(term), r), r: pairwise(block.filter((_, j) => j !== a).map(term), r) };
  };
  const merge = (one, two, r) => {
    const m = max(one.m, two.m), a = r(exp(r(one.m - m))), b = r(exp(r(two.m - m))), least = r(exp(-abs(r(one.m - two.m))));
    return { m, s: r(r(one.s * a) + r(two.s * b)), r: r(r(r(one.r * a) + r(two.r * b)) + least) };
  };
  const losses = (merged, r) => [r(log(merged.s)), r(Math.log1p(merged.r))];
  const exact = row => {
    const m = max(...row), a = row.indexOf(m);
    return log1p(row.filter((_, j) => j !== a).reduce((sum, v) => plus(sum, expMinus(minus(big(m), big(v)))), [0n, 0]));
  };

  const LEFT = 14, RIGHT = 14, TOP = 44, FOOT = 140;
  customElements.define("merge-explorer", class extends Explorer {
    static arithmetic = { TYPES, pair, merge, losses, exact, showExact };
    alt = "The logits of the row as bars, and the cut between the two blocks.";
    inputs = [{ name: "row", label: "row of logits", area: true, read: readRow },
      { name: "cut", label: "classes in the first block", whole: true, least: 1, limits: ({ row }) => ({ most: row.length - 1 }) },
      { name: "dtype", label: "type", options: Object.keys(TYPES) }];
    presets = { "20, 0, 0": { row: "20, 0, 0", cut: 1 }, "17, and 15 of 1": { row: "17" + ", 1".repeat(15), cut: 8 },
      "equal maxima": { row: "3, 1, 3, 0", cut: 2 } };
    head = ["pair", "m", "s = 1 + r", "r"];
    rows = [["block 1"], ["block 2"], ["merged"],
      ["log s, the loss of the largest", "library", 3], ["log1p(r)", "stable", 3], ["exact", "exact", 3]];
    style_ = ".bar { fill: #666; fill-opacity: .6; stroke: none } textarea { height: 2.6em }"
      + " thead th { width: 28% } thead th + th { width: 14% } thead th + th + th { width: 29% }";
    height = 178;

    find({ row, cut, dtype }) {
      const { round: r } = TYPES[dtype], x = row.map(r), one = pair(x.slice(0, cut), r), two = pair(x.slice(cut), r);
      return { x, one, two, merged: merge(one, two, r), truth: exact(x) };
    }

    numbers(values) {
      const type = TYPES[values.dtype], { one, two, merged, truth } = this.find(values);
      const said = v => `${show(v, type)}, error ${showError(v, truth, type)} eps`.replace("w eps", "w"); // underflow has no unit
      const found = losses(merged, type.round).map(said);
      const pairs = [one, two, merged].flatMap(({ m, s, r }) => [m, s, r].map(v => show(v, type)));
      return [...pairs, ...found, showExact(truth)];
    }

    draw(values, width) {
      const { x } = this.find(values), low = min(0, ...x), high = max(...x, low + 1), n = x.length, right = width - RIGHT;
      const sx = v => LEFT + v / n * (right - LEFT), sy = v => FOOT - 4 - (v - low) / (high - low) * (FOOT - TOP - 20);
      const cut = sx(values.cut), gap = min(4, (right - LEFT) / n / 4), middle = (a, b) => (a + b) / 2;
      const bar = (v, j) => rect(sx(j) + gap, sy(v), sx(j + 1) - gap, FOOT, "bar")
        + text(middle(sx(j), sx(j + 1)), sy(v) - 5, n > 12 ? "" : show(v, TYPES[values.dtype]), "middle");
      const name = (from, to, number) => text(middle(from, to), FOOT + 22, to - from > 60 ? `block ${number}` : number, "middle");
      this.axis = { name: "cut", from: sx(1), to: sx(n - 1) + (n < 3), least: 1, most: n - 1, value: values.cut, step: 1,
        top: 20, foot: FOOT + 8 };
      return text(0, 13, "logits, cut into two blocks", "bold") + path("thin", `M${LEFT} ${FOOT}H${right}`)
        + x.map(bar).join("") + name(LEFT, cut, 1) + name(cut, right, 2);
    }
  });
})(window.bookExplorers);
