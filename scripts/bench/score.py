"""Judges all weights in one process by one function: `score.py WORKSPACE SHAPE < {name: weights} > {name: verdict}`.

Besides the score it works out how far from the optimum the weights can be at most where the loss is convex. This checks
the certificate of `blend search` without any of its code.
"""

import json
import sys

import numpy as np
from data import opened


def main():
    problem = opened(sys.argv[1], sys.argv[2])
    verdicts = {}
    for name, weights in json.load(sys.stdin).items():
        weights = np.array(weights)
        verdicts[name] = {
            "score": problem.score(weights),
            "sum": float(weights.sum()),
            "bound": problem.bound(weights),
        }
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
