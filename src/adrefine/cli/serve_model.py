"""`adrefine serve-model`: a trained model behind HTTP."""

from __future__ import annotations

import argparse
import os

from adrefine.cli.predict import add_model


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand and its help."""
    parser = commands.add_parser(
        "serve-model",
        help="score photos that other programs send over HTTP",
        description="POST /predict takes a photo, as the field `photo` of a form or as the body, and answers "
        "with JSON; with ?map=png with a picture of its anomaly map; ?map=none is fastest. /model, /metrics "
        "(Prometheus) and /healthz tell the rest. Another bundle in the folder, such as after `adrefine "
        "promote`, is used from the next photo on.",
        epilog="Example: adrefine serve-model & curl -F photo=@new.png http://127.0.0.1:8321/predict",
    )
    add_model(parser)
    parser.add_argument("--port", type=int, default=8321, help="default: %(default)s; 0: a free one")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; default: %(default)s, this machine. Another one needs a token",
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("ADREFINE_TOKEN", ""),
        help="what programs must send (`Authorization: Bearer TOKEN`); default: ADREFINE_TOKEN of the "
        "environment, which other users of the machine cannot see in the list of processes",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="by which other machines call this one, beside its own name and addresses; may be repeated",
    )
    parser.add_argument("--max-megabytes", type=float, default=64, help="of a request; default: %(default)s")
    parser.add_argument(
        "--max-megapixels",
        type=float,
        help="of a photo; default: 16, or twice the largest photo that trained",
    )
    parser.add_argument("--threads", type=int, help="photos at once; default: one a core")
    parser.set_defaults(run=serve_model)


def serve_model(chosen: argparse.Namespace) -> None:
    """Serve until stopped."""
    from adrefine.model_server.serve import Options, serve

    options = Options(
        host=chosen.host,
        port=chosen.port,
        token=chosen.token,
        names=tuple(chosen.name),
        max_megabytes=chosen.max_megabytes,
        max_megapixels=chosen.max_megapixels,
        threads=chosen.threads,
    )
    serve(chosen.model, options)
