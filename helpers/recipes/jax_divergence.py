"""KL divergence from logits in JAX, with its digits however close the rows are: copy the function.

First derivatives are right, second ones are not, because the constant c has no slope.
"""

import jax
from jax import numpy as jnp


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = jnp.where(near, d, 0), 1
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in (logits_p, logits_q))
    if x.shape != y.shape:
        raise ValueError(f"logits must have one shape, got {x.shape} and {y.shape}")
    k = x.argmax(axis=-1, keepdims=True)
    x_k, y_k = (jax.lax.stop_gradient(jnp.take_along_axis(row, k, axis=-1)) for row in (x, y))
    apart = (abs(x_k - y_k) > 4) & (y_k > -jnp.inf)
    d = jnp.where(apart, (y - y_k) - (x - x_k), y - x)  # exact for close rows, whereas log_softmax would round first
    x, y = x - x_k, y - jnp.where(apart, y_k, x_k)  # large logits have no digits left for what follows
    total = jax.nn.logsumexp(x, axis=-1, keepdims=True)
    p, log_q = jnp.exp(x - total), y - total  # log_q lacks a constant c, as d does
    d = jnp.where(p == 0, 0, d)
    own, c = jnp.take_along_axis(d, k, axis=-1), jax.nn.logsumexp(log_q, axis=-1, keepdims=True)
    c = jax.lax.stop_gradient(jnp.where(abs(own - c) < 0.5, own, c))  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = (p > 0) & (abs(d) < 1)
    c = jnp.where(near, p * (d + k3(d, near)), jnp.exp(log_q) - p).sum(axis=-1, keepdims=True)
    c = jax.lax.stop_gradient(jnp.log1p(c))
    d, log_q = d - c, log_q - c
    return jnp.where(near, p * k3(d, near), jnp.exp(log_q) - p - p * d).sum(axis=-1)
