"""KL divergence from logits in PyTorch, with its digits however close the rows are: copy the function.

First derivatives are right, second ones are not, because the constant c has no slope.
"""

import torch


def kl_from_logits(logits_p, logits_q):
    """Return the sum over j of p_j (e^d_j - 1 - d_j) with d = log(q / p), which is KL(p || q), for two rows of logits."""

    def k3(d, near):  # e^d - 1 - d for |d| < 1, where expm1(d) - d would cancel
        h, s = torch.where(near, d, 0), 1
        for k in range(10, 2, -1):  # for float64 start at 18
            s = 1 + h / k * s
        return h * h / 2 * s

    x, y = (x.to(torch.promote_types(x.dtype, torch.float32)) for x in (logits_p, logits_q))
    if x.shape != y.shape:
        raise ValueError(f"logits must have one shape, got {x.shape} and {y.shape}")
    k = x.argmax(dim=-1, keepdim=True)
    x_k, y_k = (row.detach().gather(-1, k) for row in (x, y))
    apart = ((x_k - y_k).abs() > 4) & (y_k > -torch.inf)
    d = torch.where(apart, (y - y_k) - (x - x_k), y - x)  # exact for close rows, whereas log_softmax would round first
    x, y = x - x_k, y - torch.where(apart, y_k, x_k)  # large logits have no digits left for what follows
    total = torch.logsumexp(x, dim=-1, keepdim=True)
    p, log_q = torch.exp(x - total), y - total  # log_q lacks a constant c, as d does
    d = torch.where(p == 0, 0, d)
    own, c = d.gather(-1, k), torch.logsumexp(log_q, dim=-1, keepdim=True)
    c = torch.where((own - c).abs() < 0.5, own, c).detach()  # no slope: the sum is smallest at the right c
    d, log_q = d - c, log_q - c
    near = (p > 0) & (d.abs() < 1)
    c = torch.where(near, p * (d + k3(d, near)), torch.exp(log_q) - p).sum(dim=-1, keepdim=True).log1p().detach()
    d, log_q = d - c, log_q - c
    return torch.where(near, p * k3(d, near), torch.exp(log_q) - p - p * d).sum(dim=-1)
