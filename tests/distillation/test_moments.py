"""Streamed mean and deviation are those of all maps at once, and few images are in memory at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from adrefine import runtime
from adrefine.distillation import moments
from adrefine.distillation.images import whole
from adrefine.distillation.threads import in_order, workers


def test_mean_and_deviation(photos):
    paths = [Path(path) for path in photos["path"]]
    mean, std = moments.of_images(lambda images: images * 3 - 1, paths, 32)
    images = torch.stack([whole(path, 32) for path in paths]).double() / 255 * 3 - 1
    torch.testing.assert_close(mean.double(), images.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(std.double(), images.std((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)


def test_sample_depends_on_names_and_seed(photos):
    names = photos["image_id"].tolist()
    paths = [Path(path) for path in photos["path"]]
    some = moments.sample(paths, names, 5, 0)
    assert some == moments.sample(paths[::-1], names[::-1], 5, 0)
    assert some == moments.sample(paths, names, 12, 0)[:5]
    assert some != moments.sample(paths, names, 5, 1)


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
    assert most <= 2 * runtime.cores() + 1


def test_workers_leave_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    with workers() as pool:
        assert pool.submit(torch.get_num_threads).result() == 1
    assert torch.get_num_threads() == before
