"""Cross-entropy from logits for Keras on any backend, without cancellation: copy ``aligned`` and the loss that you need.

Compile with ``loss=`` the function. The losses are in nats, one for each element or row, in float32 for float16 and bfloat16
logits, and in float64 for float64. Labels of another shape than the rows are an error. Keras's mean is over all rows, also
those that do not count: ``fit`` with ``sample_weight=mask / mask.mean()`` makes it the mean over the rows that do. Each loss
is registered, so that a saved model finds it again once this code has run.
"""

import keras
from keras import ops


def aligned(labels, logits, of_rows=False):
    """Return both in float32 or float64; labels of another shape are a ValueError."""
    x = ops.convert_to_tensor(logits)
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    z = ops.cast(ops.convert_to_tensor(labels), x.dtype)
    shape = (*x.shape[:-1], 1) if of_rows else x.shape
    z = z[..., None] if of_rows and len(z.shape) < len(shape) else z
    # None is for run time to know: where one label is repeated then, all become 0 / 0
    fit = [a == b or None in (a, b) for a, b in zip(z.shape, shape, strict=False)]
    if len(z.shape) != len(shape) or not all(fit):
        raise ValueError(f"labels {tuple(z.shape)} do not fit logits {tuple(x.shape)}")
    whole = ops.cast(ops.size(z) == ops.size(x[..., :1] if of_rows else x), x.dtype)
    return z * (whole / whole), x


@keras.saving.register_keras_serializable("losses to copy")
def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|) for labels z in [0, 1]."""
    z, x = aligned(labels, logits)
    positive = x >= 0  # a comparison has no slope; relu and abs have a kink at 0
    weight = ops.where(positive, 1 - z, -z)
    certain = ops.logical_and(weight == 0, ops.isinf(x))
    linear = weight * ops.where(certain, 0.0, x)  # 0 times infinity is 0 here
    return linear + ops.log1p(ops.exp(ops.where(positive, -x, x)))


@keras.saving.register_keras_serializable("losses to copy")
def sparse_softmax_cross_entropy(labels, logits, ignore=-100):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row.

    The label ``ignore`` costs 0, any other that is no class nan; both have the slope 0.
    """
    y, x = aligned(labels, logits, of_rows=True)
    right = y == ops.arange(ops.shape(x)[-1], dtype=x.dtype)
    own = ops.sum(ops.where(right, x, 0.0), -1, keepdims=True)
    # 0 makes the slope of the right class minus the sum of the others; e^-10000 is 0
    found = ops.any(right, -1, keepdims=True)
    gap = ops.where(right, 0.0, ops.where(found, x - own, -1e4))
    m = ops.max(ops.stop_gradient(gap), -1, keepdims=True, initial=0.0)
    m = ops.minimum(m, 3e38)  # float32 ends a little above
    # log1p adds the 1 that is missing from the sum
    rest = ops.where(right, ops.expm1(-m), ops.exp(gap - m))
    loss = m + ops.log1p(ops.sum(rest, -1, keepdims=True))
    # a loss of 0 divided by 0 is nan
    return (loss / ops.cast(found | (y == ignore), x.dtype))[..., 0]


@keras.saving.register_keras_serializable("losses to copy")
def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows z.

    A row of zeros costs 0 and has the slope 0, whatever its logits are.
    """
    z, x = aligned(labels, logits)
    # the class with the largest label
    right = ops.argmax(z, -1, keepdims=True) == ops.arange(ops.shape(x)[-1])
    own = ops.sum(ops.where(right, x, 0.0), -1, keepdims=True)
    is_row = ops.any(z != 0, -1, keepdims=True)
    gap = ops.where(right, 0.0, ops.where(is_row, x - own, -1e4))
    m = ops.max(ops.stop_gradient(gap), -1, keepdims=True, initial=0.0)
    m = ops.minimum(m, 3e38)  # float32 ends a little above
    rest = ops.where(right, ops.expm1(-m), ops.exp(gap - m))
    loss = m - gap + ops.log1p(ops.sum(rest, -1, keepdims=True))  # of each class
    return ops.sum(z * ops.where((z != 0) | ops.isfinite(loss), loss, 0.0), -1)
