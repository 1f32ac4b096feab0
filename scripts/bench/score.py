"""Judges all weights in one process by one function: `score.py WORKSPACE N < {name: weights} > {name: verdict}`.

Besides the score it works out how far from the optimum the weights can be at most: the loss is convex, so on the
simplex the slope toward the best corner bounds what is left to gain. This checks the certificate of `blend search`
without any of its code.
"""

import json
import sys

import numpy as np
from data import Pool, log_loss


def main():
    pool = Pool(sys.argv[1], int(sys.argv[2]))
    oof, likelihood = pool.oof(), pool.likelihood()
    verdicts = {}
    for name, weights in json.load(sys.stdin).items():
        weights = np.array(weights)
        slope = -(likelihood @ (1 / np.maximum(weights @ likelihood, 1e-15))) / likelihood.shape[1]
        verdicts[name] = {
            "score": log_loss(np.tensordot(weights, oof, axes=1), pool.truth),
            "sum": float(weights.sum()),
            "bound": float(weights @ slope - slope.min()),
        }
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
