"""Results in order, a few under way, torch's own threads as they were."""

from __future__ import annotations

import threading

import torch

from adrefine.runtime import hardware
from adrefine.runtime.threads import in_order, workers


def test_in_order_and_a_few_at_a_time():
    lock, begun, finished, most = threading.Lock(), 0, 0, 0

    def items():
        nonlocal begun, most
        for number in range(200):
            with lock:
                begun += 1
                most = max(most, begun - finished)
            yield number

    with workers() as pool:
        for number, found in enumerate(in_order(pool, lambda item: item + 1, items())):
            assert found == number + 1
            with lock:
                finished += 1
    assert finished == 200
    assert most <= 2 * hardware.cores() + 1


def test_workers_leave_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    with workers() as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == before
