"""One peer, one process: `peers.py METHOD WORKSPACE N` prints its weights and the CPU seconds of its search.

Loading, imports and the methods' preparation of the data are outside of the seconds reported here; the caller sees
them in what the whole process took.
"""

import json
import sys
import time
from types import SimpleNamespace

import numpy as np
from data import Pool, log_loss
from scipy.optimize import minimize

TRIALS, WINNERS_TRIALS = 100, 3000


def winners_slsqp(pool):
    """The first place's own call: SLSQP on the simplex without a gradient, from equal weights, tolerance 1e-10."""
    oof, truth = pool.oof(), pool.truth.astype(np.int64).ravel()
    start = [1 / len(oof)] * len(oof)

    def objective(weights):
        blend = np.tensordot(weights, oof, axes=((0), (0)))
        return log_loss(blend.ravel(), truth)

    sum_to_one = {"type": "eq", "fun": lambda w: np.sum(w) - 1, "jac": lambda w: [1] * len(w)}
    bounds = [(0, 1)] * len(oof)
    return lambda: minimize(objective, start, method="SLSQP", bounds=bounds, constraints=sum_to_one, tol=1e-10)


def with_gradient(likelihood):
    """Value and gradient by numpy: a product per model, one logarithm and one division per cell."""

    def both(weights):
        blend = np.maximum(weights @ likelihood, 1e-15)
        value = -np.log(blend).mean()
        np.divide(-1 / blend.size, blend, out=blend)
        return value, likelihood @ blend

    return both


def slsqp_gradient(tol):
    """SLSQP as above, with the gradient that its finite differences cost the winners."""

    def prepare(pool):
        both = with_gradient(pool.likelihood())
        n = len(pool.names)
        start = np.full(n, 1 / n)
        sum_to_one = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)}
        kind = {"method": "SLSQP", "jac": True, "bounds": [(0, 1)] * n, "constraints": sum_to_one, "tol": tol}
        return lambda: minimize(both, start, **kind)

    return prepare


def lbfgs_softmax(tol):
    """L-BFGS on the logarithms of the weights: always inside the simplex, and zeros only in the limit."""

    def prepare(pool):
        both = with_gradient(pool.likelihood())

        def objective(z):
            weights = softmax(z)
            value, gradient = both(weights)
            return value, weights * (gradient - weights @ gradient)

        options = {"ftol": tol, "gtol": tol, "maxiter": 1000, "maxfun": 2000}
        start = np.zeros(len(pool.names))

        def search():
            found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
            found.x = softmax(found.x)
            return found

        return search

    return prepare


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def optuna_tpe(pool):
    """The winners' other search: TPE in the unit box, sum not fixed. They ran 3,000 trials; this runs 100."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    oof, truth = pool.oof(), pool.truth.astype(np.int64)

    def objective(trial):
        blend = np.zeros(truth.shape)
        for i, member in enumerate(oof):
            blend += trial.suggest_float(f"w{i}", 0, 1) * member
        p = np.clip(blend, 0, 1)
        return np.nanmean(-((1 - truth) * np.log(1 - p + 1e-15) + truth * np.log(p + 1e-15)))

    def search():
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1120))
        study.optimize(objective, n_trials=TRIALS)
        best = [study.best_params[f"w{i}"] for i in range(len(oof))]
        # The shape of a scipy result; `scale` is what the seconds are multiplied by.
        return SimpleNamespace(x=best, nfev=TRIALS, message="", scale=WINNERS_TRIALS / TRIALS)

    return search


METHODS = {
    "winners-slsqp": winners_slsqp,
    "slsqp-gradient-1e-10": slsqp_gradient(1e-10),
    "lbfgs-softmax-1e-9": lbfgs_softmax(1e-9),
    "lbfgs-softmax-1e-10": lbfgs_softmax(1e-10),
    "lbfgs-softmax-1e-15": lbfgs_softmax(1e-15),
    "optuna-tpe": optuna_tpe,
}


def main():
    method, workspace, n = sys.argv[1:]
    search = METHODS[method](Pool(workspace, int(n)))
    cpu, wall = time.process_time(), time.perf_counter()
    found = search()
    result = {
        "weights": [float(w) for w in found.x],
        "evaluations": int(found.nfev),
        "scale": getattr(found, "scale", 1),
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "says": str(found.message),
    }
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
