"""One model of anomalib, in an environment of its own: from a folder to the model, then photo by photo.

    python with_anomalib.py padim|patchcore GOOD_FOLDER NEW_FOLDER

Prints a line of JSON. The network is ResNet18 with random weights: time does not care, and
nothing is downloaded. PatchCore keeps 1 % of its patches.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from PIL import Image

CORESET = 0.01  # as the paper's quickest; the default, 0.1, takes ten times as long


def main() -> None:
    """Train, predict, print."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from anomalib.models import Padim, Patchcore

    name, good, new = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(2)
    start, used = time.perf_counter(), time.process_time()
    if name == "padim":
        model = Padim(backbone="resnet18", pre_trained=False)
    else:
        model = Patchcore(backbone="resnet18", pre_trained=False, coreset_sampling_ratio=CORESET)
    data = Folder(
        name="photos",
        root=good.parent,
        normal_dir=good.name,
        num_workers=0,
        normal_test_dir=new.resolve(),
        test_split_mode="from_dir",
        val_split_mode="same_as_test",
    )
    with tempfile.TemporaryDirectory() as scratch:
        engine = Engine(
            accelerator="cpu",
            logger=False,
            default_root_dir=scratch,
            max_epochs=1,
            enable_progress_bar=False,
            limit_val_batches=0,  # nothing but what makes the model
        )
        engine.fit(model, datamodule=data)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    model.eval()
    times = []
    with torch.inference_mode():
        for path in sorted(new.iterdir()):
            begin = time.perf_counter()
            with Image.open(path) as image:
                pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
            model(pixels)
            times.append(time.perf_counter() - begin)
    print(
        json.dumps(
            {
                "version": f"anomalib {metadata.version('anomalib')}, torch {torch.__version__}",
                "seconds to the model": round(seconds, 1),
                "CPU seconds to the model": round(cpu, 1),
                "milliseconds a photo": round(1000 * float(np.median(times)), 1),
                "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )
    )


if __name__ == "__main__":
    main()
