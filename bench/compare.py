#!/usr/bin/env python3
"""Times `gyro diff` against the torch script that people write, whole processes in turn, and prints the ratios.

  bench/compare.py [--shape qwen2.5-1.5b] [--layers 2] [--threads 2] [--rounds 3] [--check]
  bench/compare.py --device cuda --shape llama-3.1-8b --layers 32 --torch-layers 2 [--python python3]

Makes the synthetic pair in build/compare (bench/make_pair.py), installs torch from PyPI into build/compare/venv (large, the
first time only), then runs in each round: gyro with everything on but a control (--out, bounds, energy budget, one null draw),
the plain script, the tuned script. Wall time and peak memory are the kernel's for each finished process. OPENBLAS_* variables
are cleared so that OpenBLAS takes the kernels of this processor, whose name is printed. On the CPU the same library's
dgemm is timed before and after each run of gyro, n = 1536 on as many threads, and the share of its rate that the run
kept up is printed (flops_of_block says what is counted). --device cuda runs all sides on the GPU; --torch-layers
has the scripts do the first blocks only, --python takes an interpreter that has torch. "a block" divides a whole process,
start-up included, by its blocks: with few of them it flatters whoever starts faster (torch prints its own time without
imports). --check also compares each side's α with FP64 LAPACK.
"""
import argparse
import ctypes
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

from make_pair import SHAPES, tensors

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(ROOT, "build", "compare")
PYTHON = os.path.join(WORK, "venv", "bin", "python")
REQUIREMENTS = ["numpy==2.4.6", "safetensors==0.8.0", "torch==2.15.0"]

CHECK = r"""
import json, struct, sys
import numpy as np
from safetensors.numpy import load_file
base, post, result, scripts = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
def weights(folder):
    f = open(folder + "/model.safetensors", "rb")
    (n,) = struct.unpack("<Q", f.read(8))
    header = json.loads(f.read(n))
    for name, info in header.items():
        begin, end = info["data_offsets"]
        f.seek(8 + n + begin)
        bits = np.frombuffer(f.read(end - begin), "<u2").astype(np.uint32) << 16
        yield name, bits.view(np.float32).reshape(info["shape"]).astype(np.float64)
document = json.load(open(result + "/result.json"))
arrays = load_file(result + "/arrays.safetensors")
sides = {"gyro": {}}
for m in document["comparisons"][0]["matrices"]:
    where = f"{m['layer']}.{m['type']}.sigma"
    sides["gyro"][m["tensor"]] = arrays["0." + where] / arrays["base." + where]
for script in scripts:
    sides[script.split("/")[-1][:-5]] = {m["tensor"]: np.array(m["alpha"]) for m in json.load(open(script))["rows"]}
worst = dict.fromkeys(sides, 0.0)
for (name, b), (_, p) in zip(weights(base), weights(post)):
    if ".0." not in name:
        continue
    sb, sp = np.linalg.svd(b, compute_uv=False), np.linalg.svd(p, compute_uv=False)
    k = max(1, int(0.9 * len(sb)))
    alpha = sp[:k] / sb[:k]
    for side, values in sides.items():
        worst[side] = max(worst[side], np.max(np.abs(values[name][:k] - alpha) / alpha))
print("alpha_j of the top 90 % against FP64 LAPACK, block 0, largest relative difference:",
      ", ".join(f"{side} {w:.1e}" for side, w in worst.items()))
"""


def prepare(args):
    os.makedirs(WORK, exist_ok=True)
    if args.python == PYTHON and not os.path.exists(PYTHON):
        subprocess.run([sys.executable, "-m", "venv", os.path.join(WORK, "venv")], check=True)
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS], check=True)
    pair = os.path.join(WORK, f"{args.shape}-{args.layers}")
    if not os.path.exists(os.path.join(pair, "post", "model.safetensors")):
        subprocess.run([args.python, os.path.join(ROOT, "bench", "make_pair.py"), pair, "--shape", args.shape, "--layers",
                        str(args.layers), "--device", args.device], check=True)
    return os.path.join(pair, "base"), os.path.join(pair, "post")


def flops_of_block(shape):
    """Floating-point operations of one block. A pair of m x n weights, m >= n: Gram matrices of base and change and their
    cross product 4 m n²; two eigenproblems with vectors 14/3 n³ each; the rotations, the energy budget and their norms
    9.2 n³; one null draw n³ + n³/3 + 4/3 n³."""
    total = 0
    for _, size in tensors(SHAPES[shape], 1):
        m, n = max(size), min(size)
        total += 4 * m * n**2 + (28 / 3 + 9.2 + 8 / 3) * n**3
    return total


