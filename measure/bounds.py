"""The error bounds that the appendix on error bounds proves, each written once.

They hold for a formula that is computed in its own type: +, -, * and / round to nearest with the unit roundoff u = eps / 2
and underflow gradually, and exp, log1p and log are off by at most so many eps. For float32 these numbers are the maxima over
every argument, from the record ``exhaustive``, for three kinds of processor. For float64 they are an assumption.

A bound is relative to the exact result; a second number is absolute, in units of the smallest subnormal number, and matters
only where something underflows. Products of factors 1 + c are computed by their logarithms, so that float64 can hold them.
Arguments may be arrays: of many rows of logits, say.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.lib.introspect import opt_func_info
from numpy.typing import NDArray

from helpers import records
from helpers.precision import FORMATS

RECORD = records.load("exhaustive")
LOOPS = {  # NumPy's loops for float32, by what the processor has
    "AVX-512": {"exp": "X86_V4", "log1p": "X86_V4", "log": "X86_V4"},
    "AVX2": {"exp": "X86_V3", "log1p": "baseline(X86_V2)", "log": "X86_V3"},
    "neither": {"exp": "baseline(X86_V2)", "log1p": "baseline(X86_V2)", "log": "baseline(X86_V2)"},
}
SEEN = 1e-9  # the record is rounded to nine decimals
POWER = 4.0  # eps: what NumPy's own tests allow its power, whose arguments are too many to try


class Bound(NamedTuple):
    """How far a result may be off: relative to the exact one, and in smallest subnormal numbers."""

    relative: float
    below: float = 0.0


class Model(NamedTuple):
    """The parameters of the theorems."""

    u: float
    smallest: float  # subnormal number
    exp: float
    exp_below: float  # where the exponential is subnormal, in smallest subnormal numbers
    log1p: float
    log: float  # of numbers up to 1
    log_above: float  # of numbers from 2 on
    softplus: float | None  # the next four where every logit was tried
    sigmoid: float | None
    any_label: float | None
    soft: float | None

    def grown(self, *errors: float, roundings: int = 0) -> float:
        """Return (1 + a)(1 + b)…(1 + u)^roundings - 1."""
        return np.expm1(sum(map(np.log1p, errors)) + roundings * np.log1p(self.u))


def level_here() -> str:
    """Return which of the recorded kinds of processor this one is to NumPy, or "unknown"."""
    loops = {
        name: next(iter(opt_func_info(func_name=f"^{name}$", signature="float32")[name].values()))["current"]
        for name in LOOPS["AVX2"]
    }
    return next((level for level, known in LOOPS.items() if known == loops), "unknown")


@cache
def model(dtype: str, level: str) -> Model:
    """Return the parameters of a type, for float32 those of a kind of processor."""
    t, emin, _ = FORMATS[dtype]
    u, smallest = 2.0**-t, 2.0 ** (emin + 1 - t)
    if dtype == "float64" or level == "unknown":  # not tried: NumPy's own tests allow float32 4 eps
        eps = 2 * u * (1 if dtype == "float64" else 4)
        return Model(u, smallest, eps, eps / (2 * u), eps, eps, eps, None, None, None, None)

    def worst(quantity: str, form: str, over: str = "", kind: str = "worst") -> float:
        rows = [row for row in RECORD["rows"] if (row["quantity"], row["form"], row["type"]) == (quantity, form, dtype)]
        return max((row[kind] or {"error": 0})["error"] for row in rows if row["over"].startswith(over)) + SEEN

    loops = {name: f"NumPy, {loop}" for name, loop in LOOPS[level].items()}
    at = "" if level == RECORD["machine"]["level"] else f", {level}"
    return Model(
        u,
        smallest,
        exp=2 * u * worst("exp", loops["exp"], "[-104"),
        exp_below=worst("exp", loops["exp"], "[-104", "subnormal"),
        log1p=2 * u * worst("log1p", loops["log1p"]),
        log=2 * u * worst("log", loops["log"], "[1.4"),
        log_above=2 * u * worst("log", loops["log"], "[2"),
        softplus=2 * u * worst("loss", f"the book's form{at}", "label"),
        sigmoid=2 * u * worst("gradient", f"sigmoid(x) - z{at}", "label 0"),
        any_label=2 * u * worst("loss", f"the book's form{at}", "any"),
        soft=2 * u * worst("gradient", f"the book's form{at}", "any"),
    )


# --- one logit ----------------------------------------------------------------------------------------------------------


def rounded_once(m: Model, wide: float) -> Bound:
    """Round a result of a wider type, which is off by so much, to a narrower one."""
    return Bound(m.grown(wide, roundings=1), 0.5 * (1 + wide))


def softplus(m: Model) -> Bound:
    """relu(x) + log1p(e^-|x|), the loss of the label 0."""
    return Bound(m.softplus or m.grown(m.exp, m.log1p, roundings=1), m.exp_below * (1 + m.log1p) * (1 + m.u))


def sigmoid_loss(m: Model) -> Bound:
    """relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|) for any label."""
    relative = m.any_label or max(m.grown(roundings=3), m.grown(m.exp, m.log1p, roundings=1))
    return Bound(relative * (1 + 8 * m.u), (m.exp_below * (1 + m.log1p) + 0.5) * (1 + m.u))


def smaller_sigmoid(m: Model) -> Bound:
    """e^-|x| / (1 + e^-|x|)."""
    return Bound(m.sigmoid or m.grown(m.exp, roundings=1) / (1 - m.u) + m.u / (1 - m.u), m.exp_below)


def hard_gradient(m: Model) -> Bound:
    """Return the bound of the smaller sigmoid on the right side, and of 1 minus it on the wrong one."""
    relative, below = smaller_sigmoid(m)
    return Bound(m.sigmoid or m.grown(relative, roundings=1), below)


def soft_gradient(m: Model) -> float:
    """Return an absolute error: the exact gradient may be 0."""
    relative, below = smaller_sigmoid(m)
    return (m.soft or m.u + relative / 2) + below * m.smallest


def weighted_loss(m: Model, z: float, q: float) -> Bound:
    """softplus(x) (1 - z) + softplus(-x) z q."""
    relative, below = softplus(m)
    return Bound(m.grown(relative, roundings=3), (below * (1 - z + z * q) + q / 2 + 1) * (1 + 4 * m.u))


def focal_loss(m: Model, gamma: float, *, hard: bool) -> Bound:
    """((1 - z) sigmoid(x) + z sigmoid(-x))^gamma times the loss, where nothing underflows."""
    base = m.grown(smaller_sigmoid(m).relative, roundings=0 if hard else 3)
    power = -gamma * np.log1p(-base)
    loss = softplus(m) if hard else sigmoid_loss(m)
    return Bound(np.expm1(power + np.log1p(m.grown(2 * POWER * m.u, loss.relative, roundings=1))))


# --- a row of logits -----------------------------------------------------------------------------------------------------


@cache
def depth(terms: int) -> int:
    """Return how many additions the first terms of a row pass through in NumPy's pairwise sum."""
    if terms < 8:
        return max(terms - 1, 0)
    if terms <= 128:  # eight running sums, three additions to join them, and what is left over one by one
        return terms // 8 - 1 + 3 + terms % 8
    half = terms // 2 - terms // 2 % 8
    return 1 + max(depth(half), depth(terms - half))


