#!/usr/bin/env python3
"""Bad input: one line that names the file or tensor, exit 1, soon, in little memory, and nothing left behind."""
import json
import os
import resource
import shutil
import struct
import subprocess
import tempfile
import time
import unittest

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
SECONDS, MEGABYTES = 5, 500
SANITIZED = subprocess.run(["grep", "-qc", "__asan_init\\|__tsan_init", GYRO], check=False).returncode == 0
Q_PROJ = "model.layers.1.self_attn.q_proj.weight"


def read_safetensors(path):
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        return json.loads(f.read(length)), bytearray(f.read())


def write_safetensors(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class HostileInput(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.post = os.path.join(self.folder.name, "post")
        shutil.copytree(f"{MODELS}/pico-qwen2/instruct", self.post)
        self.weights = os.path.join(self.post, "model.safetensors")
        self.base = f"{MODELS}/pico-qwen2/base"

    def refuse(self, *expected):
        """Runs a diff, expects one error line with the given parts."""
        out = os.path.join(self.folder.name, "out")
        before = set(os.listdir(self.folder.name))
        start = time.monotonic()
        run = subprocess.Popen([GYRO, "diff", self.base, self.post, "--out", out], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace")
        output, error = run.communicate(timeout=60)
        elapsed = time.monotonic() - start
        self.assertEqual(run.returncode, 1, error)
        self.assertEqual(output, "")
        self.assertRegex(error, r"\Agyro: error: [^\n]+\n\Z")
        for part in expected:
            self.assertIn(part, error)
        self.assertEqual(set(os.listdir(self.folder.name)), before, "something was left behind")
        if not SANITIZED:
            self.assertLess(elapsed, SECONDS)
            self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, MEGABYTES)

    def edit_header(self, edit):
        header, data = read_safetensors(self.weights)
        edit(header)
        write_safetensors(self.weights, header, data)

    # Files

    def test_truncated(self):
        os.truncate(self.weights, os.path.getsize(self.weights) - 1000)
        self.refuse("model.safetensors")

    def test_truncated_in_the_header(self):
        os.truncate(self.weights, 100)
        self.refuse("model.safetensors")

    def test_empty(self):
        os.truncate(self.weights, 0)
        self.refuse("model.safetensors")

    def test_garbage(self):
        with open(self.weights, "wb") as f:
            f.write(os.urandom(5000))
        self.refuse("model.safetensors")

    def test_header_longer_than_the_file(self):
        for length in (10**6, 2**40, 2**63, 2**64 - 1):
            with open(self.weights, "r+b") as f:
                f.write(struct.pack("<Q", length))
            self.refuse("model.safetensors")

    def test_named_pipe(self):
        os.remove(self.weights)
        os.mkfifo(self.weights)
        self.refuse("model.safetensors", "not a regular file")

    def test_folder_in_a_files_place(self):
        os.remove(self.weights)
        os.mkdir(self.weights)
        self.refuse("model.safetensors")

    def test_missing_folder(self):
        self.post = os.path.join(self.folder.name, "nowhere")
        self.refuse("nowhere")

    def test_no_weights(self):
        os.remove(self.weights)
        self.refuse("post")

    def test_dangling_link(self):
        os.remove(self.weights)
        os.symlink("../blobs/gone", self.weights)
        self.refuse("model.safetensors")

    # Headers

    def test_nested_brackets(self):
        write_safetensors(self.weights, b'{"a":' + b"[" * 100000 + b"]" * 100000 + b"}", b"")
        self.refuse("model.safetensors")

    def test_duplicate_key(self):
        entry = b'"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
        write_safetensors(self.weights, b"{" + entry + b"," + entry + b"}", b"\0" * 4)
        self.refuse("model.safetensors", "x")

    def test_overlap(self):
        self.edit_header(lambda h: h[Q_PROJ].update(data_offsets=[h[Q_PROJ]["data_offsets"][0] - 2, h[Q_PROJ]["data_offsets"][1] - 2]))
        self.refuse("model.safetensors")

    def test_negative_offset(self):
        self.edit_header(lambda h: h[Q_PROJ].update(data_offsets=[-8192, 0]))
        self.refuse("model.safetensors")

    def test_overflowing_offset(self):
        self.edit_header(lambda h: h[Q_PROJ].update(data_offsets=[2**64 - 8192, 2**64]))
        self.refuse("model.safetensors")

    def test_overflowing_shape(self):
        self.edit_header(lambda h: h[Q_PROJ].update(shape=[2**33, 2**33]))
        self.refuse("model.safetensors")

    def test_wrong_shape(self):
        self.edit_header(lambda h: h[Q_PROJ].update(shape=[32, 128]))
        self.refuse(Q_PROJ)

    def test_wrong_dtype(self):
        self.edit_header(lambda h: h[Q_PROJ].update(dtype="I16"))
        self.refuse(Q_PROJ)

    def test_unknown_dtype(self):
        self.edit_header(lambda h: h[Q_PROJ].update(dtype="F9"))
        self.refuse(Q_PROJ)

    def test_missing_tensor(self):
        header, data = read_safetensors(self.weights)
        header["renamed"] = header.pop(Q_PROJ)
        write_safetensors(self.weights, header, data)
        self.refuse(Q_PROJ)

    # Values

    def put(self, bits, count):
        header, data = read_safetensors(self.weights)
        begin = header[Q_PROJ]["data_offsets"][0]
        for i in range(count):
            data[begin + 20 * i:begin + 20 * i + 2] = struct.pack("<H", bits)
        write_safetensors(self.weights, header, data)

    def test_nan(self):
        self.put(0x7FC0, 3)
        self.refuse(Q_PROJ, "3 NaN")

    def test_infinity(self):
        self.put(0xFF80, 1)
        self.refuse(Q_PROJ, "1 infinite")

    def test_nan_in_the_base(self):
        self.put(0x7FC0, 1)
        self.base, self.post = self.post, self.base
        self.refuse(Q_PROJ, "1 NaN")

    # Shards

    def shard(self, weight_map):
        os.rename(self.weights, os.path.join(self.post, "a.safetensors"))
        with open(os.path.join(self.post, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
            f.write(weight_map if isinstance(weight_map, str) else json.dumps({"weight_map": weight_map}))

    def names(self):
        return [name for name in read_safetensors(self.weights)[0] if name != "__metadata__"]

    def test_missing_shard(self):
        self.shard({name: "b.safetensors" for name in self.names()})
        self.refuse("b.safetensors")

    def test_tensor_not_in_its_shard(self):
        self.shard(dict({name: "a.safetensors" for name in self.names()}, extra="a.safetensors"))
        self.refuse("extra")

    def test_index_points_outside(self):
        for name in ("../a.safetensors", "/etc/passwd", "..", "x/a.safetensors"):
            if os.path.exists(self.weights):
                self.shard({n: name for n in self.names()})
            else:
                with open(os.path.join(self.post, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
                    json.dump({"weight_map": {Q_PROJ: name}}, f)
            self.refuse("model.safetensors.index.json")

    def test_garbage_index(self):
        self.shard("[" * 100000)
        self.refuse("model.safetensors.index.json")

    # config.json

    def config(self, text):
        with open(os.path.join(self.post, "config.json"), "w", encoding="utf-8") as f:
            f.write(text)

    def test_config_missing(self):
        os.remove(os.path.join(self.post, "config.json"))
        self.refuse("config.json")

    def test_config_garbage(self):
        for text in ("", "{", "[]", "null", '{"hidden_size": "x"}', '{"hidden_size": -1}', "[" * 100000, "\xff\xfe"):
            self.config(text)
            self.refuse("config.json")

    def test_config_contradicts_the_weights(self):
        with open(os.path.join(self.base, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        for change in (dict(hidden_size=128), dict(num_hidden_layers=5), dict(intermediate_size=100),
                       dict(num_key_value_heads=3), dict(num_hidden_layers=10**9)):
            self.config(json.dumps(dict(config, **change)))
            self.refuse()

    def test_other_architecture(self):
        self.post = f"{MODELS}/pico-phi3/base"
        self.refuse("pico-phi3")

    def test_unknown_architecture(self):
        with open(os.path.join(self.base, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        self.config(json.dumps(dict(config, model_type="rwkv")))
        header, data = read_safetensors(self.weights)
        write_safetensors(self.weights, {k.replace("self_attn", "mixer"): v for k, v in header.items()}, data)
        self.refuse("rwkv")

    # The output folder

    def test_output_is_a_file(self):
        path = os.path.join(self.folder.name, "file")
        open(path, "w").close()
        run = subprocess.run([GYRO, "diff", self.base, self.post, "--out", path], capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stderr), (1, f"gyro: error: {path}: exists and is not a folder\n"))

    def test_full_disk(self):
        out = os.path.join(self.folder.name, "out")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))
        run = subprocess.run(["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", GYRO, "diff", self.base, self.post, "--out", out],
                             capture_output=True, text=True, preexec_fn=limit, check=False)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertRegex(run.stderr, r"\Agyro: error: [^\n]*out[^\n]*File too large\n\Z")
        self.assertFalse(os.path.exists(os.path.join(out, "result.json")))


if __name__ == "__main__":
    unittest.main()
