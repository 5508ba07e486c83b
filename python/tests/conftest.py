"""What the tests have in common: the shipped models."""

import os
import pathlib
import signal
import threading
import time

import pytest

# Tests send it; what a shell starts in the background ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)

MODELS = pathlib.Path(os.environ.get("GYRO_MODELS", pathlib.Path(__file__).resolve().parents[2] / "models"))


@pytest.fixture
def base():
    return str(MODELS / "pico-qwen2" / "base")


@pytest.fixture
def post():
    return str(MODELS / "pico-qwen2" / "instruct")


@pytest.fixture
def moe():
    return str(MODELS / "pico-qwen3moe" / "base"), str(MODELS / "pico-qwen3moe" / "instruct")


@pytest.fixture
def interrupted():
    """Called with seconds, has Ctrl-C come after them. Returns a list that then has the time."""

    def after(seconds):
        sent = []

        def interrupt():
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        threading.Timer(seconds, interrupt).start()
        return sent

    return after
