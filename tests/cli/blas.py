#!/usr/bin/env python3
"""A linear algebra library that is wrong, slow or missing: one clear line each, and no result from a wrong one."""
import os
import platform
import subprocess
import sys
import tempfile

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
BASE, POST = os.path.join(MODELS, "pico-qwen2", "base"), os.path.join(MODELS, "pico-qwen2", "instruct")
failures = []


def gyro(*arguments, **environment):
    return subprocess.run([GYRO, *arguments], capture_output=True, text=True, timeout=120, check=False,
                          env=dict(os.environ, **environment))


def expect(condition, what, done):
    if not condition:
        failures.append(f"{what}: exit {done.returncode}, printed {done.stdout[:300]!r} {done.stderr[:300]!r}")


def wrong():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        commands = [["diff", BASE, POST, "--out", out], ["build", "noise", BASE, POST, "--out", out],
                    ["build", "replace", BASE, POST, "--scale", "1", "--out", out],
                    ["init", "pissa", BASE, "--rank", "2", "--out", out], ["lora", BASE, POST, "--rank", "2", "--out", out]]
        for command, entry in [(command, "0") for command in commands] + [(commands[0], "nan")]:
            done = gyro(*command, LD_PRELOAD=os.environ["WRONG_BLAS"], WRONG_ENTRY=entry)
            lines = done.stderr.splitlines()
            expect(done.returncode == 1 and len(lines) == 1 and lines[0].startswith("gyro: error: OpenBLAS ")
                   and "computes wrong results on this processor" in lines[0], f"{command[0]} with a BLAS that gives {entry}", done)
            expect(not os.path.exists(out), f"{command[0]} left an output", done)


def generic():
    flags = open("/proc/cpuinfo", encoding="utf-8").read()
    if platform.machine() != "x86_64" or " avx2" not in flags:
        return
    command = ["diff", BASE, POST, "--layers", "0", "--types", "W_K"]
    done = gyro(*command, OPENBLAS_CORETYPE="Prescott")
    lines = done.stderr.splitlines()
    expect(done.returncode == 0 and len(lines) == 1 and lines[0].startswith("gyro: warning: OpenBLAS ")
           and "runs generic kernels on a processor with AVX" in lines[0] and "unset OPENBLAS_CORETYPE" in lines[0],
           "a generic kernel", done)
    expect(gyro(*command, "--quiet", OPENBLAS_CORETYPE="Prescott").stderr == "", "a generic kernel with --quiet", done)
    done = gyro(*command, OPENBLAS_CORETYPE="Haswell")
    expect(done.returncode == 0 and done.stderr == "", "a kernel of the processor's", done)
    done = gyro("--version", OPENBLAS_CORETYPE="Prescott")
    expect("generic kernels" in done.stdout, "--version", done)


def missing():
    with tempfile.TemporaryDirectory() as folder:
        name = next((line.split()[0] for line in subprocess.run(["ldd", GYRO], capture_output=True, text=True, check=True)
                     .stdout.splitlines() if "openblas" in line), None)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(b"not a library")
        done = gyro("diff", BASE, POST, LD_LIBRARY_PATH=folder)
        if done.returncode == 0:  # the program's own path to the library goes first
            return
        expect(len(done.stderr.splitlines()) == 1 and name in done.stderr, "a broken library", done)


wrong()
generic()
missing()
print("\n".join(failures))
sys.exit(1 if failures else 0)
