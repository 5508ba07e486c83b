#!/usr/bin/env python3
"""How commands read their models: each is opened once, and one that becomes shorter meanwhile is an error like any other."""
import collections
import ctypes
import os
import shutil
import struct
import subprocess
import tempfile
import time
import unittest

import checkpoints

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
IN_OPEN = 0x20
LIBC = ctypes.CDLL(None, use_errno=True)


class Opens:
    """Counts how often files of some folders are opened, by inotify."""

    def __init__(self, *folders):
        self.fd = LIBC.inotify_init1(os.O_NONBLOCK)
        self.folders = {LIBC.inotify_add_watch(self.fd, os.fsencode(folder), IN_OPEN): folder for folder in folders}

    def counts(self):
        counts, data = collections.Counter(), os.read(self.fd, 1 << 20)
        while data:
            watch, _, _, length = struct.unpack_from("iIII", data)
            counts[self.folders[watch], data[16:16 + length].rstrip(b"\0").decode()] += 1
            data = data[16 + length:]
        os.close(self.fd)
        return counts


class Sources(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def test_each_model_is_opened_once(self):
        # Copies: other tests that run now open the models too.
        base, post = (shutil.copytree(f"{MODELS}/pico-qwen2/{name}", f"{self.folder}/{name}") for name in ("base", "instruct"))
        for command, folders in ((("build", "replace", base, post, "--scale", "auto"), (base, post)),
                                 (("build", "paper", base, post), (base, post)),
                                 (("build", "noise", base, post), (base, post)),
                                 (("diff", base, post), (base, post)),
                                 (("lora", base, post, "--rank", "2"), (base, post)),
                                 (("init", "pissa", base, "--rank", "2"), (base,))):
            opens = Opens(*folders)
            out = os.path.join(self.folder, "-".join(command[:2]).replace("/", "-"))
            subprocess.run([GYRO, *command, "--out", out, "--quiet"], check=True, timeout=120)
            counts = opens.counts()
            self.assertEqual({folder: counts[folder, "model.safetensors"] for folder in folders}, dict.fromkeys(folders, 1), command)

    def test_shorter_while_it_is_read(self):
        for seed, name in enumerate(("base", "post")):
            checkpoints.write_llama(os.path.join(self.folder, name), seed=seed)
        for command, left in ((("diff",), 0), (("diff",), 5_000_000), (("build", "interpolate"), 0), (("build", "noise"), 5_000_000),
                              (("lora",), 5_000_000), (("init", "pissa"), 0)):
            self.truncate(command, left)

    def truncate(self, command, left):
        with tempfile.TemporaryDirectory() as folder:
            names = ("base",) if command[0] == "init" else ("base", "post")
            models = [shutil.copytree(os.path.join(self.folder, name), os.path.join(folder, name)) for name in names]
            weights = os.path.join(models[-1], "model.safetensors")
            size = os.path.getsize(weights)
            with subprocess.Popen([GYRO, *command, *models, "--out", os.path.join(folder, "out"), "--threads", "2", "--quiet"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
                self.wait_until_mapped(run, weights)
                os.truncate(weights, left)
                output, error = run.communicate(timeout=120)
            self.assertEqual((run.returncode, output, error),
                             (1, "", f"gyro: error: {weights}: became shorter while it was read: {left} bytes of {size} are left\n"),
                             command)
            self.assertEqual(set(os.listdir(folder)) - {"base", "post"}, set())

    def wait_until_mapped(self, run, path):
        """And its header read, and work begun: CPU time is used."""
        end = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < end:
            with open(f"/proc/{run.pid}/maps", encoding="utf-8") as maps, open(f"/proc/{run.pid}/stat", encoding="utf-8") as stat:
                ticks = int(stat.read().rsplit(")", 1)[1].split()[11])
                if path in maps.read() and ticks > 10:
                    return
            time.sleep(0.001)


if __name__ == "__main__":
    unittest.main()
