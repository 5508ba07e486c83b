#!/usr/bin/env python3
"""How often each finding of `gyro diff` is stated where it is not true, and where it is: a Markdown table a base.

  bench/calibrate.py [--gyro BINARY]... [--posts 40] [--only WORD] [--pair BASE POST]...

Makes bases (gaussian; gaussian with lognormal row and column scales; a shipped model that was trained) and, of each, posts
that a structureless or trivial change makes (no finding is true of them but those in bold: c does differ from matrix to matrix
where a spectrum or rows are changed, and where what changes goes with the weight) or that something is planted in,
runs the program on all posts of a kind at once, and counts the posts of which each finding is stated. With several binaries the cells
say "before -> after". A cell is a percentage with its Clopper-Pearson interval (95 %). --pair adds real pairs: their verdicts.
Needs numpy. The default takes about four minutes a binary on two idle cores.
"""
import argparse
import json
import math
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HIDDEN, KV, MLP, LAYERS = 64, 32, 192, 3
CONFIG = dict(model_type="llama", hidden_size=HIDDEN, intermediate_size=MLP, num_hidden_layers=LAYERS, num_attention_heads=4,
              num_key_value_heads=2, head_dim=16)
SHAPES = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (KV, HIDDEN), "self_attn.v_proj": (KV, HIDDEN),
          "self_attn.o_proj": (HIDDEN, HIDDEN), "mlp.gate_proj": (MLP, HIDDEN), "mlp.up_proj": (MLP, HIDDEN),
          "mlp.down_proj": (HIDDEN, MLP)}
NAMES = [f"model.layers.{layer}.{name}.weight" for layer in range(LAYERS) for name in SHAPES]

# What counts as stated, by finding. Of a common scalar it is the denial that is a claim.
STATED = {"unrelated": ("yes",), "uniform_scaling": ("yes", "some_types"), "common_scalar": ("no",), "w_o_anomaly": ("yes",),
          "co_rotation": ("yes", "some_types"), "low_rank_update": ("yes",), "sparse_update": ("yes",),
          "principal_update": ("yes", "counter"), "intruders": ("yes",)}


def bf16_bits(x):
    """Nearest-even BF16 bits."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


ENCODE = {"BF16": bf16_bits, "F32": lambda x: x.astype("<f4"), "F64": lambda x: x.astype("<f8")}


def write_model(folder, weights, dtype):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(CONFIG, f)
    header, parts, offset = {}, [], 0
    for name, w in weights.items():
        parts.append(ENCODE[dtype](w).tobytes())
        header[name] = dict(dtype=dtype, shape=w.shape, data_offsets=[offset, offset + len(parts[-1])])
        offset += len(parts[-1])
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def shipped_base():
    """The weights of models/pico-llama/base, which is stored in BF16."""
    with open(os.path.join(ROOT, "models", "pico-llama", "base", "model.safetensors"), "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        begin = f.tell()
        weights = {}
        for name in NAMES:
            first, last = header[name]["data_offsets"]
            f.seek(begin + first)
            bits = np.frombuffer(f.read(last - first), "<u2").astype(np.uint32) << 16
            weights[name] = bits.view(np.float32).reshape(header[name]["shape"]).astype(np.float64)
    return weights


def made_base(outliers):
    rng = np.random.default_rng(7)
    weights = {}
    for name in NAMES:
        shape = SHAPES[name[len("model.layers.0."):-len(".weight")]]
        w = 0.02 * rng.standard_normal(shape)
        if outliers:
            w *= np.exp(0.7 * rng.standard_normal((shape[0], 1))) * np.exp(0.7 * rng.standard_normal((1, shape[1])))
        weights[name] = bf16(w)
    return weights


def bf16(w):
    return (bf16_bits(w).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


class Base:
    def __init__(self, weights):
        self.weights = weights
        self.svd = {name: np.linalg.svd(w, full_matrices=False) for name, w in weights.items()}


def rms(x):
    return np.sqrt(np.mean(x * x))


def noise(size, make=lambda rng, shape: rng.standard_normal(shape)):
    """W + E, E of `size` times the norm of W."""
    def change(rng, w, *_):
        e = make(rng, w.shape)
        return w + e * (size * rms(w) / rms(e))
    return change


def lognormal(rng, *shape):
    return np.exp(rng.standard_normal(shape))


def lora(rank):
    return noise(0.1, lambda rng, shape: rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1])))


def edited_spectrum(rng, w, svd, _):
    u, s, vt = svd
    return (u * (s * (1 + 0.03 * rng.standard_normal(s.shape)))) @ vt


def together(share):
    """Gaussian noise of which `share` of the energy is a turn of both sides alike: symmetric in the base's frame."""
    def change(rng, w, svd, _):
        u, _, vt = svd
        m = rng.standard_normal((u.shape[1],) * 2)
        turn = u @ (m + m.T - 2 * np.diag(np.diag(m))) @ vt
        e = rng.standard_normal(w.shape)
        e = e * math.sqrt(1 - share) / rms(e) + turn * math.sqrt(share) / rms(turn)
        return w + e * 0.03 * rms(w)
    return change


