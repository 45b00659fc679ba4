"""Views depend on the seed, the step and the place alone; damaged files do not stop a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adrefine.distillation.images import Sampler, find, read_any, whole
from adrefine.errors import UserError
from trees import pixels, save


def sampler(paths, **changes) -> Sampler:
    return Sampler(**{"paths": paths, "side": 64, "min_crop": 0.5, "grayscale": 0.0, "seed": 0, **changes})


def test_only_images_are_found_in_order(generic):
    assert [path.relative_to(generic).as_posix() for path in find(generic)] == ["deeper/two.jpg", "one.png"]
    with pytest.raises(UserError, match=r"pretrain_pdn\.images: .* is no folder"):
        find(generic / "none")


def test_a_view_in_both_sizes(generic):
    small, large = sampler(find(generic)).batch(0, 5)
    assert (small.shape, large.shape) == ((5, 3, 64, 64), (5, 3, 128, 128))
    assert small.dtype == large.dtype == torch.uint8
    shrunk = torch.nn.functional.avg_pool2d(large.float(), 2)
    assert (shrunk - small.float()).abs().mean() < 4  # the same place, mirrored alike


def test_views_are_repeatable_and_differ(generic):
    one = sampler(find(generic))
    torch.testing.assert_close(one.view(7, 3), one.view(7, 3), rtol=0, atol=0)
    others = [one.view(8, 3), one.view(7, 4), sampler(one.paths, seed=1).view(7, 3)]
    assert not any(torch.equal(one.view(7, 3)[0], other[0]) for other in others)


def test_grayscale(generic):
    def grey(share: float) -> list[bool]:
        views = [sampler(find(generic), grayscale=share).view(step, 0)[0] for step in range(20)]
        return [bool((view[0] == view[1]).all()) for view in views]

    assert not any(grey(0.0))
    assert all(grey(1.0))
    assert 0 < sum(grey(0.5)) < 20


def test_whole_images(generic):
    assert whole(generic / "one.png", 48).shape == (3, 48, 48)


def test_a_damaged_image_gives_way_to_the_next(tmp_path):
    good = save(tmp_path / "good.png", pixels(0))
    (tmp_path / "bad.png").write_bytes(good.read_bytes()[:60])
    (tmp_path / "program.png").write_bytes(b"%!PS-Adobe")
    paths = [tmp_path / "bad.png", tmp_path / "program.png", good]
    np.testing.assert_array_equal(np.asarray(read_any(paths, 0)), np.asarray(read_any(paths, 2)))
    with pytest.raises(UserError, match=r"(bad|program)\.png cannot be read as an image .*: remove it"):
        read_any(paths[:2], 0)
