"""What Gyro raises. Each error is also the built-in one that a Python program would expect."""

import errno
import os

_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
_ADVICE = {
    "force": "choose another folder or pass force=True",
    "dtype": "choose another, such as dtype='bf16'",
    "config": "gyro.open(tensors, config=...) gives tensors one",
    "device": "device='cpu' needs no GPU",
}


class GyroError(Exception):
    """The base of all errors of Gyro. `subject` is the file, tensor or argument that it is about, `problem` what is
    wrong with it, `field` the argument that has to do with it, or None."""

    def __init__(self, subject, problem, field=None):
        self.subject, self.problem, self.field = subject, problem, field or None
        super().__init__(subject, problem, self.field)
        if isinstance(self, OSError):
            usual = errno.ENOENT if isinstance(self, FileNotFoundError) else errno.EIO
            self.errno = _NUMBERS.get(problem.rpartition(": ")[2], usual)  # the system's reason ends the line
            self.filename, self.strerror = subject, problem

    def __str__(self):
        advice = _ADVICE.get(self.field) if self.field != self.subject else None
        return f"{self.subject}: {self.problem}" + (f"; {advice}" if advice else "")


class InputError(GyroError, ValueError):
    """What was given cannot be used."""


class NotFoundError(GyroError, FileNotFoundError):
    """A file or folder that was named is not there, or not to be read."""


class FileError(GyroError, OSError):
    """Something cannot be written, or a server gives no answer."""


class OutOfMemoryError(GyroError, MemoryError):
    """There is too little memory, of the host or of a device."""


class DeviceError(GyroError, RuntimeError):
    """A device or its libraries fail or are not there."""


class InternalError(GyroError, RuntimeError):
    """A method failed that should not have, such as an iteration that does not converge."""


_KINDS = {
    "input": InputError,
    "not_found": NotFoundError,
    "io": FileError,
    "memory": OutOfMemoryError,
    "device": DeviceError,
    "internal": InternalError,
}


def made(kind, subject, problem, field):
    """The exception for an error of the C++ side."""
    return _KINDS[kind](subject, problem, field)
