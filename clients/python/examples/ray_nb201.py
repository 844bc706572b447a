"""Ray Tune's first example, a function that returns its score, on NAS-Bench-201:
python ray_nb201.py TABLE"""

import random
import tempfile

import numpy
import ray
from ray import tune

import archflow.ray
from nb201 import EDGES, OPS, compare, describe


def search(results, client, seed, trials):
    def objective(config):
        return {"accuracy": results[describe(config)["arch"]]}

    random.seed(seed)  # what tune.choice draws from
    numpy.random.seed(seed)
    algorithm = None  # Tune's own draws at random
    if client is not None:
        algorithm = tune.search.ConcurrencyLimiter(archflow.ray.Searcher(client, describe=describe), max_concurrent=1)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            objective,
            param_space={e: tune.choice(OPS) for e in EDGES},
            tune_config=tune.TuneConfig(metric="accuracy", mode="max", num_samples=trials, search_alg=algorithm, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        return [r.metrics["accuracy"] for r in tuner.fit() if r.error is None]


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    compare("Ray Tune's random search", search)
    ray.shutdown()
