"""Cross-entropy from logits in PyTorch, without cancellation: copy ``aligned`` and the loss that you need.

The losses are in nats, one for each element or row, in float32 for float16 and bfloat16 logits (so under autocast) and in
float64 for float64. Labels of another shape than the rows are an error. A mean over the rows that count is
``loss.sum() / (labels != -100).sum()``.
"""

import torch


def aligned(labels, logits, of_rows=False):
    """Return both in float32 or float64; labels of another shape are a ValueError."""
    x = torch.as_tensor(logits)
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    z = torch.as_tensor(labels, dtype=x.dtype, device=x.device)
    shape = (*x.shape[:-1], 1) if of_rows else tuple(x.shape)
    z = z[..., None] if of_rows and z.dim() < x.dim() else z
    if z.shape != shape:
        raise ValueError(f"labels {tuple(z.shape)} do not fit logits {tuple(x.shape)}")
    return z, x


def sigmoid_cross_entropy(labels, logits):
    """Return relu(x) (1 - z) + relu(-x) z + log1p(e^-|x|) for labels z in [0, 1]."""
    z, x = aligned(labels, logits)
    positive = x >= 0  # a comparison has no slope; relu and abs have a kink at 0
    weight = torch.where(positive, 1 - z, -z)
    certain = (weight == 0) & x.isinf()
    linear = weight * torch.where(certain, 0, x)  # 0 times infinity is 0 here
    return linear + torch.log1p(torch.exp(torch.where(positive, -x, x)))


def sparse_softmax_cross_entropy(labels, logits, ignore=-100):
    """Return log(sum over j of e^(x_j - x_y)) for class y of each row.

    The label ``ignore`` costs 0, any other that is no class nan; both have the slope 0.
    """
    y, x = aligned(labels, logits, of_rows=True)
    right = y == torch.arange(x.shape[-1], device=x.device)
    own = torch.where(right, x, 0).sum(-1, keepdim=True)
    # 0 makes the slope of the right class minus the sum of the others; e^-10000 is 0
    found = right.any(-1, keepdim=True)
    gap = torch.where(right, 0, torch.where(found, x - own, -1e4))
    m = gap.detach().amax(-1, keepdim=True).clamp(0, torch.finfo(x.dtype).max)
    # log1p adds the 1 that is missing from the sum
    rest = torch.where(right, torch.expm1(-m), torch.exp(gap - m)).sum(-1)
    known = (found | (y == ignore)).squeeze(-1)
    return torch.where(known, m.squeeze(-1) + torch.log1p(rest), torch.nan)


def softmax_cross_entropy(labels, logits):
    """Return the sum over k of z_k (log(sum over j of e^x_j) - x_k) for rows z.

    A row of zeros costs 0 and has the slope 0, whatever its logits are.
    """
    z, x = aligned(labels, logits)
    # the class with the largest label
    right = z.argmax(-1, keepdim=True) == torch.arange(x.shape[-1], device=x.device)
    own = torch.where(right, x, 0).sum(-1, keepdim=True)
    is_row = (z != 0).any(-1, keepdim=True)
    gap = torch.where(right, 0, torch.where(is_row, x - own, -1e4))
    m = gap.detach().amax(-1, keepdim=True).clamp(0, torch.finfo(x.dtype).max)
    rest = torch.where(right, torch.expm1(-m), torch.exp(gap - m))
    loss = m - gap + torch.log1p(rest.sum(-1, keepdim=True))  # of each class
    return (z * torch.where((z != 0) | loss.isfinite(), loss, 0)).sum(-1)
