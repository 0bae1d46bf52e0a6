// What running sums lose: a row with one logit ahead of many equal ones, its exponentials added up in lanes, in float32.
customElements.get("sums-explorer") || (({ TYPES, big, times, toNumber, expMinus, log1p, inLanes, pairwise, show,
  showExact, text, path, rect, Explorer }) => {
  const { exp, floor, fround, log, max, min } = Math;

  const termsOf = ({ lead, place, classes }) => {
    const terms = new Float32Array(classes).fill(exp(-fround(lead)));
    terms[place] = 1;
    return terms;
  };
  const LEFT = 46, RIGHT = 14, TOP = 96, FOOT = 226;
  customElements.define("sums-explorer", class extends Explorer {
    static arithmetic = { TYPES, inLanes, pairwise };
    alt = "A row of terms with the place of the 1, and a bar for each running sum: how much of its small terms it keeps.";
    inputs = [{ name: "lanes", label: "running sums", stops: [1, 2, 4, 8, 16, 32, 64, 128, 256], whole: true, least: 1, most: 4096 },
      { name: "lead", label: "lead", stops: Array.from({ length: 41 }, (_, i) => i / 2), least: 0, most: 80 },
      { name: "place", label: "place of the label", whole: true, least: 0, limits: ({ classes }) => ({ most: classes - 1 }) }];
    presets = { "8 sums": { lanes: 8 }, "16: PyTorch with AVX-512": { lanes: 16 }, "256: TensorFlow": { lanes: 256 } };
    head = ["float32", "number"];
    rows = [["loss by these sums"], ["exact loss"], ["relative error"], ["the sum with the 1 keeps"]];
    style_ = ".library { fill: #666; fill-opacity: .6; stroke: none } .lost { stroke: #d55e00; stroke-width: 1.5;"
      + " filter: var(--book-figure, none) } thead th { width: 46% } thead th + th { width: 54% }";
    height = 286;

    compute({ lanes, lead, place, classes }) {
      const term = fround(exp(-fround(lead))), sums = inLanes(termsOf({ lead, place, classes }), lanes, fround);
      const loss = fround(log(pairwise(sums, fround))), exact = log1p(times([BigInt(classes - 1), 0], expMinus(big(fround(lead)))));
      return { term, sums, loss, exact, own: place % lanes, counts: sums.map((_, l) => floor((classes - 1 - l) / lanes) + 1) };
    }

    read() {
      return super.read({ classes: +this.dataset.classes });
    }

    kept({ term, sums, own, counts }) { // by each lane, as a share of its small terms
      return sums.map((sum, l) => {
        const small = counts[l] - (l === own);
        return small > 0 ? (l === own ? sum - 1 : sum) / (small * term) : 1;
      });
    }

    numbers(values) {
      const found = this.compute(values), { loss, exact, own } = found, error = loss / toNumber(exact) - 1;
      return [show(loss, TYPES.float32), showExact(exact, 9), `${error < 0 ? "" : "+"}${(100 * error).toFixed(2)} %`,
        `${(100 * this.kept(found)[own]).toFixed(1)} % of its small terms`];
    }

    inUse({ lead, place, classes }) {
      return `${classes.toLocaleString("en")} terms: the 1 at place ${place}, and all others exp(−${fround(lead)}).`;
    }

    draw(values, width) {
      const { place, classes, lanes } = values, found = this.compute(values), kept = this.kept(found), right = width - RIGHT;
      const sx = v => LEFT + v / lanes * (right - LEFT), sy = v => FOOT - max(0, min(1.15, v)) * (FOOT - TOP) / 1.15;
      this.axis = { name: "place", from: LEFT, to: right, least: 0, most: classes - 1, value: place,
        step: max(1, floor(classes / 64)), next: (v, by) => v + by, top: 26, foot: 52 };
      const gap = lanes > 60 ? 0 : 2, x = sx(found.own) + gap / 2, lost = kept[found.own] < .995;
      const end = max(sx(found.own + 1) - gap / 2, x + 4), gone = kind => rect(x, sy(1), end, sy(kept[found.own]), kind);
      return text(0, 13, "the row, in the order of addition", "bold") + rect(LEFT, 30, right, 44, "strip")
        + text(0, TOP - 12, "small terms kept, by each running sum", "bold")
        + [0, .5, 1].map(v => text(LEFT - 6, sy(v) + 4, `${100 * v}%`, "end")).join("")
        + kept.map((v, l) => rect(sx(l) + gap / 2, sy(v), sx(l + 1) - gap / 2, FOOT, "library")).join("")
        + (lost ? gone("hatch") + gone("lost") : "")
        + path("thin", `M${LEFT} ${TOP}V${FOOT}H${right}`) + path("rule", `M${LEFT} ${sy(1)}H${right}`)
        + text(max(LEFT, min(x, right - 110)), FOOT + 18, lost ? "absorbed by the 1" : "")
        + text((LEFT + right) / 2, FOOT + 40, `${lanes} running sum${lanes > 1 ? "s" : ""}, side by side`, "middle");
    }
  });
})(window.bookExplorers);
