"""The command in a process of its own: what it is told, and what its error line says, in the words of Python."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Mapping

from ._arguments import several
from ._errors import DeviceError, FileError, InputError, InternalError, NotFoundError, OutOfMemoryError
from ._run import logger

# The child imports what its parent does, and does not outlive it (PR_SET_PDEATHSIG, which says nothing of a parent that is
# gone already).
_CHILD = (
    "import sys; sys.path[:] = sys.argv.pop(1).split(':'); import ctypes; ctypes.CDLL(None).prctl(1, 15); "
    "import os; os.getppid() == int(sys.argv.pop(1)) or sys.exit(1); "
    "from gyro.__main__ import main; main()"
)
_GRACE = 0.8  # seconds; the command takes 0.7 at most
_ARGUMENTS = {"task": "tasks", "question": "questions"}  # options that are called otherwise in Python
# An option in the words of an error, which may also name one of another program (hf download).
_OPTION = re.compile(r"(?<![\w-])--(?!revision\b)([a-z]+(?:-[a-z]+)*)(?![\w-])")
_INPUTS = ("base", "post", "sibling", "task", "data", "examples", "question", "result")  # options that name files


def options_of(**given):
    """Arguments as options of the command line, which checks them: True is a flag, several values an option several times."""
    words = []
    for name, values in given.items():
        option = "--" + name.replace("_", "-")
        for value in [values] if isinstance(values, Mapping) else several(values):
            if value is None or value is False:
                continue
            if value is True:
                words.append(option)
            elif isinstance(value, (str, os.PathLike, int, float)):
                words.append(f"{option}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
            else:
                raise InputError(name, f"can be a text or a number, not {type(value).__name__}", name)
    return words


def valued_options_of(**given):
    """The same of arguments that have one value: no flag, no empty text."""
    for name, value in given.items():
        one = several(value)
        if len(one) != 1 or isinstance(value, Mapping) or isinstance(one[0], bool) or one[0] == "":
            raise InputError(name, f"should be one value, not {value!r}", name)
    return options_of(**given)


def run(words, out, place, progress):
    """Runs the command and gives the folder where its documents lie. Raises what its error line says."""
    folder = os.path.join(place, "out") if out is None else os.fspath(out)
    command = [
        sys.executable,
        "-c",
        _CHILD,
        ":".join([*map(str, sys.path), os.path.dirname(os.path.dirname(__file__))]),
        str(os.getpid()),
    ]
    command += [*words, f"--out={folder}"]
    if any("\0" in word for word in command):
        raise InputError("gyro", "an argument has a zero byte in it")
    code, lines = _watch(command, progress and sys.stderr is not None and sys.stderr.isatty())
    errors = [line.removeprefix("gyro: error: ") for line in lines if line.startswith("gyro: error: ")]
    if code != 0 and errors:
        raise _error(code, errors[-1].replace(place + os.sep, ""), words, out and folder)
    if code != 0:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        said = [line for line in lines if line][-1:]
        raise InternalError("gyro " + words[0], "; it last said: ".join([how, *said]))
    return folder


def _watch(command, show):
    """The exit code and the lines of stderr, which a terminal sees too, if `show`; else what they say is logged."""
    ours, theirs = pty.openpty() if show else os.pipe()
    process = None
    try:
        try:
            if show:  # a terminal that changes nothing, as wide as the real one
                tty.setraw(theirs)
                fcntl.ioctl(theirs, termios.TIOCSWINSZ, fcntl.ioctl(sys.stderr.fileno(), termios.TIOCGWINSZ, bytes(8)))
            with _interrupts_held_back():  # else one could come when there is a child and nobody knows it
                # A session of its own: Ctrl-C of a terminal reaches it once, from here.
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True
                )
        finally:
            os.close(theirs)
        lines = list(_lines(ours, show))
        return process.wait(), lines
    except BaseException:
        if process is not None:
            _end(process)
        raise
    finally:
        os.close(ours)


@contextlib.contextmanager
def _interrupts_held_back():
    """Ctrl-C comes after this, not within."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    came = []
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        signal.raise_signal(signal.SIGINT)


def _lines(file, show):
    rest, decoder = b"", codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        try:
            some = os.read(file, 1 << 16)
        except OSError:  # of a terminal whose other end is closed
            some = b""
        if show and some:
            sys.stderr.write(decoder.decode(some))
            sys.stderr.flush()
        *whole, rest = (rest + some).split(b"\n")
        for line in whole if some else [rest]:
            text = (
                line.decode(errors="replace").rstrip().rpartition("\r")[2].removeprefix("\033[K")
            )  # of a bar the last
            if not show and text and not text.startswith("gyro: error: "):
                warning = text.startswith("gyro: warning: ")
                logger.log(
                    logging.WARNING if warning else logging.INFO,
                    "%s",
                    text.removeprefix("gyro: ").removeprefix("warning: "),
                )
            yield text
        if not some:
            return


def _end(process):
    """Interrupts it as Ctrl-C does, and kills it where it has not ended soon."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(_GRACE)
    except BaseException:  # it does not end in time, or Ctrl-C again
        process.kill()
        process.wait()


def _error(code, text, words, out):
    """The exception for an error line "SUBJECT: PROBLEM". The line does not tell the error's kind, so that is decided by
    what the subject is: an input that is not there, the place to write to, the server, the memory, the device."""
    subject, problem = _parts(text, words)
    given = subject in _values(words)
    field = None if given else _argument(subject) if _OPTION.fullmatch(subject) else {"MODEL": "model"}.get(subject)
    if lacks := re.fullmatch(f"({_OPTION.pattern}) is required", problem):
        subject, field, problem = lacks[1], _argument(lacks[1]), "is required"
    if not any("--" in value and value in problem for value in _values(words)):  # whose words they are
        problem = _OPTION.sub(lambda option: _argument(option[0]), problem).replace("say force", "say force=True")
    below_out = out is not None and (subject == out or subject.startswith(os.path.join(out, "")))
    if code == 2 or field not in (None, "device"):
        return InputError(field or subject, problem, field)
    if subject == "memory":
        return OutOfMemoryError(subject, problem)
    if field == "device":
        return DeviceError(field, problem, field)
    if subject in _values(words, "endpoint") or below_out and not os.path.exists(subject):
        return FileError(subject, problem)
    inputs = [word for word in words[1:] if not word.startswith("--")] + _values(words, *_INPUTS)
    named = any(subject == path or subject.startswith(os.path.join(path, "")) for path in inputs)
    return NotFoundError(subject, problem) if named and not os.path.exists(subject) else InputError(subject, problem)


def _argument(option):
    """What an option is called in Python."""
    name = option.removeprefix("--").replace("-", "_")
    return _ARGUMENTS.get(name, name)


def _parts(text, words):
    """(subject, problem) of a line; a subject that was given is known where it has a colon in it, too."""
    for value in sorted(_values(words), key=len, reverse=True):
        if value and text.startswith(value + ": "):
            return value, text[len(value) + 2 :]
    subject, _, problem = text.partition(": ")
    return (subject, problem) if problem else (f"gyro {words[0]}", text)


def _values(words, *names):
    """What was given for options (all, and models, without names), and of NAME=PATH the path too."""
    given = [
        word.partition("=")[2] if word.startswith("--") else word
        for word in words[1:]
        if not names or word.partition("=")[0][2:] in names
    ]
    return given + [value.partition("=")[2] for value in given if "=" in value]
