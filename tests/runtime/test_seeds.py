"""Seeds follow from what they are derived of, and from nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

from adrefine.runtime.seeds import derived_seed, drawn


def test_derived_seeds_are_the_same_on_every_machine_and_for_ever():
    """Demo photos, folds and held-out images follow from these: a change here changes every result."""
    assert derived_seed("fold", 0, "a1b2") == 17883336876824252762
    assert derived_seed() == 16406829232824261652
    assert all(0 <= derived_seed("x", number) < 2**64 for number in range(50))


def test_derived_seeds_depend_on_every_part_and_on_their_order():
    parts = [("a", 1), (1, "a"), ("a", 2), ("b", 1), ("a",), ("a", 1, 1), ("a1",)]
    assert len({derived_seed(*some) for some in parts}) == len(parts)
    assert derived_seed("a", 1) == derived_seed("a", "1")


def test_a_share_is_drawn_by_name_alone_and_a_larger_one_holds_it():
    names = [f"im{number}" for number in range(2000)]
    draws = {share: {name for name in names if drawn(share, "use", 0, name)} for share in (0, 0.1, 0.3, 1)}
    assert not draws[0]
    assert draws[0.1] < draws[0.3] < draws[1] == set(names)
    assert abs(len(draws[0.3]) / len(names) - 0.3) < 0.04
    assert draws[0.3] != {name for name in names if drawn(0.3, "use", 1, name)}


def test_global_seeds_make_torch_deterministic_without_its_compiler():
    """A fresh process: importing the compiler takes a second of every stage that trains."""
    code = """if True:
        import sys, torch
        from adrefine.runtime.seeds import seed_everything
        generator = seed_everything(3)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert generator.initial_seed() == torch.initial_seed() == 3
        assert "torch._dynamo" not in sys.modules"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
