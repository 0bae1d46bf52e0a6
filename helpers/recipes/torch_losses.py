"""Cross-entropy from logits in PyTorch, without cancellation. Each function stands alone: copy the one that you need.

The losses are in nats, one for each element or row, in the type of the logits: cast float16 and bfloat16 logits to float32
first. Labels are lined up with the logits, so shapes (n,) and (n, 1) never broadcast to (n, n).
"""

import torch


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|), whose terms cannot cancel, for labels z in [0, 1]."""
    labels = labels.reshape(logits.shape).to(logits.dtype)
    positive = logits >= 0  # a comparison has no slope, whereas relu and abs have a kink at 0
    weight = torch.where(positive, 1 - labels, -labels)
    linear = torch.where(weight == 0, 0, weight * logits)  # 0 times infinity is 0 here
    return linear + torch.log1p(torch.exp(torch.where(positive, -logits, logits)))


def sparse_softmax_cross_entropy(labels, logits):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row; a class outside [0, C) costs inf or nan."""
    right = labels.reshape(*logits.shape[:-1], 1) == torch.arange(logits.shape[-1], device=logits.device)
    own = torch.where(right, logits, -torch.inf).amax(dim=-1, keepdim=True)
    gap = torch.where(right, 0, logits - own)  # this gives the right class minus the sum of the others' slopes
    m = gap.amax(dim=-1, keepdim=True).clamp(max=torch.finfo(gap.dtype).max).detach()
    rest = torch.where(right, torch.expm1(-m), torch.exp(gap - m))  # log1p adds the 1 that is missing from their sum
    return m.squeeze(dim=-1) + torch.log1p(rest.sum(dim=-1))


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows of labels z, such as one-hot rows."""
    right = labels.argmax(dim=-1, keepdim=True) == torch.arange(logits.shape[-1], device=logits.device)
    own = torch.where(right, logits, -torch.inf).amax(dim=-1, keepdim=True)
    gap = torch.where(right, 0, logits - own)
    m = gap.amax(dim=-1, keepdim=True).clamp(max=torch.finfo(gap.dtype).max).detach()
    rest = torch.where(right, torch.expm1(-m), torch.exp(gap - m)).sum(dim=-1, keepdim=True)
    return torch.where(labels == 0, 0, labels * (m - gap + torch.log1p(rest))).sum(dim=-1)


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = torch.where(near, d, 0), 1
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (logits_p, logits_q))
    total = torch.logsumexp(x, dim=-1, keepdim=True)
    p, log_q = torch.exp(x - total), y - total  # log_q lacks a constant c, that of the other row
    d = torch.where(p == 0, 0, y - x)  # exact for close rows, whereas log_softmax would round first
    c, own = torch.logsumexp(log_q, dim=-1, keepdim=True), d.gather(-1, p.argmax(dim=-1, keepdim=True))
    c = torch.where((own - c).abs() < 0.5, own, c).detach()  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = (p > 0) & (d.abs() < 1)
    c = torch.where(near, p * (d + k3(d, near)), torch.exp(log_q) - p).sum(dim=-1, keepdim=True).log1p().detach()
    d, log_q = d - c, log_q - c
    return torch.where(near, p * k3(d, near), torch.exp(log_q) - p - p * d).sum(dim=-1)