def sum_in_pairs(terms: NDArray) -> object:
    """Add as NumPy does, in numpy/_core/src/umath/loops_utils.h.src of version 2.4: the depth is that of this tree."""
    if len(terms) < 8:
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total
    if len(terms) <= 128:
        whole = len(terms) - len(terms) % 8
        sums = terms[:8]
        for start in range(8, whole, 8):
            sums = sums + terms[start : start + 8]
        total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
        for term in terms[whole:]:
            total = total + term
        return total
    half = len(terms) // 2 - len(terms) // 2 % 8
    return sum_in_pairs(terms[:half]) + sum_in_pairs(terms[half:])


class Row(NamedTuple):
    """What the bounds of a row depend on. Terms e^-D that the type rounds to 0 do not count."""

    classes: int
    additions: int  # that a term passes through, in its block and in the merges
    blocks: int
    counted: NDArray  # classes beside the largest whose terms are not rounded to 0
    far: NDArray  # the largest distance D of these
    rest: NDArray  # r, the sum of their terms
    subnormal: NDArray  # terms below the normal numbers, those that are rounded to 0 included

    @property
    def mean(self) -> NDArray:
        """Return a bound of the mean distance, by which rounded distances move r."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.counted, np.fmin(self.far, np.log(self.counted / self.rest)), 0)

    @property
    def mean_of_all(self) -> NDArray:
        """Return the same for all classes, the largest included: by it rounded distances move 1 + r."""
        return np.minimum(self.far, np.log((self.counted + 1) / (1 + self.rest)))

    def for_each_class(self) -> "Row":
        """Return rows to which another axis can be added, that of the classes."""
        arrays = {name: getattr(self, name)[..., None] for name in ("counted", "far", "rest", "subnormal")}
        return self._replace(**arrays)


def row_of(distances: NDArray, dtype: str, widths: Sequence[int] = ()) -> Row:
    """Return what bounds need of rows: distances below the largest logit, inf for itself, and the widths of blocks."""
    t, emin, _ = FORMATS[dtype]
    distances = np.asarray(distances, np.float64)
    counts = distances <= (t - emin) * np.log(2)  # beyond, a term is below half the smallest subnormal number
    widths = widths or [distances.shape[-1]]
    normal = distances < -emin * np.log(2)
    return Row(
        classes=distances.shape[-1],
        additions=max(map(depth, widths)) + 3 * (len(widths) - 1),
        blocks=len(widths),
        counted=np.count_nonzero(counts, axis=-1),
        far=np.where(counts, distances, 0).max(axis=-1),
        rest=np.where(counts, np.exp(-distances), 0).sum(axis=-1),
        subnormal=np.count_nonzero(np.isfinite(distances) & ~normal, axis=-1),
    )


def shift(m: Model, row: Row, mean: float) -> float:
    """Return by how much rounded distances move a sum of terms e^-D with this mean distance."""
    return m.u * mean * np.exp(m.u * row.far)


def rest(m: Model, row: Row) -> Bound:
    """Σ_{j≠a} e^(x_j - m), in one sum or merged from blocks."""
    relative = m.grown(shift(m, row, row.mean), *[m.exp] * row.blocks, roundings=row.additions)
    return Bound(relative, (row.subnormal * m.exp_below + 2 * (row.blocks - 1)) * (1 + relative))


def index_loss(m: Model, row: Row) -> Bound:
    """(m - x_y) + log1p(r), and each entry of log_softmax."""
    relative, below = rest(m, row)
    return Bound(m.grown(relative, m.log1p, roundings=1), below * (1 + m.grown(m.log1p, roundings=1)))


def label_loss(m: Model, row: Row, total: float) -> Bound:
    """Σ_j w_j (m - x_j) + W log1p(r), where the weights sum to W."""
    relative, below = rest(m, row)
    relative = np.maximum(m.grown(roundings=3 + row.additions), m.grown(relative, m.log1p, roundings=2 + row.additions))
    return Bound(relative, (total * below + (row.classes + 1) / 2) * (1 + 2 * relative))


def denominator(m: Model, row: Row) -> float:
    """Return the relative error of 1 + r before this sum is rounded."""
    tau = m.grown(*[m.exp] * row.blocks, roundings=row.additions)
    below = rest(m, row).below * m.smallest
    return (1 + tau) * shift(m, row, row.mean_of_all) + tau * row.rest / (1 + row.rest) + below


def log_sum_exp(m: Model, row: Row, exact: float) -> float:
    """Return an absolute error: m may cancel the logarithm."""
    off = denominator(m, row)
    off /= 1 - off  # log(1 - c) is a little farther from 0 than c
    off += m.log1p * (np.log1p(row.rest) + off)
    return off + m.u * (abs(exact) + off)


def probability(m: Model, row: Row, distance: NDArray | float) -> Bound:
    """e^-D / (1 + r)."""
    above = m.u * distance + np.log1p(m.exp) + np.log1p(m.u)
    return Bound(np.expm1(above - np.log1p(-denominator(m, row)) - np.log1p(-m.u)), m.exp_below + 1)


def slope_of_the_largest(m: Model, row: Row) -> Bound:
    """-Σ_{j≠a} p_j = -r / (1 + r), where the label's logit is the largest."""
    relative, below = rest(m, row)
    return Bound(m.grown(relative, roundings=1) / (1 - m.u) + m.u / (1 - m.u), below + 1)


