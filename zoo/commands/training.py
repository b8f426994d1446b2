"""Commands that train: train, tune."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from zoo.commands.notes import show_notes
from zoo.commands.options import device_option, json_option, set_option
from zoo.errors import UsageError
from zoo.processes import require_alone_or_own, seat

if TYPE_CHECKING:
    from zoo.run import Run
    from zoo.training.distributed import World


@click.command()
@click.argument("spec", required=False)
@click.option("--resume", metavar="RUN", help="Go on with a training that was stopped.")
@set_option
@device_option
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Short for --set train.seed=N.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the run; by default runs/NAME.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")
@click.option("--processes", type=click.IntRange(1, 1024), metavar="N", help="Train with N processes of this machine.")
@json_option
def train(
    spec: str | None,
    resume: str | None,
    overrides: tuple[str, ...],
    device: str,
    seed: int | None,
    out: Path | None,
    overwrite: bool,
    processes: int | None,
    as_json: bool,
) -> None:
    """Train a spec into a run directory."""
    from zoo.economy import settle

    settle()
    require_alone_or_own(processes)
    if (spec is None) == (resume is None):
        raise UsageError("zoo train takes a SPEC, or --resume RUN", "write for example: zoo train specs/linear3.json")
    if resume is not None and (seed is not None or out is not None or overwrite):
        raise UsageError("--seed, --out and --overwrite do not go with --resume", "a resumed run keeps its own")
    seeds = () if seed is None else (f"train.seed={seed}",)

    def work(world: World | None) -> None:
        show_notes(world is None or world.leads)
        if resume is not None:
            _resume(resume, overrides, device, world, as_json)
        else:
            _train(str(spec), (*overrides, *seeds), device, (out, overwrite), world, as_json)

    if seat() is not None:
        from zoo.training.distributed import joined

        with joined() as world:
            work(world)
    elif processes is not None and processes > 1:
        _launch(str(spec), resume, (*overrides, *seeds), processes)
    else:
        work(None)


def _launch(spec: str, resume: str | None, overrides: tuple[str, ...], processes: int) -> NoReturn:
    """Start this command again in several processes, after what each of them would refuse is refused once."""
    from zoo.check import check_file
    from zoo.processes import COMMAND_LINE, require_rows

    if resume is None:
        checked = check_file(spec, overrides)
    else:
        from zoo.finding import find_run

        checked = find_run(resume, overrides, ended=False).checked
    require_rows(checked.spec.train.batch_size, processes)

    from zoo.training.launcher import launch

    sys.exit(launch(COMMAND_LINE, sys.argv[1:], processes))


def _train(
    spec: str,
    overrides: tuple[str, ...],
    device: str,
    where: tuple[Path | None, bool],
    world: World | None,
    as_json: bool,
) -> None:
    from zoo.check import check_file

    checked = check_file(spec, overrides)  # before torch is imported: a wrong spec is told at once

    from zoo.destination import Destination
    from zoo.progress import watching
    from zoo.trainer import train_run
    from zoo.training.distributed import World
    from zoo.training.threads import settle_threads

    settle_threads(checked)
    world = world or World.alone
    with watching(world.leads) as progress:
        run = train_run(checked, device, Destination(*where), progress, world)
    if world.leads:
        _print_run(run, as_json)


def _resume(reference: str, overrides: tuple[str, ...], device: str, world: World | None, as_json: bool) -> None:
    from zoo.finding import find_run

    run = find_run(reference, overrides, ended=False)

    from zoo.progress import watching
    from zoo.trainer import resume_run
    from zoo.training.distributed import World
    from zoo.training.threads import settle_threads

    world = world or World.alone
    settle_threads(run.checked)
    with watching(world.leads) as progress:
        resume_run(run, device, progress, world)
    if world.leads:
        _print_run(run, as_json)


@click.command()
@click.argument("spec")
@set_option
@click.option("--trials", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="Trials in all.")
@click.option("--metric", default="validation_loss", show_default=True, help="What the best trial is best at.")
@click.option("--pruner", type=click.Choice(["median", "hyperband", "none"]), default="median", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of what is drawn.")
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Trials at a time.")
@click.option("--resume", is_flag=True, help="Go on with the search in the directory.")
@click.option("--out", type=click.Path(path_type=Path), help="Directory of the search; by default runs/tune-NAME.")
@click.option("--storage", metavar="URL", help="A database that several machines share.")
@device_option
@json_option
def tune(
    spec: str, overrides: tuple[str, ...], metric: str, resume: bool, workers: int, as_json: bool, **how: Any
) -> None:
    """Search for the best values: those written {"search": "log_uniform", "low": 1e-5, "high": 0.1} and the like."""
    from zoo.economy import settle
    from zoo.inheritance import read_spec
    from zoo.searched import check_searched, goal_of

    settle()
    searched = check_searched(read_spec(spec, overrides))  # before torch is imported: a wrong spec is told at once
    goal = goal_of(searched, metric)
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise UsageError("zoo tune needs optuna, which is not here", "pip install 'zoo[tune]'") from error
    from zoo import console
    from zoo.tune import tune as search
    from zoo.tuning import Tuning

    console.print_found(search(Tuning(searched, goal, **how), resume, workers), as_json)


def _print_run(run: Run, as_json: bool) -> None:
    from zoo import console
    from zoo.run import recovered_parameters

    console.print_run(run, recovered_parameters(run), as_json)


COMMANDS = (train, tune)