def evenly(kept):
    """0.95 W and noise, of whose first-order effect on the singular values `kept` is left."""
    def change(rng, w, svd, _):
        u, s, vt = svd
        e = rng.standard_normal(w.shape)
        e *= 0.003 * rms(w) / rms(e)
        diagonal = np.sum((u.T @ e) * vt, 1)
        return 0.95 * w + e - (u * ((1 - kept) * diagonal)) @ vt
    return change


def times(factor_of):
    return lambda rng, w, svd, name: factor_of(rng, name) * w


# kind: dtype, the change of a matrix, the findings that are true of it. A common scalar is denied where there is none.
KINDS = {
    "gaussian, s = 0.001, F32": ("F32", noise(0.001), ()),
    "gaussian, s = 0.03, F32": ("F32", noise(0.03), ()),
    "gaussian, s = 0.3, F32": ("F32", noise(0.3), ()),
    "gaussian, s = 0.001, BF16": ("BF16", noise(0.001), ()),
    "gaussian, s = 0.01, BF16": ("BF16", noise(0.01), ()),
    "0.9 base and gaussian, s = 0.03, F32": ("F32", lambda rng, w, *_: 0.9 * w + 0.03 * rms(w) * rng.standard_normal(w.shape), ()),
    "uniform, s = 0.03, F32": ("F32", noise(0.03, lambda rng, shape: rng.uniform(-1, 1, shape)), ()),
    "1 % of the weights, s = 0.03, F32":
        ("F32", noise(0.03, lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 0.01)), ("sparse_update",)),
    "gaussian with row scales, F32": ("F32", noise(0.03, lambda rng, s: rng.standard_normal(s) * lognormal(rng, s[0], 1)), ()),
    "gaussian with column scales, F32": ("F32", noise(0.03, lambda rng, s: rng.standard_normal(s) * lognormal(rng, 1, s[1])), ()),
    "gaussian with row and column scales, F32":
        ("F32", noise(0.03, lambda rng, s: rng.standard_normal(s) * lognormal(rng, s[0], 1) * lognormal(rng, 1, s[1])), ()),
    "proportional to the weight, 3 %, F32": ("F32", lambda rng, w, *_: w * (1 + 0.03 * rng.standard_normal(w.shape)), ("common_scalar",)),
    "c base, one c, BF16": ("BF16", None, ()),
    "c base, a c each matrix, BF16": ("BF16", times(lambda rng, name: rng.uniform(0.8, 0.99)), ("common_scalar",)),
    "3 % of the weights dropped, F32": ("F32", lambda rng, w, *_: w * (rng.random(w.shape) > 0.03), ("sparse_update", "common_scalar")),
    "spectrum edited, vectors kept, BF16": ("BF16", edited_spectrum, ("common_scalar", "principal_update")),
    "spectrum edited, vectors kept, F32": ("F32", edited_spectrum, ("common_scalar", "principal_update")),
    "spectrum edited, vectors kept, F64": ("F64", edited_spectrum, ("common_scalar", "principal_update")),
    "rank 1, s = 0.1, F32": ("F32", lora(1), ("low_rank_update",)),
    "rows rescaled by 3 %, F32":
        ("F32", lambda rng, w, *_: w * (1 + 0.03 * rng.standard_normal((w.shape[0], 1))), ("common_scalar", "principal_update")),
    "unrelated, F32": ("F32", lambda rng, w, *_: rms(w) * rng.standard_normal(w.shape), ("unrelated",)),
    "planted: 1 % of the change turns both sides": ("F32", together(0.01), ("co_rotation",)),
    "planted: 2 % of the change turns both sides": ("F32", together(0.02), ("co_rotation",)),
    "planted: 5 % of the change turns both sides": ("F32", together(0.05), ("co_rotation",)),
    "planted: LoRA, r = 8, BF16": ("BF16", lora(8), ("low_rank_update",)),
    "planted: LoRA, r = 16, BF16": ("BF16", lora(16), ("low_rank_update",)),
    "planted: LoRA, r = 8, F32": ("F32", lora(8), ("low_rank_update",)),
    "planted: 0.95 base and noise that scales evenly, F32": ("F32", evenly(0), ("uniform_scaling",)),
    "planted: the same, half of the spread left, F32": ("F32", evenly(0.5), ("uniform_scaling",)),
    "planted: W_O x 1.36 and noise, F32":
        ("F32", lambda rng, w, svd, name: noise(0.03)(rng, w) * (1.36 if "o_proj" in name else 1), ("w_o_anomaly", "common_scalar")),
    "planted: 40 % of the weights changed, BF16":
        ("BF16", noise(0.05, lambda rng, shape: rng.standard_normal(shape) * (rng.random(shape) < 0.4)), ("sparse_update",)),
}


