"""Cross-entropy from logits in JAX, without cancellation: copy ``aligned`` and the loss that you need.

The losses are in nats, one for each element or row, in float32 for float16 and bfloat16 logits, and in float64 for float64.
Labels of another shape than the rows are an error. A mean over the rows that count is
``loss.sum() / (labels != -100).sum()``.
"""

from jax import lax
from jax import numpy as jnp


def aligned(labels, logits, of_rows=False):
    """Return both in float32 or float64; labels of another shape are a ValueError."""
    x = jnp.asarray(logits)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    z = jnp.asarray(labels, x.dtype)
    shape = (*x.shape[:-1], 1) if of_rows else x.shape
    z = z[..., None] if of_rows and z.ndim < x.ndim else z
    if z.shape != shape:
        raise ValueError(f"labels {z.shape} do not fit logits {x.shape}")
    return z, x


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|) for labels z in [0, 1]."""
    z, x = aligned(labels, logits)
    positive = x >= 0  # a comparison has no slope; relu and abs have a kink at 0
    weight = jnp.where(positive, 1 - z, -z)
    certain = (weight == 0) & jnp.isinf(x)
    linear = weight * jnp.where(certain, 0, x)  # 0 times infinity is 0 here
    return linear + jnp.log1p(jnp.exp(jnp.where(positive, -x, x)))


def sparse_softmax_cross_entropy(labels, logits, ignore=-100):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row.

    The label ``ignore`` costs 0, any other that is no class nan; both have the slope 0.
    """
    y, x = aligned(labels, logits, of_rows=True)
    right = y == jnp.arange(x.shape[-1])
    own = jnp.where(right, x, 0).sum(-1, keepdims=True)
    # 0 makes the slope of the right class minus the sum of the others; e^-10000 is 0
    found = right.any(-1, keepdims=True)
    gap = jnp.where(right, 0, jnp.where(found, x - own, -1e4))
    m = lax.stop_gradient(gap.max(-1, keepdims=True).clip(0, jnp.finfo(x.dtype).max))
    # log1p adds the 1 that is missing from the sum
    rest = jnp.where(right, jnp.expm1(-m), jnp.exp(gap - m)).sum(-1)
    known = (found | (y == ignore)).squeeze(-1)
    return jnp.where(known, m.squeeze(-1) + jnp.log1p(rest), jnp.nan)


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows z.

    A row of zeros costs 0 and has the slope 0, whatever its logits are.
    """
    z, x = aligned(labels, logits)
    # the class with the largest label
    right = z.argmax(-1, keepdims=True) == jnp.arange(x.shape[-1])
    own = jnp.where(right, x, 0).sum(-1, keepdims=True)
    is_row = (z != 0).any(-1, keepdims=True)
    gap = jnp.where(right, 0, jnp.where(is_row, x - own, -1e4))
    m = lax.stop_gradient(gap.max(-1, keepdims=True).clip(0, jnp.finfo(x.dtype).max))
    rest = jnp.where(right, jnp.expm1(-m), jnp.exp(gap - m))
    loss = m - gap + jnp.log1p(rest.sum(-1, keepdims=True))  # of each class
    return (z * jnp.where((z != 0) | jnp.isfinite(loss), loss, 0)).sum(-1)
