"""What the networks are trained on."""

import torch
from torch.nn import functional as F


def von_mises_fisher(raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of unit vectors under a 3-D von Mises-Fisher distribution whose mean direction times
    concentration is `raw`, (n, 3) both; less log(4 pi).

    In three dimensions the normalization needs no Bessel function: kappa / (4 pi sinh kappa) (Mardia and Jupp 2000,
    section 9.3.2).
    """
    kappa = raw.norm(dim=1).clamp_min(1e-3)
    log_sinh_by_kappa = kappa + torch.log(-torch.expm1(-2 * kappa)) - torch.log(2 * kappa)
    return (log_sinh_by_kappa - (raw * target).sum(1)).mean()


def angle(raw: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean angle in radians between vectors and unit vectors, (n, 3) both."""
    cosine = (F.normalize(raw.double(), dim=1) * target).sum(1)
    return torch.arccos(cosine.clamp(-1 + 1e-8, 1 - 1e-8)).mean()


def smoothed(labels: torch.Tensor, by: float) -> torch.Tensor:
    """Labels moved towards one half: 0 to by / 2, 1 to 1 - by / 2."""
    return labels * (1 - by) + by / 2
