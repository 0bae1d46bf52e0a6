"""Cross-entropy of a vocabulary whose rows are spread over devices, in JAX: what one device computes in ``jax.shard_map``.

A loss is in nats and float32, one for each token, on every device. Pad the embedding to a multiple of the number of devices,
and the tokens as well, with ``ignore_label``.
"""

import jax
import jax.numpy as jnp


def sharded_cross_entropy(hidden, rows, labels, classes, axis, ignore_label=-100):
    """Return log(sum over j of e^(x_j - x_y)) for all tokens, from this device's tokens and rows, and all labels.

    Rows from ``classes`` on are padding. A label that is neither a class nor ``ignore_label`` costs nan.
    """
    hidden, rows = hidden.astype(jnp.float32), rows.astype(jnp.float32)  # so gradients are summed in float32, too
    x = jax.lax.all_gather(hidden, axis, tiled=True) @ rows.T
    if labels.shape != x.shape[:1]:
        raise ValueError(f"labels {labels.shape} do not fit the {len(x)} tokens of all devices")
    number = jax.lax.axis_index(axis) * len(rows) + jnp.arange(len(rows))
    x = jnp.where(number < classes, x, jnp.finfo(x.dtype).min)  # -inf would give nan where all rows are padding
    own = labels[:, None] == number
    m = jax.lax.stop_gradient(x.max(axis=-1))
    others = jnp.where(own, 0, jnp.exp(x - m[:, None])).sum(axis=-1)
    triple = jnp.stack([m, others, jnp.where(own, x, 0).sum(axis=-1)])
    return merged_losses(*jax.lax.all_gather(triple, axis, axis=1, to="invarying")) * weights(labels, classes, ignore_label)


def merged_losses(m, others, x_y):
    """Return the losses from each device's largest logit, its sum without the label's class, and the label's logit or 0."""
    top = m.max(axis=0)
    others = (others * jnp.exp(m - top)).sum(axis=0)
    gap = x_y.sum(axis=0) - top
    fixed = jax.lax.stop_gradient(gap)  # so the slope of x_y is minus the sum of the others, and nothing is subtracted
    return jnp.log1p(jnp.expm1(fixed) + others * jnp.exp(fixed - gap)) - fixed


def weights(labels, classes, ignore_label):
    """Return 1 for a class, 0 for padding and nan for any other label."""
    is_class = (labels >= 0) & (labels < classes)
    return jnp.where(labels == ignore_label, 0, jnp.where(is_class, 1, jnp.nan))
