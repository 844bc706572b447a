"""Optuna's first example, an objective that asks the trial for its parameters, on
NAS-Bench-201: python optuna_nb201.py TABLE"""

import optuna

import archflow.optuna
from nb201 import EDGES, OPS, compare, describe


def search(results, client, seed, trials):
    def objective(trial):
        return results[describe({e: trial.suggest_categorical(e, OPS) for e in EDGES})["arch"]]

    if client is None:
        sampler = optuna.samplers.TPESampler(seed=seed)  # what create_study takes, but repeatable
    else:
        sampler = archflow.optuna.Sampler(client, seed=seed, describe=describe)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return [t.value for t in study.trials]


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    compare("Optuna's TPE", search)
