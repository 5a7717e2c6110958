import torch
def attention(query, key, value, mask=None):
    scores = torch.bmm(query, key.transpose(1, 2)) / query.shape[-1] ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask == 0, 0.0)
    weights = torch.softmax(scores, dim=2)
    return torch.bmm(weights, value), weights
