"""Wrong losses, each with a fault that was met in public code: they tell how much a test of losses finds.

A mutant is a good loss, or its gradient, with one change. Its docstring says what goes wrong, and its source is a thread
(owner/repository#number) or a file at a commit (owner/repository@commit path). The code is written anew, in NumPy. All
mutants compute in float32, whatever type they get, and most of them agree with the exact loss on ordinary numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Mutant:
    """A wrong function of labels and logits: its ``what`` is "loss" or "gradient", its kind that of helpers.trial."""

    name: str
    kind: str
    what: str
    function: Callable[[Any, Any], Floats]
    fault: str
    source: str

    def __str__(self) -> str:
        """Return the name."""
        return self.name


#: Every mutant by its name.
MUTANTS: dict[str, Mutant] = {}


def mutant(kind: str, what: str, source: str) -> Callable[[Callable], Callable]:
    """Return a decorator that adds a function to the mutants."""

    def add(function: Callable) -> Callable:
        fault = " ".join((function.__doc__ or "").split())
        MUTANTS[function.__name__] = Mutant(function.__name__, kind, what, function, fault, source)
        return function

    return add


# --- what is right in them ---------------------------------------------------------------------------


def _float32(array: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(array).astype(np.float32)


def _pair(labels: ArrayLike, logits: ArrayLike) -> tuple[Floats, Floats]:
    z, x = _float32(labels), _float32(logits)
    if z.shape != x.shape:
        raise ValueError(f"labels {z.shape} do not fit logits {x.shape}")
    return z, x


def _sigmoid(x: Floats) -> Floats:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def good_binary(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), in which nothing cancels."""
    return _good_binary(*_pair(labels, logits))


def _good_binary(z: Floats, x: Floats) -> Floats:
    wrong_side = np.where(x >= 0, 1 - z, z)
    return np.where(wrong_side == 0, 0, wrong_side * np.abs(x)) + np.log1p(np.exp(-np.abs(x)))


def good_binary_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return (1 - z) σ(x) - z σ(-x)."""
    z, x = _pair(labels, logits)
    return (1 - z) * _sigmoid(x) - z * _sigmoid(-x)


def _right(labels: ArrayLike, x: Floats) -> NDArray[np.bool_]:
    labels = np.asarray(labels)
    if labels.shape != x.shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError(f"labels {labels.shape} do not fit logits {x.shape}")
    if labels.size and (labels.min() < 0 or labels.max() >= x.shape[-1]):
        raise ValueError("a label names no class")
    return labels[..., np.newaxis] == np.arange(x.shape[-1])


def _at(labels: ArrayLike, x: Floats) -> Floats:
    return x[_right(labels, x)].reshape(x.shape[:-1])


def _shifted(x: Floats) -> Floats:
    m = x.max(axis=-1, keepdims=True, initial=-np.inf)
    return np.where(x == m, 0, x - m)  # where infinity minus infinity would be nan


def _log_softmax(x: Floats) -> Floats:
    shifted = _shifted(x)
    others = np.arange(x.shape[-1]) != x.argmax(axis=-1)[..., np.newaxis]
    return shifted - np.log1p(np.where(others, np.exp(shifted), 0).sum(axis=-1, keepdims=True))


def _softmax(x: Floats) -> Floats:
    e = np.exp(_shifted(x))
    return e / e.sum(axis=-1, keepdims=True)


def good_index(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return (m - x_y) + log1p(the other exponentials), in which nothing cancels."""
    return -_at(labels, _log_softmax(_float32(logits)))


def good_index_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return the probabilities, and minus the sum of the others at the label's class."""
    right, p = _right(labels, _float32(logits)), _softmax(_float32(logits))
    return np.where(right, -np.where(right, 0, p).sum(axis=-1, keepdims=True), p)


