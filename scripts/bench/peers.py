"""One peer, one process: `peers.py METHOD WORKSPACE SHAPE` prints its weights and the CPU seconds of its search.

Loading, imports and the methods' preparation of the data are outside of the seconds reported here; the caller sees
them in what the whole process took.
"""

import contextlib
import io
import json
import sys
import time
from types import SimpleNamespace

import numpy as np
from data import log_loss, opened
from scipy.optimize import Bounds, LinearConstraint, minimize

TRIALS, WINNERS_TRIALS = 100, 3000
PICKS = 100
LIMIT_SECONDS = 60  # CPU; a method of scipy with a gradient that takes longer is stopped


def winners_slsqp(pool):
    """The first place's own call: SLSQP on the simplex without a gradient, from equal weights, tolerance 1e-10."""
    oof, truth = pool.oof, pool.truth.astype(np.int64).ravel()
    start = [1 / len(oof)] * len(oof)

    def objective(weights):
        blend = np.tensordot(weights, oof, axes=((0), (0)))
        return log_loss(blend.ravel(), truth)

    sum_to_one = {"type": "eq", "fun": lambda w: np.sum(w) - 1, "jac": lambda w: [1] * len(w)}
    bounds = [(0, 1)] * len(oof)
    return lambda: minimize(objective, start, method="SLSQP", bounds=bounds, constraints=sum_to_one, tol=1e-10)


def slsqp_gradient(tol):
    """SLSQP as above, with the gradient that its finite differences cost the winners."""

    def prepare(pool):
        both = pool.with_gradient()
        n = len(pool.names)
        start = np.full(n, 1 / n)
        sum_to_one = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)}
        kind = {"method": "SLSQP", "jac": True, "bounds": [(0, 1)] * n, "constraints": sum_to_one, "tol": tol}
        return lambda: in_time(both, lambda both: minimize(both, start, **kind))

    return prepare


def trust_constr(pool):
    """The interior-point method of scipy, with the gradient and its own quasi-Newton Hessian."""
    both = pool.with_gradient()
    n = len(pool.names)
    kind = {
        "method": "trust-constr",
        "jac": True,
        "bounds": Bounds(np.zeros(n), np.ones(n)),
        "constraints": [LinearConstraint(np.ones(n), 1, 1)],
        "options": {"gtol": 1e-9, "xtol": 1e-12, "barrier_tol": 1e-10, "maxiter": 2000},
    }
    return lambda: in_time(both, lambda both: minimize(both, np.full(n, 1 / n), **kind))


def lbfgs_softmax(tol):
    """L-BFGS on the logarithms of the weights: always inside the simplex, and zeros only in the limit."""

    def prepare(pool):
        both = pool.with_gradient()

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


class OutOfTime(Exception):
    pass


def in_time(both, search):
    """What `search` finds, or after LIMIT_SECONDS the last weights that it asked for, moved onto the simplex."""
    last, started, evaluations = None, time.process_time(), 0

    def watched(weights):
        nonlocal last, evaluations
        last, evaluations = weights, evaluations + 1
        if time.process_time() - started > LIMIT_SECONDS:
            raise OutOfTime
        return both(weights)

    try:
        return search(watched)
    except OutOfTime:
        last = np.maximum(last, 0)
        return SimpleNamespace(x=last / last.sum(), nfev=evaluations, message="stopped at the time limit")


def autogluon(pool):
    """AutoGluon's selection by our fast loss. It rounds to six decimals, so the loss is given a millionfold."""
    from autogluon.core.metrics import make_scorer
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    columns, truth, loss = pool.columns()
    scorer = make_scorer("loss", lambda y, p: 1e6 * loss(y, p), optimum=0, greater_is_better=False)

    def search():
        selection = EnsembleSelection(PICKS, "regression", scorer).fit(columns, truth)
        return SimpleNamespace(x=selection.weights_, nfev=PICKS * len(columns), message="")

    return search


def hillclimbers(pool):
    """A grid of hundredths, each model once. It returns predictions: those of an identity are the weights."""
    import pandas as pd
    from hillclimbers import climb_hill, partial

    columns, truth, loss = pool.columns()
    oof = pd.DataFrame(dict(zip(pool.names, columns)))
    kind = {
        "train": pd.DataFrame({"y": truth}),
        "target": "y",
        "oof_pred_df": oof,
        "test_pred_df": pd.DataFrame(np.eye(len(columns)), columns=pool.names),
        "objective": "minimize",
        "plot_hill": False,
    }
    calls = 0

    def counted(y, p):
        nonlocal calls
        calls += 1
        return loss(y.to_numpy(), p.to_numpy())

    def search():
        with contextlib.redirect_stdout(io.StringIO()):
            weights = climb_hill(eval_metric=partial(counted), **kind)
        return SimpleNamespace(x=np.asarray(weights), nfev=calls, message="")

    return search


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def optuna_tpe(pool):
    """The winners' other search: TPE in the unit box, sum not fixed. They ran 3,000 trials; this runs 100."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    oof, truth = pool.oof, pool.truth.astype(np.int64)

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
    "slsqp-gradient-1e-12": slsqp_gradient(1e-12),
    "slsqp-gradient-1e-15": slsqp_gradient(1e-15),
    "trust-constr": trust_constr,
    "lbfgs-softmax-1e-9": lbfgs_softmax(1e-9),
    "lbfgs-softmax-1e-10": lbfgs_softmax(1e-10),
    "lbfgs-softmax-1e-15": lbfgs_softmax(1e-15),
    "optuna-tpe": optuna_tpe,
    "autogluon": autogluon,
    "hillclimbers": hillclimbers,
}


def main():
    method, workspace, shape = sys.argv[1:]
    search = METHODS[method](opened(workspace, shape))
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
