"""Search for the largest error beside each bound of the appendix on error bounds, and add them to the record ``exhaustive``.

    python -m measure.search [--output FILE]

For every bound at least a million points are tried that are likely to come near it: labels at the ends, logits where the
logarithm or the exponential has its worst errors or underflows, rows that are confident, wide, tied, padded or masked, and
pairs of distributions at the ends of the series. Of the scalar ones the best points are changed a little and tried again.

The truth of float32 is computed in float64, that of float64 in the 80-bit long double. The run fails if an error exceeds its
bound. It repeats itself in processes in which NumPy does without AVX-512 and AVX2.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import NDArray

from helpers import binary, categorical, information, records, streaming
from helpers.precision import FORMATS
from measure import bounds
from measure.machine import machine

WIDE = {"float32": np.float64, "float64": np.longdouble}
SIZE, ROUNDS = 2**17, 8  # points of a round of the scalar searches
#: The logits at which the exhaustive run found the largest errors of the sigmoid loss and its gradient in float32
WORST = [
    row["worst"]["at"][1]
    for row in bounds.RECORD["rows"]
    if row["quantity"] in ("loss", "gradient") and row["type"] == "float32" and "book" in row["form"]
]


class Found(NamedTuple):
    """Errors in units of eps, and as shares of their bounds, of some points."""

    eps: NDArray
    share: NDArray


def compare(dtype: str, computed: NDArray, exact: NDArray, bound: bounds.Bound, scale: NDArray | None = None) -> Found:
    """Compare results with the truth. An error is relative to the scale, which is the exact result if none is given."""
    t, emin, _ = FORMATS[dtype]
    eps, smallest = 2.0 ** (1 - t), 2.0 ** (emin + 1 - t)
    scale = np.abs(exact) if scale is None else scale
    error = np.abs(computed.astype(exact.dtype) - exact)
    underflow = np.longdouble(bound.below) * np.longdouble(smallest)
    allowed = bound.relative * scale + underflow
    with np.errstate(divide="ignore", invalid="ignore"):
        in_eps = np.where(
            underflow < 1e-3 * bound.relative * scale, error / (eps * scale), 0
        )  # where the relative part rules
        return Found(in_eps.astype(float), np.where(error > 0, error / allowed, 0).astype(float))


# --- one logit ----------------------------------------------------------------------------------------------------------


def softplus(x: NDArray) -> NDArray:
    """Return the loss of the label 0, in the type of a wide argument."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: NDArray) -> NDArray:
    """Return the sigmoid, in the type of a wide argument."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def exact_loss(z: NDArray, x: NDArray) -> NDArray:
    """Return the loss as a sum of non-negative terms, in the type of wide arguments."""
    return np.maximum(x, 0) * (1 - z) + np.maximum(-x, 0) * z + np.log1p(np.exp(-np.abs(x)))


def exact_gradient(z: NDArray, x: NDArray) -> NDArray:
    """Return the gradient, in the type of wide arguments."""
    return np.where(x > 0, 1 - z, -z) - np.copysign(sigmoid(-np.abs(x)), np.where(x > 0, 1, -1))


def loss(dtype: str, m: bounds.Model, z: NDArray, x: NDArray) -> Found:
    """Try the sigmoid loss of any labels."""
    wide = WIDE[dtype]
    return compare(dtype, binary._loss(z, x), exact_loss(z.astype(wide), x.astype(wide)), bounds.sigmoid_loss(m))


def hard_gradient(dtype: str, m: bounds.Model, z: NDArray, x: NDArray) -> Found:
    """Try the gradient of labels that are rounded to 0 and 1."""
    z, wide = np.round(z), WIDE[dtype]
    exact = np.where(z == 0, sigmoid(x.astype(wide)), -sigmoid(-x.astype(wide)))
    return compare(dtype, binary._gradient(z, x), exact, bounds.hard_gradient(m))


def soft_gradient(dtype: str, m: bounds.Model, z: NDArray, x: NDArray) -> Found:
    """Try the gradient of any labels, in absolute terms."""
    wide = WIDE[dtype]
    exact = exact_gradient(z.astype(wide), x.astype(wide))
    return compare(dtype, binary._gradient(z, x), exact, bounds.Bound(bounds.soft_gradient(m)), np.ones(z.shape, wide))


def probability(dtype: str, m: bounds.Model, z: NDArray, x: NDArray) -> Found:
    """Try the sigmoid."""
    return compare(dtype, binary._sigmoid(x), sigmoid(x.astype(WIDE[dtype])), bounds.smaller_sigmoid(m))


def weighted(dtype: str, m: bounds.Model, z: NDArray, x: NDArray, q: NDArray) -> Found:
    """Try the weighted loss."""
    wide_z, wide_x, wide_q = (array.astype(WIDE[dtype]) for array in (z, x, q))
    exact = (1 - wide_z) * softplus(wide_x) + wide_z * wide_q * softplus(-wide_x)
    return compare(dtype, binary._weighted(z, x, q), exact, bounds.weighted_loss(m, wide_z, wide_q))


def focal(dtype: str, m: bounds.Model, z: NDArray, x: NDArray, gamma: float) -> Found:
    """Try the focal loss of logits so small that nothing underflows."""
    x = np.clip(x, -8, 8)
    wide_z, wide_x = z.astype(WIDE[dtype]), x.astype(WIDE[dtype])
    other = (1 - wide_z) * sigmoid(wide_x) + wide_z * sigmoid(-wide_x)
    exact = other**gamma * exact_loss(wide_z, wide_x)
    return compare(dtype, binary._focal(z, x, gamma), exact, bounds.focal_loss(m, gamma, hard=False))


def merge(dtype: str, m: bounds.Model, gap: NDArray, r: NDArray, other: NDArray) -> Found:
    """Try a merge of two pairs, the first with the larger maximum."""
    gap, r, other = np.abs(gap), np.abs(r), np.abs(other)
    _, computed = streaming._merge(gap, r, np.zeros_like(gap), other)
    wide = WIDE[dtype]
    scale = np.exp(-gap.astype(wide))
    exact = r.astype(wide) + other.astype(wide) * scale + scale
    return compare(
        dtype,
        computed,
        exact,
        bounds.merged_rest(m, np.minimum(gap, 750).astype(float), r.astype(float), other.astype(float)),
    )


def divergence(dtype: str, m: bounds.Model, p: NDArray, ratio: NDArray) -> Found:
    """Try the divergence of two coins, whose sides differ by this ratio."""
    p = np.clip(np.abs(p), 1e-12, 0.45)
    q = np.clip(p * np.abs(ratio), 1e-12, 1 - 1e-12)
    rows = [np.stack([side, 1 - side], axis=-1) for side in (p, q)]
    computed = information.kl_divergence(*rows)
    wide_p, wide_q = (row.astype(WIDE[dtype]) for row in rows)
    d, s = wide_q - wide_p, (wide_q - wide_p) / (wide_p + wide_q)
    series = polyval(s * s, 1 / np.arange(3, 65, 2, dtype=WIDE[dtype]))  # artanh(s) = s + s^3 series
    terms = np.where(np.abs(s) < 0.3, d * s - 2 * wide_p * s * s * s * series, wide_p * np.log(wide_p / wide_q) + d)
    return compare(dtype, computed, terms.sum(axis=-1), bounds.divergence(m, 2))


def signed(magnitude: NDArray, rng: np.random.Generator) -> NDArray:
    """Give numbers random signs."""
    return magnitude * rng.choice([-1, 1], magnitude.shape)


def draw_logits(rng: np.random.Generator, size: int, dtype: str) -> NDArray:
    """Draw logits of all sizes, many of them where the logarithm has its worst errors, or something is subnormal."""
    _, emin, _ = FORMATS[dtype]
    under = -emin * np.log(2)  # from here on the exponential is subnormal
    kinds = [rng.uniform(0, 3, size), rng.uniform(0, 40, size), rng.uniform(0.98, 1.21, size) * under]
    kinds += [2.0 ** rng.uniform(-60, 60, size), rng.choice(WORST, size)]
    return signed(rng.choice(kinds), rng).astype(dtype)


def draw_labels(rng: np.random.Generator, size: int, dtype: str) -> NDArray:
    """Draw labels, many of them near 0 and 1, some of them subnormal."""
    t, emin, _ = FORMATS[dtype]
    small = 2.0 ** rng.uniform(-t - 4, 0, size)
    tiny = 2.0 ** rng.uniform(max(emin - t, -1070), -t, size)
    return rng.choice([small, 1 - small, rng.uniform(0, 1, size), np.round(small), tiny]).astype(dtype)


def pairs(rng: np.random.Generator, size: int, dtype: str) -> tuple[NDArray, ...]:
    """Draw labels and logits."""
    return draw_labels(rng, size, dtype), draw_logits(rng, size, dtype)


def triples(rng: np.random.Generator, size: int, dtype: str) -> tuple[NDArray, ...]:
    """Draw labels, logits and weights."""
    return *pairs(rng, size, dtype), (2.0 ** rng.uniform(-10, 10, size)).astype(dtype)


def two_pairs(rng: np.random.Generator, size: int, dtype: str) -> tuple[NDArray, ...]:
    """Draw the distance of two maxima, and two rests."""
    far = 1.2 * -FORMATS[dtype].min_exponent * np.log(2)
    gap = rng.choice([rng.uniform(0, 20, size), rng.uniform(0, far, size)])
    rests = rng.choice([2.0 ** rng.uniform(-60, 16, (2, size)), np.zeros((2, size))])
    return gap.astype(dtype), *rests.astype(dtype)


def coins(rng: np.random.Generator, size: int, dtype: str) -> tuple[NDArray, ...]:
    """Draw probabilities, and ratios near those where the series ends."""
    ratio = rng.choice([2.0 ** rng.normal(-1, 0.05, size), 2.0 ** rng.normal(1, 0.05, size), 2.0 ** rng.normal(0, 2, size)])
    return (2.0 ** rng.uniform(-30, -1.2, size)).astype(dtype), ratio.astype(dtype)


SCALARS: dict[str, tuple[Callable, Callable, tuple[str, ...]]] = {
    "sigmoid": (probability, pairs, ("float32", "float64")),
    "sigmoid loss": (loss, pairs, ("float32", "float64")),
    "gradient, hard labels": (hard_gradient, pairs, ("float32", "float64")),
    "gradient, soft labels": (soft_gradient, pairs, ("float32", "float64")),
    "weighted loss": (weighted, triples, ("float32", "float64")),
    "focal loss, gamma 2": (lambda *a: focal(*a, 2.0), pairs, ("float32", "float64")),
    "merge": (merge, two_pairs, ("float32", "float64")),
    "divergence": (divergence, coins, ("float64",)),
}


def climb(name: str, dtype: str, m: bounds.Model) -> dict:
    """Try random points, change the worst ones a little, and so on."""
    error, draw, _ = SCALARS[name]
    rng, worst, largest, points = np.random.default_rng(0), 0.0, (0.0, ()), ()
    for _ in range(ROUNDS):
        fresh = draw(rng, SIZE if not points else SIZE // 2, dtype)
        if points:  # the best of the last round, moved by relative steps of all sizes
            steps = [signed(2.0 ** rng.uniform(-24, -2, SIZE // 2), rng) for _ in points]
            moved = [np.repeat(best, SIZE // 2 // best.size) * (1 + step) for best, step in zip(points, steps, strict=True)]
            if len(moved) == 2 + (draw is triples) and draw in (pairs, triples):
                moved[0] = np.clip(moved[0], 0, 1)
            fresh = [np.concatenate([a, b.astype(dtype)]) for a, b in zip(fresh, moved, strict=True)]
        found = error(dtype, m, *fresh)
        best = np.argsort(found.share)[-64:]
        points = [array[best] for array in fresh]
        worst = max(worst, float(found.share[best[-1]]))
        top = int(found.eps.argmax())
        largest = max(largest, (float(found.eps[top]), tuple(float(array[top]).hex() for array in fresh)))
    return {"points": SIZE * ROUNDS, "share": worst, "eps": largest[0], "at": list(largest[1])}


# --- rows of logits -----------------------------------------------------------------------------------------------------

KINDS = ("normal", "wide", "narrow", "tied", "confident", "offset", "two groups", "near underflow", "subnormal terms")
MASKS = (-np.inf, -1e9, -1e4, 0)
CLASSES = 2, 3, 7, 10, 31, 127, 128, 1000


def draw_rows(kind: str, rows: int, classes: int, dtype: str, seed: int) -> NDArray:
    """Draw rows of a kind, in three of four of which half of the classes are masked."""
    rng = np.random.default_rng([seed, classes, KINDS.index(kind)])
    normal, lead = rng.normal(size=(rows, classes)), rng.uniform(0, 30, (rows, 1))
    under = -FORMATS[dtype].min_exponent * np.log(2)
    first = np.arange(classes) == classes // 2
    x = {
        "normal": 3 * normal,
        "wide": 40 * normal,
        "narrow": 0.1 * normal,
        "tied": np.round(normal) + np.zeros((rows, 1)),
        "confident": normal + lead * first,
        "offset": 12345 + 10 * normal,
        "two groups": 0.1 * normal - lead * (np.arange(classes) % 2),
        "near underflow": normal + (under - 6) * first,
        "subnormal terms": normal + 1.1 * under * first,
    }[kind]
    mask = rng.choice(MASKS, (rows, 1))
    x = np.where((np.arange(classes) > classes // 2) & (mask < 0), mask, x)
    return x.astype(dtype)


class Rows(NamedTuple):
    """Rows of logits and what is exact about them, in a wider type."""

    x: NDArray
    y: NDArray  # a class of each row that is not masked, the one with the largest logit in half of the rows
    a: NDArray  # the class with the largest logit
    m: NDArray  # the largest logit
    distance: NDArray  # of each logit below it
    rest: NDArray  # r

    @property
    def others(self) -> NDArray:
        """Return the distances with inf in the place of the largest logit."""
        return np.where(np.arange(self.x.shape[1]) == self.a[:, None], np.inf, self.distance).astype(float)

    @property
    def probabilities(self) -> NDArray:
        """Return the softmax."""
        return np.exp(-self.distance) / (1 + self.rest)[:, None]

    def of_label(self, array: NDArray) -> NDArray:
        """Return the entries at the labels."""
        return array[np.arange(len(self.x)), self.y]


def exactly(x: NDArray, dtype: str, rng: np.random.Generator) -> Rows:
    """Compute what is exact about rows, and draw a label for each."""
    wide = x.astype(WIDE[dtype])
    a, m = x.argmax(axis=1), wide.max(axis=1)
    distance = m[:, None] - wide
    terms = np.exp(-distance)
    np.put_along_axis(terms, a[:, None], 0, axis=1)
    y = np.where(rng.random(len(x)) < 0.5, a, rng.integers(0, x.shape[1] // 2 + 1, len(x)))
    return Rows(x, y, a, m, distance, terms.sum(axis=1))


def losses(dtype: str, m: bounds.Model, exact: Rows, row: bounds.Row) -> Iterator[tuple[str, Found]]:
    """Yield what losses of class indices, and what they are made of, are off by."""
    logarithm = np.log1p(exact.rest)
    own = exact.of_label(exact.distance)
    yield "index loss", compare(dtype, FORMULAS["index loss"](exact.y, exact.x), own + logarithm, bounds.index_loss(m, row))
    lse, of_lse = exact.m + logarithm, bounds.log_sum_exp(m, row, (exact.m + logarithm).astype(float))
    yield "log_sum_exp", compare(dtype, FORMULAS["log_sum_exp"](exact.x), lse, bounds.Bound(of_lse), np.ones_like(lse))
    entries = np.where(np.isfinite(exact.distance), exact.distance + logarithm[:, None], 0)
    computed = np.where(np.isfinite(exact.distance), -FORMULAS["log_softmax"](exact.x), 0)
    yield "log_softmax", compare(dtype, computed, entries, bounds.index_loss(m, row.for_each_class()))


def slopes(dtype: str, m: bounds.Model, exact: Rows, row: bounds.Row, gradient: NDArray) -> tuple[Found, Found]:
    """Return what the other classes' entries of a gradient are off by, which are those of the softmax, and the labels'."""
    p, largest = exact.probabilities, exact.y == exact.a
    distance = np.where(np.isfinite(exact.distance), np.minimum(exact.distance, 750), 0).astype(float)
    of_label = np.arange(exact.x.shape[1]) == exact.y[:, None]
    here = exact.of_label(distance)
    two = bounds.slope_of_the_largest(m, row), bounds.slope_of_another(m, row, np.where(largest, 1, here))
    at_label = np.where(largest, exact.rest / (1 + exact.rest), 1 - exact.of_label(p))
    bound = bounds.Bound(*(np.where(largest, *parts) for parts in zip(*two, strict=True)))
    others = (np.where(of_label, 0, array) for array in (gradient, p))
    return (
        compare(dtype, *others, bounds.probability(m, row.for_each_class(), distance)),
        compare(dtype, -exact.of_label(gradient), at_label, bound),
    )


def of_labels(dtype: str, m: bounds.Model, exact: Rows, row: bounds.Row, w: NDArray) -> Iterator[tuple[str, Found]]:
    """Yield what the loss and the gradient of rows of weights are off by."""
    wide, p, each = w.astype(exact.m.dtype), exact.probabilities, row.for_each_class()
    distance = np.where(np.isfinite(exact.distance), exact.distance, 0)
    total = wide.sum(axis=1)
    loss = (wide * distance).sum(axis=1) + total * np.log1p(exact.rest)
    computed = FORMULAS["label loss"](w, exact.x)
    yield "label loss", compare(dtype, computed, loss, bounds.label_loss(m, row, total.astype(float)))
    largest = np.arange(exact.x.shape[1]) == exact.a[:, None]
    first = p * without_each(wide)
    second = wide * np.where(largest, (exact.rest / (1 + exact.rest))[:, None], 1 - p)
    bound = bounds.label_gradient(m, each, np.minimum(distance, 750).astype(float), total.astype(float)[:, None])
    yield "label gradient", compare(dtype, FORMULAS["label gradient"](w, exact.x), first - second, bound, first + second)


def chained(blocks: list[NDArray]) -> tuple[NDArray, NDArray]:
    """Return the largest logit and the rest of rows, merged block by block."""
    pair = streaming._largest_and_rest(blocks[0])
    for block in blocks[1:]:
        pair = streaming._merge(*pair, *streaming._largest_and_rest(block))
    return pair


def try_rows(dtype: str, m: bounds.Model, exact: Rows, rng: np.random.Generator) -> Iterator[tuple[str, Found]]:
    """Yield what the functions of rows are off by."""
    row, (rows, classes) = bounds.row_of(exact.others, dtype), exact.x.shape
    yield from losses(dtype, m, exact, row)
    for name, found in zip(GRADIENT, slopes(dtype, m, exact, row, FORMULAS["gradient"](exact.y, exact.x)), strict=True):
        yield name, found
    hard, smooth = np.eye(classes)[exact.y], np.eye(classes)[exact.a] * 0.9 + 0.1 / classes
    weights = rng.choice([rng.dirichlet(np.full(classes, 0.3), rows), hard, smooth])
    yield from of_labels(dtype, m, exact, row, np.where(np.isfinite(exact.x), weights, 0).astype(dtype))
    if classes < 7:
        return
    widths = [1, 2, classes - 3] if rng.random() < 0.5 else [2, classes // 2, classes - 2 - classes // 2]
    pair = chained(np.split(exact.x, np.cumsum(widths)[:-1], axis=1))
    row = bounds.row_of(exact.others, dtype, widths)
    for label in (exact.y, exact.a, np.roll(exact.a, 1), rng.integers(0, classes // 2 + 1, rows)):
        streamed = exact._replace(y=label)
        loss = streamed.of_label(exact.distance) + np.log1p(exact.rest)
        possible = np.isfinite(loss)
        computed = np.where(possible, streaming._streamed_loss(*pair, streamed.of_label(exact.x)), 0)
        yield "streamed loss", compare(dtype, computed, np.where(possible, loss, 0), bounds.index_loss(m, row))
    gradient = streaming._probabilities(*pair, exact.x)
    gradient[np.arange(rows), exact.y] = streaming._slope_at_the_label(*pair, exact.of_label(exact.x))
    for found in slopes(dtype, m, exact, row, gradient):
        yield "streamed gradient", found


def without_each(w: NDArray) -> NDArray:
    """Return the sum of the other weights of each row, for each class."""
    b = w.argmax(axis=1)[:, None]
    others = w.copy()
    np.put_along_axis(others, b, 0, axis=1)
    of_b = others.sum(axis=1, keepdims=True)
    result = np.take_along_axis(w, b, axis=1) + of_b - w
    np.put_along_axis(result, b, of_b, axis=1)
    return result


GRADIENT = "softmax, other classes", "slope at the label"
FORMULAS = {  # in the type of their arguments; the helpers give them float64
    "index loss": categorical._index_loss,
    "log_softmax": categorical._log_softmax,
    "log_sum_exp": categorical._log_sum_exp,
    "gradient": categorical._index_gradient,
    "label loss": categorical._soft_loss,
    "label gradient": categorical._soft_gradient,
}


def hunt_rows(dtype: str, m: bounds.Model, points: int) -> dict[str, dict]:
    """Try rows of all kinds and sizes until each bound has been tried at so many points."""
    found, seed = {}, 0
    while not found or min(one["points"] for one in found.values()) < points:
        for classes in CLASSES:
            for kind in KINDS:
                rng = np.random.default_rng(seed)
                x = draw_rows(kind, (100_000 if classes < 100 else 20_000) // classes, classes, dtype, seed)
                for name, here in try_rows(dtype, m, exactly(x, dtype, rng), rng):
                    one = found.setdefault(name, {"points": 0, "share": 0.0, "eps": 0.0, "at": []})
                    one["points"] += here.share.size
                    one["share"] = max(one["share"], float(here.share.max()))
                    if here.eps.max() > one["eps"]:
                        one |= {"eps": float(here.eps.max()), "at": [kind, classes, seed]}
        seed += 1
    return found


def hunt(level: str, points: int) -> list[dict]:
    """Try everything with the loops that NumPy uses here."""
    rows = []
    for dtype in WIDE:
        m = bounds.model(dtype, level)
        with np.errstate(all="ignore"):
            found = {name: climb(name, dtype, m) for name in SCALARS if dtype in SCALARS[name][2]}
            found |= hunt_rows(dtype, m, points)
        rows += [{"bound": name, "type": dtype, "level": level} | one for name, one in found.items()]
    return rows


def without(disabled: list[str]) -> list[dict]:
    """Hunt in a process in which NumPy does without these features of the processor."""
    settings = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(disabled)}
    command = [sys.executable, "-m", "measure.search", "--output", "-"]
    return json.loads(subprocess.run(command, env=settings, check=True, capture_output=True, encoding="utf8").stdout)


def main() -> None:
    """Hunt at each SIMD level, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--output", default=str(records.path("exhaustive")), help="a file, or - for the rows of this level alone"
    )
    options = parser.parse_args()
    rows = hunt(bounds.level_here(), 10**6)
    if options.output == "-":
        print(json.dumps(rows))
        return
    features = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    for first in ("X86_V4", "X86_V3"):
        if first in features:
            rows += without(features[features.index(first) :])
    worse = [row for row in rows if not row["share"] <= 1]
    if worse:
        raise AssertionError(f"a bound is exceeded: {worse}")
    searched = {"measured": f"{datetime.date.today()}", "NumPy": np.__version__, "machine": machine(), "rows": rows}
    record = records.load("exhaustive") | {"searched": searched}
    Path(options.output).write_text(json.dumps(record, indent=1) + "\n", encoding="utf8")
    for row in rows:
        print(f"{row['bound']:30}{row['type']:9}{row['level']:9}{row['eps']:10.4g} eps, {row['share']:.3f} of the bound")


if __name__ == "__main__":
    main()