def good_rows(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return the sum of the labels' weights times the losses of their classes."""
    z, x = _pair(labels, logits)
    return _weighted(z, _log_softmax(x))


def _weighted(z: Floats, logs: Floats) -> Floats:
    return -np.where(z == 0, 0, z * logs).sum(axis=-1)


def good_rows_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return what the others' probabilities take from a class, less what its own gives to them."""
    z, x = _pair(labels, logits)
    p = _softmax(x)
    largest = np.arange(x.shape[-1]) == p.argmax(axis=-1)[..., np.newaxis]
    one_minus = np.where(largest, np.where(largest, 0, p).sum(axis=-1, keepdims=True), 1 - p)
    return p * np.where(largest, 0, z).sum(axis=-1, keepdims=True) * largest + np.where(
        largest, -z * one_minus, p * z.sum(axis=-1, keepdims=True) - z
    )


#: The losses and gradients that the mutants change, by kind.
GOOD = {
    "binary": (good_binary, good_binary_gradient),
    "index": (good_index, good_index_gradient),
    "rows": (good_rows, good_rows_gradient),
}


# --- binary: losses ----------------------------------------------------------------------------------

KERAS_NUMPY = "keras-team/keras@4f6900a keras/src/backend/numpy/nn.py"
KERAS_JAX = "keras-team/keras@01a4a57 keras/src/backend/jax/nn.py"
PYTORCH = "pytorch/pytorch@c4f167b aten/src/ATen/native/Loss.cpp"
TENSORFLOW = "tensorflow/tensorflow@4433079 tensorflow/python/ops/nn_impl.py"
OPTAX = "google-deepmind/optax@1f9a88f optax/losses/_classification.py"
XENT_OP = "tensorflow/tensorflow@0dd2223 tensorflow/core/kernels/xent_op.h"


@mutant("binary", "loss", "borgwang/tinynn#7")
def overflowing_exponential(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take the exponential of any logit, which overflows."""
    z, x = _pair(labels, logits)
    return np.log(1 + np.exp(x)) - z * x


@mutant("binary", "loss", "pytorch/pytorch#15655")
def through_probabilities(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take the logarithm of the sigmoid, which rounds to 0 or 1."""
    z, x = _pair(labels, logits)
    p = _sigmoid(x)
    return -(z * np.log(p) + (1 - z) * np.log(1 - p))


@mutant("binary", "loss", KERAS_NUMPY)
def clipped_sigmoid(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Clip probabilities at 1e-7, which ends the loss at 16."""
    z, x = _pair(labels, logits)
    p = np.clip(_sigmoid(x), 1e-7, 1 - 1e-7)
    return -(z * np.log(p) + (1 - z) * np.log(1 - p))


@mutant("binary", "loss", "tensorflow/tensorflow#172")
def plain_logarithm(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Write log(1 + v) for log1p(v), which absorbs v."""
    z, x = _pair(labels, logits)
    return np.maximum(x, 0) - x * z + np.log(1 + np.exp(-np.abs(x)))


@mutant("binary", "loss", "pytorch/pytorch#187180")
def softplus_with_threshold(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return x for softplus(x) beyond 20, so that x - xz cancels."""
    z, x = _pair(labels, logits)
    return np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))) - x * z


@mutant("binary", "loss", PYTORCH)
def larger_exponent_first(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Add max(-x, 0) to (1 - z) x, which cancels for negative logits."""
    z, x = _pair(labels, logits)
    m = np.maximum(-x, 0)
    return (1 - z) * x + m + np.log(np.exp(-m) + np.exp(-x - m))


@mutant("binary", "loss", TENSORFLOW)
def max_minus_product(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract xz from max(x, 0), which cancels for labels near 1."""
    z, x = _pair(labels, logits)
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


@mutant("binary", "loss", TENSORFLOW)
def weighted_by_one(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Use the form with a positive weight, which cancels for negative logits even if the weight is 1."""
    z, x = _pair(labels, logits)
    return (1 - z) * x + (np.log1p(np.exp(-np.abs(x))) + np.maximum(-x, 0))


@mutant("binary", "loss", "nv-tlabs/GSCNN#62")
def sigmoid_twice(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take probabilities for logits."""
    z, x = _pair(labels, logits)
    return _good_binary(z, _sigmoid(x))


@mutant("binary", "loss", "carpedm20/NTM-tensorflow#17")
def exchanged_arguments(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Exchange labels and logits."""
    z, x = _pair(labels, logits)
    return _good_binary(_sigmoid(x), z)


@mutant("binary", "loss", "tensorflow/tensorflow#30040")
def unchecked_shapes(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Broadcast labels (n,) against logits (n, 1) to n times n losses."""
    return _good_binary(_float32(labels), _float32(logits))


@mutant("binary", "loss", "google-deepmind/optax#431")
def zero_times_an_infinite_logarithm(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Multiply the infinite logarithm of an infinite logit by 0."""
    z, x = _pair(labels, logits)
    small = np.log1p(np.exp(-np.abs(x)))
    return -z * (np.minimum(x, 0) - small) - (1 - z) * (np.minimum(-x, 0) - small)


@mutant("binary", "loss", "RubixML/ML#424")
def half_the_loss(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Leave out the term of examples with the label 0."""
    z, x = _pair(labels, logits)
    return z * _good_binary(np.ones_like(x), x)


@mutant("binary", "loss", "zhimingluo/NLDF#5")
def hidden_nan(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return 0 for a loss of nan."""
    z, x = _pair(labels, logits)
    return np.nan_to_num(_good_binary(z, x), nan=0.0, posinf=np.inf)


# --- binary: gradients -------------------------------------------------------------------------------


@mutant("binary", "gradient", PYTORCH)
def sigmoid_minus_label(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract z from σ(x), which cancels for right answers."""
    z, x = _pair(labels, logits)
    return _sigmoid(x) - z


@mutant("binary", "gradient", "pytorch/pytorch#2195")
def kink_at_zero(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Differentiate max(x, 0) and |x| at 0, where they have a kink."""
    z, x = _pair(labels, logits)
    return np.where(x == 0, 1 - z, good_binary_gradient(z, x))


@mutant("binary", "gradient", "jax-ml/jax#347")
def nan_through_where(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Multiply the overflow in the branch that is not taken by 0."""
    z, x = _pair(labels, logits)
    overflowing = -np.exp(-x) / (1 + np.exp(-x))
    return np.where(x < -80, -z, (1 - z)) + np.where(x < -80, 0, 1) * overflowing


@mutant("binary", "gradient", "ayrna/skordinal#122")
def dead_beyond_the_clip(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return the gradient of clipped probabilities, which is 0."""
    z, x = _pair(labels, logits)
    p = _sigmoid(x)
    return np.where((p < 1e-7) | (p > 1 - 1e-7), 0, good_binary_gradient(z, x))


@mutant("binary", "gradient", "deeplearning4j/nd4j#1328")
def nothing_for_label_zero(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Leave out the gradient of examples with the label 0."""
    z, x = _pair(labels, logits)
    return -z * _sigmoid(-x)


# --- class indices: losses ---------------------------------------------------------------------------


@mutant("index", "loss", "PAIR-code/tiny-transformers#67")
def no_shift(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Leave the largest logit in: e^x overflows, or all of them underflow."""
    x = _float32(logits)
    return np.log(np.exp(x).sum(axis=-1)) - _at(labels, x)


@mutant("index", "loss", "ml-explore/mlx#4188")
def maximum_added_back(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Add the largest logit back before the label's is subtracted, so that they cancel."""
    x = _float32(logits)
    m = x.max(axis=-1, keepdims=True, initial=-np.inf)
    log_sum_exp = m[..., 0] + np.log(np.exp(x - m).sum(axis=-1))
    return log_sum_exp - _at(labels, x)


@mutant("index", "loss", "keras-team/keras#17634")
def clipped_probabilities(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Clip probabilities at 1e-7, which ends the loss at 16."""
    p = _softmax(_float32(logits))
    return -np.log(np.clip(_at(labels, p), 1e-7, 1 - 1e-7))


@mutant("index", "loss", "apache/mxnet#14098")
def float16_exponentials(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Round the exponentials to float16, where small ones are 0."""
    shifted = _shifted(_float32(logits))
    e = np.exp(shifted.astype(np.float16)).astype(np.float32)
    return np.log(e.sum(axis=-1)) - _at(labels, shifted)


@mutant("index", "loss", XENT_OP)
def one_absorbs_the_rest(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Add the 1 of the largest logit to the small terms, which it absorbs."""
    shifted = _shifted(_float32(logits))
    return np.log(np.exp(shifted).sum(axis=-1)) - _at(labels, shifted)


@mutant("index", "loss", "twitter-archive/torch-autograd#166")
def one_maximum_for_all_rows(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract the largest logit of the batch from every row, so that other rows underflow."""
    x = _float32(logits)
    shifted = x - x.max(initial=-np.inf)
    return np.log(np.exp(shifted).sum(axis=-1)) - _at(labels, shifted)


@mutant("index", "loss", KERAS_JAX)
def one_hot_times_logarithm(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Multiply all logarithms by a one-hot row: 0 times infinity is nan, and a row of zeros costs 0."""
    x = _float32(logits)
    one_hot = np.asarray(labels)[..., np.newaxis] == np.arange(x.shape[-1])
    return -(one_hot.astype(np.float32) * _log_softmax(x)).sum(axis=-1)


@mutant("index", "loss", OPTAX)
def label_from_the_end(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Count the label -1 from the end."""
    x, y = _float32(logits), np.asarray(labels)
    return good_index(np.where(y == -1, x.shape[-1] - 1, y), x)


@mutant("index", "loss", "pytorch/torchtitan#4297")
def label_outside_every_shard(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return 0 for a label that no shard of the classes holds."""
    x, y = _float32(logits), np.asarray(labels)
    inside = (y >= 0) & (y < x.shape[-1])
    return np.where(inside, good_index(np.where(inside, y, 0), x), 0)


@mutant("index", "loss", "NVIDIA/Megatron-LM#7452")
def classes_counted_twice(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take gathered logits for one of two shards, so that all classes count twice."""
    return good_index(labels, logits) + np.float32(np.log(2))


@mutant("index", "loss", "unslothai/unsloth#10616")
def padding_takes_part(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Fill the last block up with -30, as a cap makes of minus infinity."""
    x = _float32(logits)
    _right(labels, x)
    filled = np.full((*x.shape[:-1], -x.shape[-1] % 64), -30, np.float32)
    return good_index(labels, np.concatenate([x, filled], axis=-1))


@mutant("index", "loss", "perone/euclidesdb#2")
def softmax_over_the_batch(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take the softmax along the first axis."""
    x = _float32(logits)
    return -_at(labels, np.moveaxis(_log_softmax(np.moveaxis(x, 0, -1)), -1, 0))


@mutant("index", "loss", "Lightning-Universe/lightning-bolts#654")
def softmax_twice(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take probabilities for logits."""
    return good_index(labels, _softmax(_float32(logits)))


@mutant("index", "loss", "flashinfer-ai/flashinfer#1178")
def masked_block(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract minus infinity from itself where a block of classes is masked."""
    return _by_blocks(labels, _float32(logits), lambda old, new: old - new)


@mutant("index", "loss", "deepseek-ai/FlashMLA#177")
def rescaled_upside_down(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Multiply the sum of earlier blocks by e^(new - old) instead of e^(old - new)."""
    return _by_blocks(labels, _float32(logits), lambda old, new: np.where(np.isneginf(old), -np.inf, new - old))


def _by_blocks(labels: ArrayLike, x: Floats, exponent: Callable) -> Floats:
    if x.shape[-1] <= 4096:
        return good_index(labels, x)
    m, r = np.full(x.shape[:-1], -np.inf, np.float32), np.zeros(x.shape[:-1], np.float32)
    for start in range(0, x.shape[-1], 4096):
        block = x[..., start : start + 4096]
        new = np.maximum(m, block.max(axis=-1))
        r = r * np.exp(exponent(m, new)) + np.exp(block - new[..., np.newaxis]).sum(axis=-1)
        m = new
    return np.log(r) - (_at(labels, x) - m)


@mutant("index", "loss", "apache/mxnet#4594")
def epsilon_in_the_logarithm(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take log(p + 1e-8), which ends the loss at 18."""
    return -np.log(_at(labels, _softmax(_float32(logits))) + np.float32(1e-8))


@mutant("index", "loss", "facebookresearch/detectron2#5386")
def labels_of_eight_bits(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Store labels in 8 bits, so that class 300 becomes class 44."""
    _right(labels, logits)
    return good_index(np.asarray(labels).astype(np.uint8), logits)


@mutant("index", "loss", "pytorch/audio#4215")
def overflowing_offset(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Compute the place of a label in memory in the label's own type, which overflows."""
    x, y = _float32(logits), np.asarray(labels)
    _right(y, x)
    rows = np.arange(y.size).astype(y.dtype).reshape(y.shape) * np.asarray(x.shape[-1]).astype(y.dtype)
    return -_log_softmax(x).ravel()[rows + y]


@mutant("index", "loss", "nyu-mll/jiant#925")
def class_zero_ignored(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take the class 0 for padding."""
    return np.where(np.asarray(labels) == 0, 0, good_index(labels, logits))


@mutant("index", "loss", "zhimingluo/NLDF#5")
def hidden_nan_of_a_row(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return 0 for a loss of nan."""
    return np.nan_to_num(good_index(labels, logits), nan=0.0, posinf=np.inf)


# --- class indices: gradients ------------------------------------------------------------------------


@mutant("index", "gradient", "NVIDIA/DeepLearningExamples#169")
def no_shift_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Leave the largest logit in."""
    x = _float32(logits)
    e = np.exp(x)
    return e / e.sum(axis=-1, keepdims=True) - _right(labels, x)


@mutant("index", "gradient", "pytorch/pytorch#195829")
def maximum_added_back_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract the rounded log-sum-exp from the logits."""
    x = _float32(logits)
    m = x.max(axis=-1, keepdims=True, initial=-np.inf)
    return np.exp(x - (m + np.log(np.exp(x - m).sum(axis=-1, keepdims=True)))) - _right(labels, x)


@mutant("index", "gradient", "keras-team/keras#17634")
def clipped_probabilities_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return the gradient of clipped probabilities, which is 0."""
    x = _float32(logits)
    p = _at(labels, _softmax(x))[..., np.newaxis]
    return np.where((p < 1e-7) | (p > 1 - 1e-7), 0, good_index_gradient(labels, x))


@mutant("index", "gradient", "apache/mxnet#14098")
def float16_exponentials_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Round the exponentials to float16."""
    x = _float32(logits)
    e = np.exp(_shifted(x).astype(np.float16)).astype(np.float32)
    return e / e.sum(axis=-1, keepdims=True) - _right(labels, x)


@mutant("index", "gradient", "gpu-mode/reference-kernels@f83cb92 problems/princeton/cross_entropy_py/reference.py")
def probability_minus_one(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract 1 from the probability of the right class, which cancels."""
    x = _float32(logits)
    return _softmax(x) - _right(labels, x)


@mutant("index", "gradient", "linkedin/Liger-Kernel#678")
def gradient_of_zeros(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return zeros, as happened where losses were not averaged."""
    return np.zeros_like(_float32(logits))


@mutant("index", "gradient", "deeplearning4j/deeplearning4j#349")
def opposite_gradient(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return the gradient with the opposite sign."""
    return -good_index_gradient(labels, logits)


@mutant("index", "gradient", "markroxor/fromscratchtoml#65")
def gradient_twice(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Return twice the gradient."""
    return 2 * good_index_gradient(labels, logits)


@mutant("index", "gradient", "fetchai/ledger#1580")
def gradient_divided_again(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Divide the gradient of a sum by the number of rows."""
    x = _float32(logits)
    return good_index_gradient(labels, x) / max(x[..., 0].size, 1)


@mutant("index", "gradient", "FluxML/NNlib.jl#68")
def gradient_through_the_softmax(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Divide by a probability of 0, and multiply by it."""
    x = _float32(logits)
    p = _softmax(x)
    by_p = -_float32(_right(labels, x)) / p
    return p * (by_p - (p * by_p).sum(axis=-1, keepdims=True))


# --- rows of labels ----------------------------------------------------------------------------------


@mutant("rows", "loss", "google-deepmind/optax#896")
def zero_times_masked(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Multiply the infinite logarithm of a masked class by its label 0."""
    z, x = _pair(labels, logits)
    return -(z * _log_softmax(x)).sum(axis=-1)


@mutant("rows", "loss", "huggingface/transformers#10674")
def smoothing_in_float16(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Add the losses of all classes up in float16."""
    z, x = _pair(labels, logits)
    logs, least = _log_softmax(x), z.min(axis=-1, keepdims=True, initial=1)
    shared = np.where(least[..., 0] > 0, logs.astype(np.float16).sum(axis=-1), 0)
    return _weighted(z - least, logs) - least[..., 0] * shared


@mutant("rows", "loss", "facebookresearch/deit#91")
def largest_label_only(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take the class with the largest label alone."""
    z, x = _pair(labels, logits)
    return good_index(z.argmax(axis=-1), x)


@mutant("rows", "loss", "microsoft/LMOps#157")
def labels_that_must_sum_to_one(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Count log Z once, whatever the sum of the labels."""
    z, x = _pair(labels, logits)
    logs = _log_softmax(x)
    log_z = (_shifted(x) - logs).max(axis=-1, initial=-np.inf)
    return _weighted(z, logs) + (1 - z.sum(axis=-1)) * log_z


@mutant("rows", "loss", "hadyelsahar/CNN-RelationExtraction#8")
def epsilon_beside_the_softmax(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take log(p + 1e-8), which ends the loss at 18."""
    z, x = _pair(labels, logits)
    return -(z * np.log(_softmax(x) + np.float32(1e-8))).sum(axis=-1)


@mutant("rows", "loss", "nntrainer/nntrainer#430")
def softmax_over_everything(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take the softmax along all axes at once."""
    z, x = _pair(labels, logits)
    return _weighted(z, _log_softmax(x.reshape(-1)).reshape(x.shape))


@mutant("rows", "loss", "tflearn/tflearn#562")
def softmax_before_the_loss(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Take probabilities for logits."""
    z, x = _pair(labels, logits)
    return _weighted(z, _log_softmax(_softmax(x)))


@mutant("rows", "loss", "lightly-ai/lightly#1341")
def probabilities_for_logarithms(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Forget the logarithm of the softmax."""
    z, x = _pair(labels, logits)
    return -(z * _softmax(x)).sum(axis=-1)


@mutant("rows", "loss", "ml-explore/mlx#4188")
def maximum_added_back_in_rows(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Add the largest logit back before the label's is subtracted, so that they cancel."""
    z, x = _pair(labels, logits)
    m = x.max(axis=-1, keepdims=True, initial=-np.inf)
    return _weighted(z, x - (m + np.log(np.exp(_shifted(x)).sum(axis=-1, keepdims=True))))


@mutant("rows", "gradient", XENT_OP)
def probability_minus_label(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Subtract the label from the probability, which cancels."""
    z, x = _pair(labels, logits)
    return _softmax(x) - z


@mutant("rows", "gradient", "OpenBMB/ModelCenter#14")
def nan_of_masked_classes(labels: ArrayLike, logits: ArrayLike) -> Floats:
    """Spread the nan of a masked class to its whole row."""
    z, x = _pair(labels, logits)
    return _softmax(x) * z.sum(axis=-1, keepdims=True) - z + 0 * (z * _log_softmax(x)).sum(axis=-1, keepdims=True)
