"""The command line, one file a command: study, plot, bound, identify, live, instances, validate, figures."""

from __future__ import annotations

import sys
import warnings
from importlib import metadata

import tyro

from llmpo_jax.cli.bound import Bound
from llmpo_jax.cli.console import write_anything
from llmpo_jax.cli.figures import Figures
from llmpo_jax.cli.identify import Identify
from llmpo_jax.cli.instances import Instances
from llmpo_jax.cli.live import Live
from llmpo_jax.cli.plot import Plot
from llmpo_jax.cli.study import Study
from llmpo_jax.cli.validate import Validate


def _note(message: Warning | str, *where: object) -> None:
    """A warning as a user of the command line reads it."""
    print(f"llmpo-jax: note: {message}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Best-policy identification from pairwise comparisons; without arguments, what there is."""
    write_anything()
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"llmpo-jax {metadata.version('llmpo-jax')}")
        return
    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _note
        _main(arguments or ["--help"])


def _main(arguments: list[str]) -> None:
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            {
                "study": Study,
                "plot": Plot,
                "bound": Bound,
                "identify": Identify,
                "live": Live,
                "validate": Validate,
                "figures": Figures,
                "instances": Instances,
            },
            prog="llmpo-jax",
            description="Best-policy identification from pairwise comparisons: LLM-PO, its baselines, its lower bound. "
            "--version tells which one this is.",
            args=arguments,
        )
        command.run()
    except BrokenPipeError:
        raise SystemExit(1) from None  # the reader, such as `head`, has had enough
    except (ValueError, OSError) as error:
        print(f"llmpo-jax: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
