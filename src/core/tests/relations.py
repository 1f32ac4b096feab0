"""Prints the numbers that the tests of `compare`, `calibration` and `ensemble` compare with: numpy, scipy 1.17.1,
scikit-learn 1.9.1.

    pip install scikit-learn==1.9.1 scipy
    python relations.py
"""

import numpy as np
from scipy import optimize, special, stats

A = np.array([0.3, 0.1, 0.3, 0.9, 0.45, 0.7, 0.1, 0.62])
B = np.array([0.2, 0.1, 0.35, 0.8, 0.35, 0.9, 0.15, 0.35])
Y = np.array([0, 0, 1, 1, 0, 1, 0, 1])


def show(name, value):
    print(f"{name} = {float(value)!r}")


show("pearson", stats.pearsonr(A, B)[0])
show("spearman", stats.spearmanr(A, B)[0])
show("kendall", stats.kendalltau(A, B)[0])


def recalibration(p):
    z = special.logit(p)

    def loss(v):
        u = v[0] + v[1] * z
        return np.sum(np.logaddexp(0, u) - Y * u)

    best = optimize.minimize(loss, [0.0, 1.0], method="BFGS", options={"gtol": 1e-12})
    return best.x


intercept, slope = recalibration(A)
show("calibration slope", slope)
show("calibration intercept", intercept)
line = stats.linregress(A, B)
show("line slope", line.slope)
show("line intercept", line.intercept)

# The logarithmic pool of A and B with weights 0.5, and its ambiguity.
za, zb = special.logit(A), special.logit(B)
z = (za + zb) / 2


def loss(u):
    return np.mean(np.logaddexp(0, u) - Y * u)


def divergence(u):
    return np.mean(np.logaddexp(0, u) - np.logaddexp(0, z) - special.expit(z) * (u - z))


show("pool", loss(z))
show("mean member", (loss(za) + loss(zb)) / 2)
show("divergence of A", divergence(za))
show("divergence of B", divergence(zb))
