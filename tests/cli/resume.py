#!/usr/bin/env python3
"""An interrupted run goes on where it was and gives the same bytes as one that was not interrupted."""
import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
FILES = ("result.json", "arrays.safetensors")


def command(out):
    # Many draws, so that there is time to interrupt.
    return [GYRO, "diff", f"{MODELS}/pico-mistral/base", f"{MODELS}/pico-mistral/instruct", "--null-draws", "300",
            "--threads", "2", "--out", out]


def contents(out):
    found = {}
    for name in FILES:
        with open(os.path.join(out, name), "rb") as f:
            found[name] = f.read()
    result = json.loads(found["result.json"])
    result.pop("run")  # date and duration
    found["result.json"] = json.dumps(result)
    return found


def interrupt(out, signum):
    """Starts a run and sends `signum` once some matrices are in its journal."""
    journal = os.path.join(out, ".gyro-journal")
    run = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while run.poll() is None and not (os.path.exists(journal) and os.path.getsize(journal) > 20000):
        time.sleep(0.002)
    run.send_signal(signum)
    _, error = run.communicate()
    return run.returncode, error


class Resume(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = os.path.join(self.folder.name, "out")
        self.whole = os.path.join(self.folder.name, "whole")
        subprocess.run(command(self.whole), check=True, stdout=subprocess.DEVNULL)

    def finish_and_compare(self):
        self.assertEqual([f for f in os.listdir(self.out) if f in FILES], [], "half-written result")
        subprocess.run(command(self.out), check=True, stdout=subprocess.DEVNULL)
        self.assertEqual(contents(self.out), contents(self.whole))
        self.assertFalse(os.path.exists(os.path.join(self.out, ".gyro-journal")))

    def test_ctrl_c(self):
        code, error = interrupt(self.out, signal.SIGINT)
        self.assertEqual(code, 130)
        self.assertRegex(error, r"^gyro: interrupted after \d+ of 21 matrices; the same command goes on from there\n$")
        self.finish_and_compare()

    def test_killed(self):
        code, _ = interrupt(self.out, signal.SIGKILL)
        self.assertEqual(code, -signal.SIGKILL)
        self.finish_and_compare()


if __name__ == "__main__":
    unittest.main()
