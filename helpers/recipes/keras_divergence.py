"""KL divergence from logits in Keras on any backend, with its digits however close the rows are: copy the function.

First derivatives are right, second ones are not, because the constant c has no slope.
"""

from keras import ops


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = ops.where(near, d, 0.0), 1.0
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (ops.convert_to_tensor(x) for x in (logits_p, logits_q))
    x, y = (ops.cast(x, "float64" if "float64" in str(x.dtype) else "float32") for x in (x, y))
    if len(x.shape) != len(y.shape) or any(a != b for a, b in zip(x.shape, y.shape, strict=True) if None not in (a, b)):
        raise ValueError(f"logits must have one shape, got {x.shape} and {y.shape}")
    k = ops.argmax(x, axis=-1, keepdims=True)
    x_k, y_k = (ops.stop_gradient(ops.take_along_axis(row, k, axis=-1)) for row in (x, y))
    apart = ops.logical_and(ops.abs(x_k - y_k) > 4, y_k > -float("inf"))
    d = ops.where(apart, (y - y_k) - (x - x_k), y - x)  # exact for close rows, whereas log_softmax would round first
    x, y = x - x_k, y - ops.where(apart, y_k, x_k)  # large logits have no digits left for what follows
    total = ops.logsumexp(x, axis=-1, keepdims=True)
    p, log_q = ops.exp(x - total), y - total  # log_q lacks a constant c, as d does
    d = ops.where(p > 0, d, 0.0)
    own, c = ops.take_along_axis(d, k, axis=-1), ops.logsumexp(log_q, axis=-1, keepdims=True)
    c = ops.stop_gradient(ops.where(ops.abs(own - c) < 0.5, own, c))  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = ops.logical_and(p > 0, ops.abs(d) < 1)
    c = ops.sum(ops.where(near, p * (d + k3(d, near)), ops.exp(log_q) - p), axis=-1, keepdims=True)
    c = ops.stop_gradient(ops.log1p(c))
    d, log_q = d - c, log_q - c
    return ops.sum(ops.where(near, p * k3(d, near), ops.exp(log_q) - p - p * d), axis=-1)
