"""How a command ends: a user's mistake is one line and 2, a closed pipe 141, Ctrl-C 130."""

from __future__ import annotations

import _thread
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from spiral_env.text import one_line

__all__ = ["exit_code"]

_WIDTH = 400
"""Characters of an error line: names and values may be of any length."""
_EXTRAS = {
    "train": ("torch", "stable_baselines3", "tensorboard", "safetensors", "matplotlib", "pyarrow", "optuna", "SALib"),
    "render": ("pygame", "PIL", "imageio_ffmpeg"),
    "import": ("ijson", "cvss", "packageurl"),
    "rllib": ("ray",),
}
"""Extras and the modules they bring."""
_INTERRUPTED, _BROKEN_PIPE = 130, 141
"""What a shell reports of a process ended by SIGINT and by SIGPIPE."""
_SOON = 0.05
"""Seconds until an interrupt that was dropped is raised again."""
_MISTAKES = (ValueError, TypeError, ImportError, OSError, RecursionError, MemoryError, OverflowError)


def exit_code(app: Any, arguments: Sequence[str] | None = None) -> int:
    """Run ``app`` on ``arguments``, by default the process's own; what is left to raise is a fault of ours.

    With ``SPIRAL_ENV_TRACEBACK`` set a mistake raises, too.
    """
    _write_what_can_be_encoded()
    try:
        with _interrupts_kept():
            code = app(arguments, prog_name="spiral", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):
            return _closed()
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        return _closed()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        text = _words(error)
        if text is None or os.environ.get("SPIRAL_ENV_TRACEBACK"):
            raise
        return _refuse(text)


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Ctrl-C counts also where Python drops it: in what the compiler calls back, which cannot raise."""
    before = sys.unraisablehook

    def raise_later(told: Any) -> None:
        if told.exc_type is not KeyboardInterrupt:
            before(told)
            return
        later = threading.Timer(_SOON, _interrupt)
        later.daemon = True
        later.start()

    sys.unraisablehook = raise_later
    try:
        yield
    finally:
        sys.unraisablehook = before


def _interrupt() -> None:
    """What Ctrl-C does to the main thread, from another one."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _write_what_can_be_encoded() -> None:
    """Names that the terminal's encoding does not hold are written as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _closed() -> int:
    """Nobody reads any more: what is left in the buffer goes nowhere."""
    if sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    return _BROKEN_PIPE


def _refuse(text: str) -> int:
    if sys.stderr is not None:
        print(one_line(f"error: {text}", _WIDTH), file=sys.stderr)
    return 2


def _missing(error: ModuleNotFoundError) -> str:
    module = (error.name or "").partition(".")[0]
    for extra, modules in _EXTRAS.items():
        if module in modules:
            return f"no module {module}: this needs pip install 'spiral-env[{extra}]'"
    return str(error)


def _words(error: Exception) -> str | None:
    """What went wrong, for people; None where it is no user's mistake."""
    if hasattr(error, "format_message"):
        return _usage(error)
    if not isinstance(error, _MISTAKES):
        return None
    if isinstance(error, ModuleNotFoundError):
        return _missing(error)
    if isinstance(error, RecursionError):
        return "the input is nested too deeply"
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error}".rstrip(": ")
    if isinstance(error, OverflowError):
        return f"a number is too large: {error}"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def _usage(error: Any) -> str:
    """A wrong option, argument or command: the thing, what is allowed and where to read more."""
    message = " ".join(error.format_message().split()).rstrip(".")
    # typer's checks leave out the value that they refuse.
    if hasattr(error.__cause__, "errors"):
        message += f", got {error.__cause__.errors()[0]['input']!r}"
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message}; see {context.command_path} --help"
