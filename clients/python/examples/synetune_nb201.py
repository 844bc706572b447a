"""Syne Tune's example of a simulated benchmark, on NAS-Bench-201:
python synetune_nb201.py TABLE"""

import logging

import numpy
import pandas
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository import UserBlackboxBackend
from syne_tune.blackbox_repository.blackbox_tabular import BlackboxTabular
from syne_tune.config_space import choice, randint
from syne_tune.optimizer.schedulers.single_objective_scheduler import SingleObjectiveScheduler

import archflow.synetune
from nb201 import EDGES, OPS, compare, describe

SPACE = {e: choice(OPS) for e in EDGES}


def benchmark(results):
    """The table as one of Syne Tune's, with an hour for each training."""
    cells = pandas.DataFrame([arch.replace("+", "").strip("|").replace("||", "|").split("|") for arch in results], columns=EDGES)
    cells = cells.apply(lambda column: column.str.partition("~")[0])
    values = numpy.array([[[[accuracy, 3600.0]]] for accuracy in results.values()])
    return BlackboxTabular(cells, SPACE, {"epoch": randint(1, 1)}, values, objectives_names=["accuracy", "seconds"])


def search(results, client, seed, trials):
    searcher = "random_search"  # the scheduler's default
    if client is not None:
        searcher = archflow.synetune.Searcher(SPACE, client, metric="accuracy", random_seed=seed, describe=describe)
    scheduler = SingleObjectiveScheduler(SPACE, metric="accuracy", do_minimize=False, searcher=searcher, random_seed=seed)
    tuner = Tuner(
        trial_backend=UserBlackboxBackend(benchmark(results), elapsed_time_attr="seconds"),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_trials_completed=trials),
        n_workers=1,
        sleep_time=0,
        callbacks=[SimulatorCallback()],
        save_tuner=False,
    )
    tuner.run()
    return [results[describe(t.config)["arch"]] for t in list(tuner.trial_backend._trial_dict.values())[:trials]]


if __name__ == "__main__":
    logging.disable(logging.INFO)
    compare("Syne Tune's random search", search)