class Gemm:
    """dgemm of the library that gyro is linked with, on several threads at once."""

    def __init__(self, program, n=1536):
        libraries = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
        path = next(word for word in libraries if word.startswith("/") and "openblas" in word)
        saved = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith("OPENBLAS_")}
        library = ctypes.CDLL(path)
        os.environ.update(saved)
        prefix = "scipy_" if hasattr(library, "scipy_cblas_dgemm") else ""
        getattr(library, prefix + "openblas_set_num_threads")(1)
        name = getattr(library, prefix + "openblas_get_corename")
        name.restype = ctypes.c_char_p
        self.kernel = name().decode()
        self.dgemm, self.n = getattr(library, prefix + "cblas_dgemm"), n

    def multiply(self, seconds, done):
        n, one = self.n, ctypes.c_double(1)
        a, b, c = ((ctypes.c_double * (n * n))() for _ in range(3))
        for i in range(n):
            a[i * n + i] = b[i * n + i] = 1
        end = time.monotonic() + seconds
        begin, count = time.monotonic(), 0
        while count == 0 or time.monotonic() < end:
            self.dgemm(102, 111, 111, n, n, n, one, a, n, b, n, one, c, n)
            count += 1
        done.append(2 * n**3 * count / (time.monotonic() - begin))

    def rate(self, threads, seconds=2):
        done = []
        workers = [threading.Thread(target=self.multiply, args=(seconds, done)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(done)


def timed(command):
    """Wall seconds and peak resident MB of one process."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", default="qwen2.5-1.5b")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, help="default: 2, on a GPU what gyro and torch choose")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--torch-layers", type=int)
    parser.add_argument("--skip", action="append", default=[], choices=("plain", "tuned"))
    parser.add_argument("--python", default=PYTHON)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gyro", default=os.path.join(ROOT, "build", "release", "bin", "gyro"))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    base, post = prepare(args)
    out = os.path.join(WORK, "out")
    threads = args.threads or (2 if args.device == "cpu" else None)
    limit = ["--threads", str(threads)] if threads else []
    blocks = dict(gyro=args.layers, plain=args.torch_layers or args.layers, tuned=args.torch_layers or args.layers)
    script = [args.python, os.path.join(ROOT, "bench", "torch_diff.py"), base, post, "--device", args.device,
              "--layers", str(blocks["plain"])] + limit
    sides = {
        "gyro": [args.gyro, "diff", base, post, "--control", "none", "--out", out, "--force", "--quiet", "--device",
                 args.device] + limit,
        "plain": script + ["--out", os.path.join(WORK, "plain.json")],
        "tuned": script + ["--tuned", "--out", os.path.join(WORK, "tuned.json")],
    }
    sides = {name: command for name, command in sides.items() if name not in args.skip}
    seconds, memory = {name: [] for name in sides}, {name: [] for name in sides}
    gemm = Gemm(args.gyro) if args.device == "cpu" else None
    shares = []
    if gemm:
        print(f"OpenBLAS's kernel: {gemm.kernel}", flush=True)
    for number in range(args.rounds):
        for name, command in sides.items():
            before = gemm.rate(threads) if gemm and name == "gyro" else 0
            wall, peak = timed(command)
            if before:
                rate = (before + gemm.rate(threads)) / 2
                shares.append(flops_of_block(args.shape) * blocks[name] / wall / rate)
                print(f"dgemm on {threads} threads: {rate * 1e-9:.1f} GF/s; gyro kept up {100 * shares[-1]:.1f} % of it")
            seconds[name].append(wall)
            memory[name].append(peak)
            print(f"round {number + 1}  {name:6} {wall:8.2f} s  {wall / blocks[name]:7.3f} s a block  {peak:7.0f} MB", flush=True)
    if shares:
        print(f"share of dgemm's rate: {100 * statistics.median(shares):.1f} % (of {100 * min(shares):.1f} to {100 * max(shares):.1f})")
    for name in sides:
        if name == "gyro":
            continue
        ratios = [s / blocks[name] / (g / blocks["gyro"]) for s, g in zip(seconds[name], seconds["gyro"])]
        print(f"{name} / gyro: wall x{statistics.median(ratios):.2f} (of {min(ratios):.2f} to {max(ratios):.2f}), "
              f"peak memory x{statistics.median(memory[name]) / statistics.median(memory['gyro']):.2f}")
    if args.check:
        subprocess.run([args.python, "-c", CHECK, base, post, out,
                        *(os.path.join(WORK, name + ".json") for name in sides if name != "gyro")], check=True)
    shutil.rmtree(out)


if __name__ == "__main__":
    main()
