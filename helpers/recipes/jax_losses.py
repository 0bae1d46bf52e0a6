"""Cross-entropy from logits in JAX, without cancellation. Each function stands alone: copy the one that you need.

The losses are in nats, one for each element or row, in the type of the logits: cast float16 and bfloat16 logits to float32
first. Labels are lined up with the logits, so shapes (n,) and (n, 1) never broadcast to (n, n).
"""

import jax
import jax.numpy as jnp


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), whose terms cannot cancel, for labels z in [0, 1]."""
    labels = labels.reshape(logits.shape).astype(logits.dtype)
    positive = logits >= 0  # a comparison has no slope, whereas relu and abs have a kink at 0
    weight = jnp.where(positive, 1 - labels, -labels)
    linear = jnp.where(weight == 0, 0, weight * logits)  # 0 times infinity is 0 here
    return linear + jnp.log1p(jnp.exp(jnp.where(positive, -logits, logits)))


def sparse_softmax_cross_entropy(labels, logits):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row; a class outside [0, C) costs inf or nan."""
    right = labels.reshape(*logits.shape[:-1], 1) == jnp.arange(logits.shape[-1])
    own = jnp.max(logits, axis=-1, keepdims=True, where=right, initial=-jnp.inf)
    gap = jnp.where(right, 0, logits - own)  # this gives the right class minus the sum of the others' slopes
    m = jax.lax.stop_gradient(jnp.minimum(gap.max(axis=-1, keepdims=True), jnp.finfo(gap.dtype).max))
    rest = jnp.where(right, jnp.expm1(-m), jnp.exp(gap - m))  # log1p adds the 1 that is missing from their sum
    return m.squeeze(axis=-1) + jnp.log1p(rest.sum(axis=-1))


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows of labels z, such as one-hot rows."""
    right = labels.argmax(axis=-1, keepdims=True) == jnp.arange(logits.shape[-1])  # the class with the largest label
    own = jnp.max(logits, axis=-1, keepdims=True, where=right, initial=-jnp.inf)
    gap = jnp.where(right, 0, logits - own)
    m = jax.lax.stop_gradient(jnp.minimum(gap.max(axis=-1, keepdims=True), jnp.finfo(gap.dtype).max))
    rest = jnp.where(right, jnp.expm1(-m), jnp.exp(gap - m)).sum(axis=-1, keepdims=True)
    return jnp.where(labels == 0, 0, labels * (m - gap + jnp.log1p(rest))).sum(axis=-1)


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = jnp.where(near, d, 0), 1
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in (logits_p, logits_q))
    total = jax.nn.logsumexp(x, axis=-1, keepdims=True)
    p, log_q = jnp.exp(x - total), y - total  # log_q lacks a constant c, that of the other row
    d = jnp.where(p == 0, 0, y - x)  # exact for close rows, whereas log_softmax would round first
    own = jnp.take_along_axis(d, p.argmax(axis=-1, keepdims=True), axis=-1)
    c = jax.nn.logsumexp(log_q, axis=-1, keepdims=True)
    c = jax.lax.stop_gradient(jnp.where(abs(own - c) < 0.5, own, c))  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = (p > 0) & (abs(d) < 1)
    c = jnp.where(near, p * (d + k3(d, near)), jnp.exp(log_q) - p).sum(axis=-1, keepdims=True)
    c = jax.lax.stop_gradient(jnp.log1p(c))
    d, log_q = d - c, log_q - c
    return jnp.where(near, p * k3(d, near), jnp.exp(log_q) - p - p * d).sum(axis=-1)
