"""NePS's first example, a space and a function that returns its error, on NAS-Bench-201:
python neps_nb201.py TABLE"""

import functools
import logging
import random
import tempfile

import neps
import numpy
import torch

import archflow.neps
from nb201 import EDGES, OPS, compare, describe


def space():
    class Cell(neps.PipelineSpace):
        op0 = neps.Categorical(choices=OPS)
        op1 = neps.Categorical(choices=OPS)
        op2 = neps.Categorical(choices=OPS)
        op3 = neps.Categorical(choices=OPS)
        op4 = neps.Categorical(choices=OPS)
        op5 = neps.Categorical(choices=OPS)

    return Cell()


def search(results, client, seed, trials):
    found = []

    def evaluate_pipeline(**config):
        accuracy = results[describe({e: config[e] for e in EDGES})["arch"]]
        found.append(accuracy)
        return 100 - accuracy

    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    optimizer = {} if client is None else {"optimizer": functools.partial(archflow.neps.optimizer, client=client, describe=describe)}
    with tempfile.TemporaryDirectory() as folder:
        neps.run(evaluate_pipeline, space(), root_directory=folder + "/search", total_evaluations_to_spend=trials, **optimizer)
    return found


if __name__ == "__main__":
    logging.disable(logging.INFO)
    compare("NePS's default", search)
