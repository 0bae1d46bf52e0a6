"""Cross-entropy from logits for Keras on any backend, without cancellation: copy the function, and compile with loss=it.

The losses are in nats, one for each element or row, in the type of the logits: cast float16 and bfloat16 logits to float32
first. Labels are lined up with the logits, so shapes (n,) and (n, 1) never broadcast to (n, n).
"""

from keras import ops


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), whose terms cannot cancel, for labels z in [0, 1]."""
    labels = ops.cast(ops.reshape(labels, ops.shape(logits)), logits.dtype)
    positive = logits >= 0  # a comparison has no slope, whereas relu and abs have a kink at 0
    weight = ops.where(positive, 1 - labels, -labels)
    linear = ops.where(weight == 0, 0.0, weight * logits)  # 0 times infinity is 0 here
    return linear + ops.log1p(ops.exp(ops.where(positive, -logits, logits)))


def sparse_softmax_cross_entropy(labels, logits):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row; a class outside [0, C) costs inf, nan or an error."""
    right = ops.reshape(ops.one_hot(ops.cast(labels, "int32"), logits.shape[-1], dtype="bool"), ops.shape(logits))
    own = ops.max(ops.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = ops.where(right, 0.0, logits - own)  # this gives the right class minus the sum of the others' slopes
    m = ops.stop_gradient(ops.minimum(ops.max(gap, axis=-1, keepdims=True), 3e38))  # float32 ends at 3.4e38
    rest = ops.where(right, ops.expm1(-m), ops.exp(gap - m))  # log1p adds the 1 that is missing from their sum
    return ops.squeeze(m, axis=-1) + ops.log1p(ops.sum(rest, axis=-1))


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows of labels z, such as one-hot rows."""
    right = ops.one_hot(ops.argmax(labels, axis=-1), logits.shape[-1], dtype="bool")  # the class with the largest label
    own = ops.max(ops.where(right, logits, -float("inf")), axis=-1, keepdims=True)
    gap = ops.where(right, 0.0, logits - own)
    m = ops.stop_gradient(ops.minimum(ops.max(gap, axis=-1, keepdims=True), 3e38))
    rest = ops.sum(ops.where(right, ops.expm1(-m), ops.exp(gap - m)), axis=-1, keepdims=True)
    return ops.sum(ops.where(labels == 0, 0.0, labels * (m - gap + ops.log1p(rest))), axis=-1)


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = ops.where(near, d, 0.0), 1.0
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (ops.convert_to_tensor(x) for x in (logits_p, logits_q))
    x, y = (ops.cast(x, "float64" if "float64" in str(x.dtype) else "float32") for x in (x, y))
    total = ops.logsumexp(x, axis=-1, keepdims=True)
    p, log_q = ops.exp(x - total), y - total  # log_q lacks a constant c, that of the other row
    d = ops.where(p > 0, y - x, 0.0)  # exact for close rows, whereas log_softmax would round first
    own = ops.take_along_axis(d, ops.argmax(p, axis=-1, keepdims=True), axis=-1)
    c = ops.logsumexp(log_q, axis=-1, keepdims=True)
    c = ops.stop_gradient(ops.where(ops.abs(own - c) < 0.5, own, c))  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = ops.logical_and(p > 0, ops.abs(d) < 1)
    c = ops.sum(ops.where(near, p * (d + k3(d, near)), ops.exp(log_q) - p), axis=-1, keepdims=True)
    c = ops.stop_gradient(ops.log1p(c))
    d, log_q = d - c, log_q - c
    return ops.sum(ops.where(near, p * k3(d, near), ops.exp(log_q) - p - p * d), axis=-1)
