"""Reads checkpoints and makes the paper's constructions with numpy, by their definitions: what Gyro's files are held
against. Shares no code with Gyro."""
import json
import os
import struct

import numpy as np

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
ATTENTION = ("W_Q", "W_K", "W_V", "W_O")


def read_file(path):
    """{name: (dtype, shape, bytes)} of one safetensors file."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(length)), f.read()
    header.pop("__metadata__", None)
    return {name: (t["dtype"], tuple(t["shape"]), data[t["data_offsets"][0]:t["data_offsets"][1]]) for name, t in header.items()}


def write_file(path, tensors):
    """The inverse of read_file."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = dict(dtype=dtype, shape=list(shape), data_offsets=[at, at + len(data)])
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def f32(array):
    """An array as a tensor of a file."""
    return "F32", np.shape(array), np.ascontiguousarray(array, "<f4").tobytes()


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def read(folder):
    """All tensors of a checkpoint folder, by its index if it has one."""
    if os.path.exists(os.path.join(folder, "model.safetensors")):
        return read_file(os.path.join(folder, "model.safetensors"))
    weight_map = read_json(folder, "model.safetensors.index.json")["weight_map"]
    shards = {name: read_file(os.path.join(folder, name)) for name in set(weight_map.values())}
    return {name: shards[shard][name] for name, shard in weight_map.items()}


def values(tensor):
    """A tensor in float64."""
    dtype, shape, data = tensor
    if dtype == "BF16":
        flat = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        flat = np.frombuffer(data, {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype])
    return flat.astype(np.float64).reshape(shape)


def parts(config):
    """(layer, type, tensor, first row, last row) of every matrix; rows of a fused tensor."""
    heads, head_dim = config["num_attention_heads"], config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    q, kv, wide = heads * head_dim, config["num_key_value_heads"] * head_dim, config["intermediate_size"]
    for layer in range(config["num_hidden_layers"]):
        def name(module):
            return f"model.layers.{layer}.{module}_proj.weight"
        if config["model_type"] == "phi3":
            for kind, begin, end in (("W_Q", 0, q), ("W_K", q, q + kv), ("W_V", q + kv, q + 2 * kv)):
                yield layer, kind, name("self_attn.qkv"), begin, end
            yield layer, "W_gate", name("mlp.gate_up"), 0, wide
            yield layer, "W_up", name("mlp.gate_up"), wide, 2 * wide
        else:
            for kind, module in (("W_Q", "q"), ("W_K", "k"), ("W_V", "v")):
                yield layer, kind, name(f"self_attn.{module}"), 0, None
            yield layer, "W_gate", name("mlp.gate"), 0, None
            yield layer, "W_up", name("mlp.up"), 0, None
        yield layer, "W_O", name("self_attn.o"), 0, None
        yield layer, "W_down", name("mlp.down"), 0, None


def write_llama(folder, n=448, layers=12, seed=0):
    """Writes a llama of random square matrices; with these sizes, work on it takes seconds."""
    os.mkdir(folder)
    generator = np.random.default_rng(seed)
    config = dict(model_type="llama", hidden_size=n, intermediate_size=n, num_hidden_layers=layers, num_attention_heads=4,
                  num_key_value_heads=4)
    with open(f"{folder}/config.json", "w", encoding="utf-8") as f:
        json.dump(config, f)
    header, data = {}, []
    for layer in range(layers):
        for part in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"):
            begin = len(data) * 4 * n * n
            header[f"model.layers.{layer}.{part}_proj.weight"] = dict(dtype="F32", shape=[n, n], data_offsets=[begin, begin + 4 * n * n])
            data.append(generator.standard_normal((n, n), np.float32).tobytes())
    text = json.dumps(header).encode()
    with open(f"{folder}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))
    return folder


def svd(w):
    """U, σ, V of the paper's W (d_in x d_out); the largest entry of each short-side vector is positive."""
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    v = vt.T
    short = v if w.shape[0] >= w.shape[1] else u
    signs = np.sign(short[np.argmax(np.abs(short), axis=0), np.arange(len(s))])
    return u * signs, s, v * signs


def interpolate(t, wb, wp):
    """Between base and post: log H linearly, the span by its principal angles, the frame by a power of a rotation."""
    if wb.shape[0] < wb.shape[1]:
        return interpolate(t, wb.T, wp.T).T
    (ub, sb, vb), (up, sp, vp) = svd(wb), svd(wp)
    pb, pp = ub @ vb.T, up @ vp.T
    log_h = (1 - t) * (vb * np.log(sb)) @ vb.T + t * (vp * np.log(sp)) @ vp.T
    e, z = np.linalg.eigh(log_h)
    h = (z * np.exp(e)) @ z.T
    y, _, xt = np.linalg.svd(pb.T @ pp)
    c = y @ xt
    target = pp @ c.T
    inner = pb.T @ target
    a, tangent, bt = np.linalg.svd((target - pb @ inner) @ np.linalg.inv(inner), full_matrices=False)
    angle = t * np.arctan(tangent)
    span = pb @ (bt.T * np.cos(angle)) @ bt + (a * np.sin(angle)) @ bt
    w, q = np.linalg.eig(c)
    return span @ ((q * np.exp(1j * t * np.angle(w))) @ np.linalg.inv(q)).real @ h


def construct(operation, wb, wp, side="out", scale=1.0, align=False, t=0.5):
    """The constructed W (paper's orientation) from the base's and the post's."""
    (ub, sb, vb), (up, sp, vp) = svd(wb), svd(wp)
    if operation == "replace":
        return (up * (scale * sb)) @ vp.T
    if operation == "ablate":
        flips = np.where((ub * up).sum(0) + (vb * vp).sum(0) < 0, -1, 1) if align else 1
        return (up * (sp * flips)) @ vb.T if side == "out" else (ub * (sp * flips)) @ vp.T
    if operation == "restore":
        return (up * sp) @ (vb @ ub.T @ up).T if side == "out" else (ub @ vb.T @ vp * sp) @ vp.T
    if operation == "transplant sigma":
        return (ub * sp) @ vb.T
    if operation == "transplant rotation":
        return (up * sb) @ vp.T
    return interpolate(t, wb, wp)


def edit(base, post, config, make, on="all", layers=None):
    """Post's tensors in float64, with make(type, W_base, W_post) in the place of the matrices of a group."""
    out = {name: values(tensor) for name, tensor in post.items()}
    for layer, kind, name, begin, end in parts(config):
        if on != "all" and (kind in ATTENTION) != (on == "attention") or layers is not None and layer not in layers:
            continue
        rows = slice(begin, end)
        out[name][rows] = make(kind, values(base[name])[rows].T, values(post[name])[rows].T).T
    return out