def slope_of_another(m: Model, row: Row, distance: float) -> Bound:
    """-(1 - p_y), where another logit is the largest, so that p_y is at most one half."""
    relative, below = probability(m, row, distance)
    p = np.exp(-distance) / (1 + row.rest)
    return Bound(m.grown(relative * p / (1 - p), roundings=1), below)


def label_gradient(m: Model, row: Row, distance: NDArray | float, total: float) -> Bound:
    """p_j Σ_{k≠j} w_k - w_j Σ_{k≠j} p_k, relative to the sum of the two terms."""
    p, below = probability(m, row, distance)
    weights = 2 * m.grown(roundings=row.additions + 1)
    first = np.log1p(p) + np.log1p(weights) + np.log1p(m.u)
    second = np.maximum(np.log1p(p), np.log1p(slope_of_the_largest(m, row).relative)) + np.log1p(m.u)
    relative = np.expm1(np.maximum(first, second) + 2 * np.log1p(m.u))
    return Bound(relative, ((below + rest(m, row).below) * np.maximum(total, 1) + 2) * (1 + relative))


# --- pieces of a row, and distributions ----------------------------------------------------------------------------------


def merged_rest(m: Model, gap: float, r: float, other: float) -> Bound:
    """Return what a merge adds to the errors of the two rests."""
    relative = m.grown(np.expm1(m.u * gap), m.exp, roundings=3)
    return Bound(relative, ((1 + np.maximum(r, other)) * m.exp_below + 1) * (1 + m.grown(roundings=3)))


def cross_entropy(m: Model, outcomes: int) -> Bound:
    """-Σ_j p_j log q_j."""
    additions = depth(outcomes)
    return Bound(m.grown(m.log, roundings=1 + additions), outcomes / 2 * (1 + m.grown(roundings=additions)))


def divergence(m: Model, outcomes: int) -> Bound:
    """Σ_j (p_j log(p_j / q_j) - p_j + q_j): each term from a series or a logarithm, to first order."""
    far = max(far_term(m, 0.5), far_term(m, 2.0))  # the two ends of the series' range
    return Bound(m.grown(far * (1 + 64 * m.u), roundings=depth(outcomes)), 2 * outcomes * (1 + far))


def far_term(m: Model, ratio: float) -> float:
    """Return the bound of p log(p / q) - p + q by the logarithm, for q / p outside (1/2, 2), to first order."""
    parts = m.u + abs(np.log(ratio)) * ((m.log if ratio > 1 else m.log_above) + m.u) + m.u * abs(ratio - 1)
    return parts / (ratio - 1 - np.log(ratio)) + m.u
