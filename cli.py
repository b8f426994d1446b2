"""The command line: the group of all commands, and their exit status."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from exporters import commands as exports
from zoo import __version__
from zoo.commands import runs, specs, training
from zoo.errors import Interrupted, ZooError
from zoo.processes import one_of_several
from zoo.terminal import mute


class _Commands(click.Group):
    """The group of all commands; one whose output nobody reads to its end has done what was wanted."""

    # Any: what a command gives.
    def invoke(self, ctx: click.Context) -> Any:
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except (BrokenPipeError, SystemExit) as error:
            if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
                raise
            for stream in (sys.stdout, sys.stderr):
                mute(stream)
            sys.exit(0)  # click's own answer, and rich's, is 1: a check failed
        return value


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="zoo")
def zoo() -> None:
    """Models from one JSON file: check, train, and export with proof.

    SPEC is a .json file, or the name of a spec that `zoo list` shows. RUN is a directory, or a spec's name for its
    newest run; without RUN, the newest run of all.
    """


for _command in (*specs.COMMANDS, *training.COMMANDS, *runs.COMMANDS, *exports.COMMANDS):
    zoo.add_command(_command)


def _speak_unicode() -> None:
    """Read UTF-8 and nothing else; write what a narrow encoding has no letter for as an escape.

    What is written to a stream that whoever started us has closed (zoo list >&-) goes nowhere.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")  # as files are read


def main() -> NoReturn:
    """Run a command and leave with its exit status: 0 done, 1 a proof failed, 2 the input is wrong, 130 interrupted."""
    _speak_unicode()
    status = _run()
    if one_of_several():
        # Threads of gloo outlive the group, and one that asks for Python while Python ends aborts the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _run() -> int:
    """Run a command; say what went wrong, and return the exit status."""
    try:
        zoo.main(prog_name="zoo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Interrupted as error:
        print(error, file=sys.stderr)
        return 128 + error.signal_number
    except ZooError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # a name that the system refuses, such as one of 400 characters
        where = "the output" if error.filename is None else str(error.filename)[:80]
        print(f"error: {error.strerror or error}: {where}", file=sys.stderr)
        print("   remedy: give another path", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    main()