def make_post(folder, base, kind, seed):
    dtype, change, _ = KINDS[kind]
    rng = np.random.default_rng([1, seed, list(KINDS).index(kind)])  # [7, 0] would be the bases' own stream
    if change is None:
        c = rng.uniform(0.8, 0.99)
        change = times(lambda *_: c)
    write_model(folder, {name: change(rng, w, base.svd[name], name) for name, w in base.weights.items()}, dtype)


def verdicts(gyro, base, posts):
    """Of each post: verdicts by finding."""
    run = subprocess.run([gyro, "diff", base, *posts, "--json", "--quiet"], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stderr)
    return [{f["id"]: f["verdict"] for f in c["findings"]} for c in json.loads(run.stdout)["comparisons"]]


def at_least(count, n, p):
    """P(X >= count) of a binomial variable."""
    if p in (0, 1):
        return float(count == 0 or p == 1)
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
            for k in range(count, n + 1)]
    return sum(map(math.exp, logs))


def interval(count, n):
    """Clopper and Pearson's, 95 %."""
    def where(count, level):
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if at_least(count, n, middle) < level else (low, middle)
        return low
    return (where(count, 0.025) if count else 0.0, where(count + 1, 0.975) if count < n else 1.0)


def cell(counts, n, true):
    """One finding of one kind, before and after; a dot where it was never stated."""
    if not any(counts):
        return "**0**" if true else "·"
    def one(count):
        low, high = interval(count, n)
        return f"{100 * count / n:.0f} [{100 * low:.0f}, {100 * high:.0f}]"
    text = " → ".join(one(count) for count in counts)
    return f"**{text}**" if true else text


def calibrate(args, title, base):
    print(f"\n{title}, {args.posts} posts a row; · is 0 [0, {100 * interval(0, args.posts)[1]:.1f}]\n")
    print("| post | " + " | ".join(f"`{f}`" + (": no" if f == "common_scalar" else "") for f in STATED) + " |")
    print("|---" * (len(STATED) + 1) + "|", flush=True)
    for kind in [kind for kind in KINDS if args.only in kind]:
        with tempfile.TemporaryDirectory(prefix="gyro-calibrate-") as folder:
            base_folder = os.path.join(folder, "base")
            write_model(base_folder, base.weights, "BF16")
            posts = [os.path.join(folder, f"post{i}") for i in range(args.posts)]
            for i, post in enumerate(posts):
                make_post(post, base, kind, i)
            found = [verdicts(gyro, base_folder, posts) for gyro in args.gyro]
        cells = [cell([sum(v.get(f) in STATED[f] for v in one) for one in found], args.posts, f in KINDS[kind][2]) for f in STATED]
        print(f"| {kind} | " + " | ".join(cells) + " |", flush=True)


def real_pairs(args):
    print("\n| pair | " + " | ".join(f"`{f}`" for f in STATED) + " |")
    print("|---" * (len(STATED) + 1) + "|")
    for base, post in args.pair:
        found = [verdicts(gyro, base, [post])[0] for gyro in args.gyro]
        name = os.path.basename(os.path.dirname(os.path.abspath(base))) + ": " + " > ".join(map(os.path.basename, (base, post)))
        cells = []
        for finding in STATED:
            words = [v.get(finding, "-") for v in found]
            cells.append(words[0] if len(set(words)) == 1 else " → ".join(words))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gyro", action="append", help="default: build/release/bin/gyro")
    parser.add_argument("--posts", type=int, default=40)
    parser.add_argument("--only", default="", help="kinds that have this in their name")
    parser.add_argument("--pair", action="append", nargs=2, default=[], metavar=("BASE", "POST"))
    args = parser.parse_args()
    args.gyro = args.gyro or [os.path.join(ROOT, "build", "release", "bin", "gyro")]
    for title, base in (("A gaussian base", made_base(False)), ("A base with heavy rows and columns", made_base(True)),
                        ("A trained base (models/pico-llama)", shipped_base())):
        if args.posts:
            calibrate(args, title, Base(base))
    if args.pair:
        real_pairs(args)


if __name__ == "__main__":
    main()
