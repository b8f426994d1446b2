"""Commands on specs: list, show, check, diff, eject."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.commands.options import json_option, set_option
from zoo.errors import UsageError

if TYPE_CHECKING:
    pass


@click.command("list")
@json_option
def list_specs(as_json: bool) -> None:
    """List the specs that come with zoo."""
    from zoo import catalog, console
    from zoo.check import check_file

    specs = [check_file(name).spec for name in catalog.names()]
    if as_json:
        console.print_json([{"name": spec.name, "summary": spec.summary} for spec in specs])
    else:
        console.print_table("", ("name", "summary"), [(spec.name, spec.summary) for spec in specs])


@click.command()
@click.argument("spec")
@set_option
@click.option("--resolved", is_flag=True, help="Show every value and where it came from.")
@click.option("--graph", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the layers into a file.")
@json_option
def show(spec: str, overrides: tuple[str, ...], resolved: bool, graph: Path | None, as_json: bool) -> None:
    """Show a spec: its layers with their shapes and costs, and how it is trained."""
    if graph is not None and (resolved or as_json):
        raise UsageError("--graph draws, and prints nothing", "give --graph alone, or without it --resolved or --json")
    from zoo import console
    from zoo.check import check_file

    checked = check_file(spec, overrides)
    if graph is not None:
        from zoo.picture import draw

        draw(checked, graph)
        print(f"written: {graph}", file=sys.stderr)
    elif resolved:
        from zoo.origins import origins

        console.print_origins(origins(checked), as_json)
    else:
        from zoo.costs import costs

        console.print_spec(checked, costs(checked), as_json)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@set_option
@click.option("--format", "form", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
def check(paths: tuple[str, ...], overrides: tuple[str, ...], form: str) -> None:
    """Check specs without reading data: every problem with its place and a remedy.

    PATH is a spec, a folder (every .json file below it), or a pattern such as 'specs/*.json'.
    """
    from zoo import console
    from zoo.survey import survey

    found = survey(paths, overrides)
    console.print_survey(found, form)
    if not found.passed:
        sys.exit(2)


@click.command()
@click.argument("first")
@click.argument("second")
@json_option
def diff(first: str, second: str, as_json: bool) -> None:
    """Compare two specs by what they mean; exit 0 where they are the same model, 1 where not."""
    from zoo import console
    from zoo.difference import compare_files

    found = compare_files(first, second)
    console.print_difference(found, as_json)
    if not found.same:
        sys.exit(1)


@click.command()
@click.argument("spec")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, metavar="FILE.py", help="The file.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@set_option
def eject(spec: str, out: Path, overwrite: bool, overrides: tuple[str, ...]) -> None:
    """Write a spec as one file of plain PyTorch that trains to the same bits without zoo."""
    if out.exists() and not overwrite:
        raise UsageError(f"{out} is there already", "give another file, or --overwrite")
    from zoo.check import check_file

    checked = check_file(spec, overrides)  # before torch is imported: a wrong spec is told at once

    from zoo.eject import eject as write_python

    write_python(checked, out)
    print(f"written: {out}", file=sys.stderr)


COMMANDS = (list_specs, show, check, diff, eject)
