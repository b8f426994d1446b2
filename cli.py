"""The command line: the group of all commands, and their exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from exporters import commands as exports
from zoo import __version__
from zoo.commands import runs, specs, training
from zoo.errors import Interrupted, ZooError
from zoo.habits import place_of
from zoo.processes import one_of_several
from zoo.terminal import mute

CUT = 128 + signal.SIGPIPE  # as git, ls and grep end in a shell when nobody reads what they still have to say
FULL = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""How the system refuses what is written to a stream."""
LACKING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
"""What the system is short of, whatever file was asked for."""

SPEC_COMMANDS = tuple(
    command
    for command in (*specs.COMMANDS, *training.COMMANDS)
    if any(parameter.name == "overrides" for parameter in command.params)
)
"""The commands whose --set changes any option of a spec; that of a run says where its rows lie."""


class _Unread(Exception):
    """Nobody has read the output to its end; click and rich would call that 1: a check failed."""


@contextmanager
def _read() -> Iterator[None]:
    """Raise _Unread where the reader of the output has left."""
    try:
        yield
    except BrokenPipeError as error:
        raise _Unread from error
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            raise _Unread from error
        raise


class _Commands(click.Group):
    """The group of all commands."""

    # Any: as click declares them.
    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Return the context of a command, or say the version or a help."""
        with _read():
            return super().make_context(*arguments, **options)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant, once no option of it is given twice: click would take the last one."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            _refuse_repeats(command, rest)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        with _read():
            return super().invoke(ctx)


def _refuse_repeats(command: click.Command, arguments: Sequence[str]) -> None:
    """Refuse an option with a value that is given twice and has one place only.

    Raises:
        ZooError: there is one.
    """
    try:
        _, _, given = command.make_parser(click.Context(command)).parse_args(list(arguments))
    except click.UsageError:
        return  # the command itself will say it
    for option, times in Counter(given).items():
        if times > 1 and isinstance(option, click.Option) and not (option.multiple or option.is_flag):
            raise ZooError(f"{max(option.opts, key=len)} is given {times} times", "give it once")


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
    """Run a command and leave with its exit status.

    0 done, 1 a proof failed, 2 the input is wrong, 130 interrupted, 141 nobody has read the output to its end.
    """
    _speak_unicode()
    status = _run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the status has said so
            mute(stream)
    if one_of_several():
        # Threads of gloo outlive the group, and one that asks for Python while Python ends aborts the process.
        os._exit(status)
    sys.exit(status)


def _run() -> int:
    """Run a command; say what went wrong, and return the exit status."""
    try:
        return _status()
    except click.NoSuchOption as error:
        return _told(_of_the_spec(error) or error, 2)
    except click.ClickException as error:
        return _told(error, error.exit_code)
    except Interrupted as error:
        return _told(error, 128 + error.signal_number)
    except ZooError as error:
        return _told(error, error.exit_status)
    except (click.Abort, KeyboardInterrupt):
        return _told("interrupted", 130)
    except (_Unread, BrokenPipeError):
        return CUT
    except OSError as error:
        return _told(refusal(error), 2)


def _status() -> int:
    """Return the exit status of a command that has said itself what there is to say."""
    status = 0
    try:
        zoo.main(prog_name="zoo", standalone_mode=False)
    except SystemExit as left:  # as Python ends on it: a text is an error
        status = _told(left.code, 1) if isinstance(left.code, str) else left.code or 0
    sys.stdout.flush()
    return status


def _of_the_spec(error: click.NoSuchOption) -> ZooError | None:
    """Return where a spec has the option of a command that takes one; None for other commands and options."""
    changed = error.ctx is not None and error.ctx.command in SPEC_COMMANDS
    place = place_of(error.option_name.lstrip("-").replace("-", "_")) if changed else None
    if place is None:
        return None
    remedy = f"a spec says it; for one training: --set {place}=…"
    if error.possibilities:
        remedy += f"; or did you mean {' or '.join(sorted(error.possibilities))}?"
    return ZooError(f"no such option: {error.option_name}", remedy)


def _told(said: object, status: int) -> int:
    """Return the exit status after saying why, where anybody can hear it."""
    with suppress(OSError):
        if isinstance(said, click.ClickException):
            said.show()
        else:
            print(said, file=sys.stderr)
    return status


def refusal(error: OSError) -> ZooError:
    """Return what the system refuses: a name, such as one of 400 characters, the output, or something else."""
    said = error.strerror or str(error)
    if error.errno in LACKING or (error.filename is None and error.errno not in FULL):
        return ZooError(said, "see to it on this machine, and give the command again")
    if error.filename is None:
        return ZooError(f"{said}: the output", "let it go elsewhere")
    return ZooError(f"{said}: {str(error.filename)[:80]}", "give another path")


if __name__ == "__main__":
    main()
