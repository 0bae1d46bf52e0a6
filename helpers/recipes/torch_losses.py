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
