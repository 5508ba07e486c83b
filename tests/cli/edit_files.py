#!/usr/bin/env python3
"""What `gyro build`, `init` and `lora` write and refuse: whole folders or nothing."""
import hashlib
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import numpy as np
from safetensors import safe_open

import checkpoints

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
BASE, POST = f"{MODELS}/pico-qwen2/base", f"{MODELS}/pico-qwen2/instruct"
Q_PROJ = "model.layers.1.self_attn.q_proj.weight"
SECONDS, MEGABYTES = 5, 500
SANITIZED = subprocess.run(["grep", "-qc", "__asan_init\\|__tsan_init", GYRO], check=False).returncode == 0
BUILDS = (("replace",), ("ablate", "--align-signs"), ("restore", "--side", "in"), ("transplant",), ("interpolate", "--at", "0.3"),
          ("noise",))
COMMANDS = ("build", "restore"), ("build", "paper"), ("init", "pissa"), ("init", "rescale", "--types", "W_O", "--by", "2"), ("lora",)


def file_hash(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def contents(folder):
    found = {os.path.relpath(os.path.join(at, name), folder): file_hash(os.path.join(at, name))
             for at, _, names in os.walk(folder) for name in names if os.path.exists(os.path.join(at, name))}
    folders = {os.path.relpath(os.path.join(at, name), folder): "folder" for at, names, _ in os.walk(folder) for name in names}
    return found | folders


class Files(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.out = os.path.join(self.folder, "out")

    def run_gyro(self, command, *, base=BASE, post=POST, out=None, options=(), wrapper=(), **how):
        """`command`: what is run, with options; init takes no POST."""
        words = 1 if command[0] == "lora" else 2
        models = [base] if command[0] == "init" else [base, post]
        rank = ["--rank", "4"] if "--rank" not in command and command[:2] in (("lora",), ("init", "pissa")) else []
        return subprocess.run([*wrapper, GYRO, *command[:words], *models, *command[words:], *rank, *options, "--out",
                               out or self.out, "--quiet"], capture_output=True, text=True, errors="replace", timeout=120, check=False,
                              **how)

    def succeed(self, command, **how):
        run = self.run_gyro(command, **how)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "", ""))

    def refuse(self, command, *expected, out=None, **how):
        """One error line with the given parts, nothing left behind, soon and in little memory."""
        before, start = contents(self.folder), time.monotonic()
        run = self.run_gyro(command, out=out, **how)
        elapsed = time.monotonic() - start
        self.assertEqual((run.returncode, run.stdout), (1, ""), run.stderr)
        self.assertRegex(run.stderr, r"\Agyro: error: [^\n]+\n\Z")
        for part in expected:
            self.assertIn(part, run.stderr)
        self.assertEqual(contents(self.folder), before, "something was left behind")
        if not SANITIZED:
            self.assertLess(elapsed, SECONDS)
            self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, MEGABYTES)


def zero_between_samples(path, tensor):
    """TensorSource::identity reads 256 bytes at each sixteenth of a tensor."""
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(size))[tensor]["data_offsets"]
        step = (end - begin) // 16
        for place in range(8 + size + begin, 8 + size + end, step):
            file.seek(place + 256)
            file.write(bytes(step - 256))


class WholeFolders(Files):
    def test_every_construction(self):
        expected = set(os.listdir(POST)) | {"README.md", "gyro.json"}
        post = checkpoints.read(POST)
        for build in BUILDS:
            self.succeed(("build", *build), options=["--force"])
            self.assertEqual(set(os.listdir(self.out)), expected)
            self.check_hashes(self.out)
            built = checkpoints.read(self.out)
            self.assertEqual({n: t[:2] for n, t in built.items()}, {n: t[:2] for n, t in post.items()})
            for name in set(os.listdir(POST)) - {"model.safetensors", "config.json"}:
                self.assertEqual(file_hash(f"{self.out}/{name}"), file_hash(f"{POST}/{name}"))
            self.assertEqual(checkpoints.read_json(self.out, "config.json"), checkpoints.read_json(POST, "config.json"))

    def check_hashes(self, folder):
        made = checkpoints.read_json(folder, "gyro.json")
        self.assertEqual(made["schema"], "gyro.build/1")
        found = contents(folder)
        del found["gyro.json"]
        self.assertEqual(made["files"], found)

    def test_output_through_a_link(self):
        """It lands in the folder that the link names, and the link stays."""
        disk = os.path.join(self.folder, "disk")
        os.makedirs(f"{disk}/models")
        os.symlink(f"{disk}/models", self.out)
        for command in COMMANDS[:1] + COMMANDS[2:]:
            self.succeed(command, options=["--force"])
            self.assertTrue(os.path.islink(self.out))
            self.assertIn("README.md", os.listdir(f"{disk}/models"))
            self.assertEqual((os.listdir(disk), set(os.listdir(self.folder))), (["models"], {"disk", "out"}))

    def test_output_with_a_slash(self):
        """Headings, tables and gyro.json call it by its name all the same."""
        for out in (self.out + "/", self.out + "/."):
            for command in (("build", "restore"), ("init", "pissa")):
                self.succeed(command, out=out, options=["--force"])
                with open(f"{self.out}/README.md", encoding="utf-8") as f:
                    self.assertIn("\n# out\n", f.read())
                if command[0] == "build":
                    self.assertEqual(len(checkpoints.read_json(self.out, "gyro.json")["matrices"]), 7)
        run = subprocess.run([GYRO, "build", "restore", BASE, POST, "--out", self.out + "/", "--force"], capture_output=True, text=True,
                             check=True)
        self.assertRegex(run.stdout, r"\nout +W_Q +3 ")

    def test_recipe(self):
        self.succeed(("build", "ablate", "--side", "in", "--on", "mlp", "--align-signs", "--layers", "0,-1"))
        recipe = checkpoints.read_json(self.out, "gyro.json")["recipe"]
        self.assertEqual((recipe["operation"], recipe["side"], recipe["on"], recipe["align_signs"], recipe["layers"], recipe["dtype"]),
                         ("ablate", "in", "mlp", True, [0, 2], "keep"))
        with open(f"{self.out}/README.md", encoding="utf-8") as f:
            self.assertIn("eq. 15", f.read())

    def test_model_card(self):
        """`base_model` is a name on the Hub or left out: a local path is not valid there."""
        cached = os.path.join(self.folder, "models--owner--name", "snapshots", "0123abc")
        shutil.copytree(POST, cached)
        shutil.copytree(POST, os.path.join(self.folder, "owner", "name"))
        for command in COMMANDS[:1] + COMMANDS[2:]:
            for model, id in ((cached, "owner/name"), ("owner/name", "owner/name"), (POST, None)):
                models = dict(post=model) if command[0] == "build" else dict(base=model)
                self.succeed(command, options=["--force"], cwd=self.folder, **models)
                with open(f"{self.out}/README.md", encoding="utf-8") as f:
                    _, head, text = f.read().split("---\n", 2)
                expected = [f'base_model: "{id}"'] if id else []
                self.assertEqual([line for line in head.splitlines() if "base_model" in line or "/" in line], expected)
                self.assertIn(f"`{id or model}`", text)

    def test_other_tensors_are_posts_to_the_byte(self):
        self.succeed(("build", "ablate", "--on", "mlp", "--layers", "1"))
        built, post = checkpoints.read(self.out), checkpoints.read(POST)
        self.assertEqual({name for name in post if built[name] != post[name]},
                         {f"model.layers.1.mlp.{part}_proj.weight" for part in ("gate", "up", "down")})

    def test_other_rows_of_a_fused_tensor_are_posts_to_the_byte(self):
        post = f"{MODELS}/pico-phi3/instruct"
        self.succeed(("build", "replace", "--scale", "W_K=0.5", "--on", "attention"), base=post, post=post)
        built, stored = checkpoints.read(self.out), checkpoints.read(post)
        self.assertEqual({name for name in stored if built[name] != stored[name]},
                         {f"model.layers.{layer}.self_attn.qkv_proj.weight" for layer in range(3)})
        for layer in range(3):
            name = f"model.layers.{layer}.self_attn.qkv_proj.weight"
            a, b = checkpoints.values(built[name]), checkpoints.values(stored[name])
            for rows in (slice(0, 64), slice(128, 192)):
                np.testing.assert_array_equal(a[rows], b[rows])  # Q and V, rebuilt with α′ = 1 from themselves
            np.testing.assert_array_equal(a[64:128], b[64:128] / 2)

    def test_dtype(self):
        names = {"f32": ("F32", "float32"), "bf16": ("BF16", "bfloat16"), "f16": ("F16", "float16")}
        exact = os.path.join(self.folder, "exact")
        self.succeed(("build", "restore", "--dtype", "f32"), out=exact)
        for option, (dtype, torch_dtype) in names.items():
            self.succeed(("build", "restore", "--dtype", option), options=["--force"])
            self.assertEqual(checkpoints.read_json(self.out, "config.json")["torch_dtype"], torch_dtype)
            bits = {"F32": 23, "BF16": 7, "F16": 10}[dtype]
            precise = checkpoints.read(exact)
            for name, tensor in checkpoints.read(self.out).items():
                self.assertEqual(tensor[0], dtype)
                expected = checkpoints.values(precise[name])
                # Half a unit in the last place, and F16's least step.
                bound = np.abs(expected) * 2.0**(-bits - 1) * (1 + 1e-6) + 2.0**-25
                self.assertTrue(np.all(np.abs(checkpoints.values(tensor) - expected) <= bound), name)
            self.check_hashes(self.out)

    def test_shards_and_index(self):
        whole = os.path.join(self.folder, "whole")
        self.succeed(("build", "restore"), out=whole)
        self.succeed(("build", "restore", "--shard-size", "50KB"))
        index = checkpoints.read_json(self.out, "model.safetensors.index.json")
        tensors = checkpoints.read(whole)
        self.assertEqual(checkpoints.read(self.out), tensors)
        self.assertEqual(index["metadata"]["total_size"], sum(len(t[2]) for t in tensors.values()))
        shards = sorted(set(index["weight_map"].values()))
        self.assertEqual(shards, [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))])
        self.assertGreater(len(shards), 5)
        for shard in shards:
            held = checkpoints.read_file(f"{self.out}/{shard}")
            self.assertEqual(set(held), {name for name, s in index["weight_map"].items() if s == shard})
            self.assertTrue(len(held) == 1 or sum(len(t[2]) for t in held.values()) <= 50000)
        self.assertFalse(os.path.exists(f"{self.out}/model.safetensors"))
        self.check_hashes(self.out)

    def test_the_safetensors_package_reads_it(self):
        self.succeed(("build", "restore", "--dtype", "f32"))
        with safe_open(f"{self.out}/model.safetensors", "np") as f:
            self.assertEqual(f.metadata(), {"format": "pt"})
            for name, tensor in checkpoints.read(self.out).items():
                np.testing.assert_array_equal(f.get_tensor(name), checkpoints.values(tensor))

    def test_threads_do_not_matter(self):
        other = os.path.join(self.folder, "other")
        for command in (("build", "interpolate"), ("build", "noise"), ("init", "pissa"),
                        ("init", "rescale", "--types", "W_O,W_up", "--by", "1.4"), ("lora",)):
            self.succeed(command, options=["--threads", "1", "--force"])
            self.succeed(command, options=["--threads", "3", "--force"], out=other)
            for name in ("model.safetensors", "adapter_model.safetensors", "pissa_init/adapter_model.safetensors"):
                paths = [os.path.join(folder, name) for folder in (self.out, other)]
                self.assertEqual(*map(os.path.exists, paths))
                if os.path.exists(paths[0]):
                    self.assertEqual(*map(file_hash, paths))

    def test_adapters(self):
        """residual + scaling · B A is the base again; the adapter is what PEFT's PiSSA is."""
        base = checkpoints.read(BASE)
        for kind, first in (("pissa", 0), ("minor", 60), ("middle", 20)):
            band = ["--band", "20"] if kind == "middle" else []
            self.succeed(("init", kind, "--rank", "4", "--alpha", "8", "--dtype", "f32", "--target-modules", "q_proj,down_proj", *band),
                         options=["--force"])
            config = checkpoints.read_json(self.out, f"{kind}_init", "adapter_config.json")
            self.assertEqual((config["r"], config["lora_alpha"], config["target_modules"]), (4, 8, ["down_proj", "q_proj"]))
            adapter = checkpoints.read_file(f"{self.out}/{kind}_init/adapter_model.safetensors")
            self.assertEqual(len(adapter), 2 * 6)
            for name, tensor in checkpoints.read(self.out).items():
                values, original = checkpoints.values(tensor), checkpoints.values(base[name])
                module = "base_model.model." + name.removesuffix(".weight")
                if f"{module}.lora_A.weight" not in adapter:
                    np.testing.assert_array_equal(values, original)
                    continue
                a, b = (checkpoints.values(adapter[f"{module}.lora_{x}.weight"]) for x in "AB")
                u, s, v = checkpoints.svd(original.T)
                band = slice(first, first + 4)
                held = (v[:, band] * s[band]) @ u[:, band].T
                self.assertLess(np.linalg.norm(2 * b @ a - held), 1e-6 * np.linalg.norm(original))
                self.assertLess(np.linalg.norm(values + 2 * b @ a - original), 1e-6 * np.linalg.norm(original))
                np.testing.assert_allclose(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=0), rtol=1e-5)

    def test_the_band_that_turned_most(self):
        diff = os.path.join(self.folder, "diff")
        subprocess.run([GYRO, "diff", BASE, POST, "--out", diff, "--quiet"], check=True)
        run = subprocess.run([GYRO, "init", "middle", BASE, "--rank", "8", "--band", "auto", "--diff", diff, "--out", self.out],
                             capture_output=True, text=True, check=True)
        arrays = checkpoints.read_file(f"{diff}/arrays.safetensors")
        turn = sum(checkpoints.values(arrays[f"0.2.W_Q.turn_{side}"]) for side in "uv")
        first = int(np.argmax(np.convolve(turn, np.ones(8), "valid")))
        self.assertRegex(run.stdout, rf"model\.layers\.2\.self_attn\.q_proj +{first}-{first + 7} ")

    def test_a_diff_of_another_base(self):
        """By result.json, which has samples of the content; by the singular values where no sample tells."""
        other, diff, moved = (os.path.join(self.folder, name) for name in ("other", "diff", "moved"))
        shutil.copytree(BASE, other)
        zero_between_samples(f"{other}/model.safetensors", "model.layers.2.self_attn.q_proj.weight")
        band = ("init", "middle", "--rank", "4", "--band", "auto", "--diff", diff)
        for base, post, problem in ((f"{MODELS}/pico-llama/base", f"{MODELS}/pico-llama/instruct", "result.json: is not a diff of the base"),
                                    (POST, BASE, "result.json: is not a diff of the base"), (other, POST, "is a diff of another base")):
            subprocess.run([GYRO, "diff", base, post, "--out", diff, "--quiet", "--force"], check=True)
            self.refuse(band, problem)
        subprocess.run([GYRO, "diff", BASE, POST, "--out", diff, "--quiet", "--force"], check=True)
        shutil.copytree(BASE, moved)
        self.succeed(band, base=moved)

    def test_rescale(self):
        self.succeed(("init", "rescale", "--types", "W_O,W_K", "--by", "1.5", "--dtype", "f32"))
        base = checkpoints.read(BASE)
        for name, tensor in checkpoints.read(self.out).items():
            factor = 1.5 if "o_proj" in name or "k_proj.weight" in name else 1
            np.testing.assert_array_equal(checkpoints.values(tensor), factor * checkpoints.values(base[name]))

    def test_lora_is_the_best_of_its_rank(self):
        self.succeed(("lora", "--rank", "5", "--alpha", "10"))
        adapter, base, post = checkpoints.read_file(f"{self.out}/adapter_model.safetensors"), checkpoints.read(BASE), checkpoints.read(POST)
        self.assertEqual(len(adapter), 2 * 21)
        for key in [name for name in adapter if name.endswith("lora_A.weight")]:
            name = key.removeprefix("base_model.model.").replace("lora_A.", "")
            delta = checkpoints.values(post[name]) - checkpoints.values(base[name])
            product = 2 * checkpoints.values(adapter[key.replace("lora_A", "lora_B")]) @ checkpoints.values(adapter[key])
            tail = np.linalg.norm(np.linalg.svd(delta, compute_uv=False)[5:])
            self.assertAlmostEqual(np.linalg.norm(delta - product) / tail, 1, delta=1e-6)


class Refusals(Files):
    def test_output_is_an_input(self):
        base, post = os.path.join(self.folder, "base"), os.path.join(self.folder, "post")
        shutil.copytree(BASE, base)
        shutil.copytree(POST, post)
        os.symlink(base, os.path.join(self.folder, "link"))
        for command in COMMANDS:
            for target in (base, base + "/", f"{post}/../base", os.path.join(self.folder, "link")):
                for options in ([], ["--force"]):
                    self.refuse(command, "is one of the inputs", base=base, post=post, out=target, options=options)
        for command in (("build", "restore"), ("build", "paper"), ("lora",)):
            self.refuse(command, "is one of the inputs", base=base, post=post, out=post, options=["--force"])
        self.refuse(("build", "restore", "--sibling", base), "is one of the inputs", base=BASE, post=post, out=base, options=["--force"])

    def test_output_is_the_current_folder_or_above_an_input(self):
        base, here = os.path.join(self.folder, "models", "base"), os.path.join(self.folder, "here")
        shutil.copytree(BASE, base)
        os.mkdir(here)
        for command in COMMANDS[:1] + COMMANDS[2:]:
            for options in ([], ["--force"]):
                for out in (".", "./", here, "../here/", ".."):
                    self.refuse(command, "is the current folder or above it", out=out, options=options, cwd=here)
                self.refuse(command, "holds '", "one of the inputs", base=base, out=f"{self.folder}/models", options=options)
        self.succeed(("build", "paper"), out=".", cwd=here)  # puts folders there and replaces none
        self.assertEqual(len(os.listdir(here)), 10)

    def test_output_is_not_empty(self):
        os.mkdir(self.out)
        for command in COMMANDS:
            with open(f"{self.out}/notes", "w", encoding="utf-8") as f:
                f.write("mine")
            self.refuse(command, "out", "is not empty", "--force")
            if command[1:2] != ("paper",):
                self.succeed(command, options=["--force"])
                self.succeed(command, options=["--force"])
                self.assertFalse(os.path.exists(f"{self.out}/notes"))

    def test_folders_are_not_replaced(self):
        os.makedirs(f"{self.out}/precious")
        for command in COMMANDS[:1] + COMMANDS[2:]:
            self.refuse(command, "holds a folder, 'precious'", options=["--force"])

    def test_paper_again(self):
        self.succeed(("build", "paper"))
        before = contents(self.out)
        self.refuse(("build", "paper"), "is not empty")
        self.succeed(("build", "paper"), options=["--force"])
        after = contents(self.out)
        self.assertEqual(set(before), set(after))
        self.assertEqual([name for name in before if name.endswith(".safetensors") and before[name] != after[name]], [])

    def test_output_is_a_link_that_leads_nowhere(self):
        os.symlink("gone", self.out)
        for command in COMMANDS[:1] + COMMANDS[2:]:
            self.refuse(command, "is a link that leads nowhere")

    def test_output_is_a_file(self):
        with open(self.out, "w", encoding="utf-8") as f:
            f.write("mine")
        for command in COMMANDS[:1] + COMMANDS[2:]:
            self.refuse(command, "exists and is not a folder", options=["--force"])
        self.refuse(("build", "paper"), "exists and is not a folder")

    def test_full_disk(self):
        for command in COMMANDS:
            for size, out in ((0, self.out), (3000, f"{self.folder}/made/for/out"), (30000, self.out)):
                limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
                done = self.run_gyro(command, out=out, wrapper=["sh", "-c", 'trap "" XFSZ; exec "$@"', "sh"], preexec_fn=limit)
                self.assertEqual(done.returncode, 1, (command, size, done.stderr))
                self.assertRegex(done.stderr, r"\Agyro: error: [^\n]*out/[^\n]*: [^\n]*File too large\n\Z")
                self.assertEqual(contents(self.folder), {}, (command, size))

    def test_ctrl_c(self):
        big = self.big_model()
        rescale = ["init", "rescale", big, "--by", "2", "--types", "W_Q,W_K,W_V,W_O,W_gate,W_up,W_down"]
        for command in (["build", "interpolate", big, big], ["init", "pissa", big], rescale, ["lora", big, big]):
            run = subprocess.Popen([GYRO, *command, "--out", self.out, "--threads", "1", "--quiet"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
            self.wait_for_work(run, command[0])
            run.send_signal(signal.SIGINT)
            output, error = run.communicate(timeout=120)
            self.assertEqual((run.returncode, output, error), (130, "", "gyro: interrupted; nothing was written\n"), command)
            self.assertEqual(os.listdir(self.folder), ["big"])

    def wait_for_work(self, run, command):
        """Until Ctrl-C is caught and the temporary folder is there; `lora` makes it at the end only."""
        def ready():
            with open(f"/proc/{run.pid}/status", encoding="utf-8") as f:
                caught = next(int(line.split()[1], 16) for line in f if line.startswith("SigCgt"))
            working = command == "lora" or any(".tmp." in name for name in os.listdir(self.folder))
            return caught >> (signal.SIGINT - 1) & 1 and working
        end = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < end and not ready():
            time.sleep(0.001)

    def big_model(self):
        """A llama whose matrices take seconds."""
        return checkpoints.write_llama(os.path.join(self.folder, "big"))

    def test_killed(self):
        """What a killed run leaves does not look like a checkpoint of that name."""
        big = self.big_model()
        run = subprocess.Popen([GYRO, "build", "interpolate", big, big, "--out", self.out, "--threads", "1", "--quiet"])
        self.wait_for_work(run, "build")
        run.kill()
        run.wait()
        self.assertFalse(os.path.exists(self.out))
        for name in set(os.listdir(self.folder)) - {"big"}:
            self.assertRegex(name, r"\Aout\.tmp\.[0-9a-f.]+\Z")
            self.assertFalse(os.path.exists(os.path.join(self.folder, name, "config.json")))
        self.succeed(("build", "restore"))
        self.assertEqual(set(os.listdir(self.folder)), {"big", "out"})


class HostileInput(Files):
    def setUp(self):
        super().setUp()
        self.post = os.path.join(self.folder, "post")
        shutil.copytree(POST, self.post)
        self.weights = os.path.join(self.post, "model.safetensors")

    def refuse_all(self, *expected):
        for command in COMMANDS:
            if command[0] == "init":
                self.refuse(command, *expected, base=self.post)
            else:
                self.refuse(command, *expected, post=self.post)
                self.refuse(command, *expected, base=self.post, post=BASE)

    def edit_header(self, edit):
        with open(self.weights, "rb") as f:
            (length,) = struct.unpack("<Q", f.read(8))
            header, data = json.loads(f.read(length)), bytearray(f.read())
        edit(header, data)
        text = json.dumps(header).encode()
        with open(self.weights, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + data)

    def test_truncated(self):
        os.truncate(self.weights, os.path.getsize(self.weights) - 1000)
        self.refuse_all("model.safetensors")

    def test_missing_tensor(self):
        self.edit_header(lambda header, data: header.update(renamed=header.pop(Q_PROJ)))
        self.refuse_all(Q_PROJ)

    def test_wrong_shape(self):
        self.edit_header(lambda header, data: header[Q_PROJ].update(shape=[32, 128]))
        self.refuse_all(Q_PROJ)

    def test_config_garbage(self):
        for text in ("", "{", "[]", "null", '{"hidden_size": -1}', "[" * 100000):
            with open(f"{self.post}/config.json", "w", encoding="utf-8") as f:
                f.write(text)
            self.refuse_all("config.json")

    def test_missing_folder(self):
        self.post = os.path.join(self.folder, "nowhere")
        self.refuse_all("nowhere")

    def test_other_architecture(self):
        self.post = f"{MODELS}/pico-phi3/base"
        for command in (("build", "restore"), ("build", "paper"), ("lora",)):
            self.refuse(command, "pico-phi3", post=self.post)

    def put(self, bits):
        def edit(header, data):
            begin = header[Q_PROJ]["data_offsets"][0]
            data[begin:begin + 2] = struct.pack("<H", bits)
        self.edit_header(edit)

    def test_nan_and_infinity(self):
        for bits, what in ((0x7FC0, "1 NaN"), (0xFF80, "1 infinite")):
            self.put(bits)
            for command in (("build", "restore"), ("build", "interpolate"), ("build", "paper"), ("lora",)):
                self.refuse(command, Q_PROJ, what, post=self.post)
                self.refuse(command, Q_PROJ, what, base=self.post, post=BASE)
            self.refuse(("init", "pissa"), Q_PROJ, what, base=self.post)

    def test_rank_deficient(self):
        def edit(header, data):
            begin, end = header[Q_PROJ]["data_offsets"]
            data[begin:end] = bytes(end - begin)
        self.edit_header(edit)
        for command in (("build", "restore"), ("build", "ablate"), ("build", "interpolate")):
            for models in (dict(post=self.post), dict(base=self.post, post=BASE)):
                self.succeed(command, options=["--force"], **models)
                rows = {row["type"]: row["left"] for row in checkpoints.read_json(self.out, "gyro.json")["matrices"]}
                self.assertEqual([len(left) for left in rows.values()], [1 if kind == "W_Q" else 0 for kind in rows])
                self.assertIn(f"{Q_PROJ}: has rank 0 of 64", rows["W_Q"][0])

    def test_too_large_for_the_dtype(self):
        self.put(0x7149)  # 1e30, in a matrix that is only copied
        for command in (("build", "restore", "--on", "mlp"), ("init", "pissa", "--target-modules", "k_proj")):
            which = dict(base=self.post) if command[0] == "init" else dict(post=self.post)
            self.refuse(command, Q_PROJ, "too large for F16", options=["--dtype", "f16"], **which)

    def test_companions(self):
        """What is copied is checked before the work; weights of other formats are not."""
        for name in ("flax_model.msgpack", "tf_model.h5", "adapter_config.json"):
            with open(f"{self.post}/{name}", "w", encoding="utf-8") as f:
                f.write("stale")
        for command in (("build", "restore"), ("init", "pissa"), ("init", "rescale", "--types", "W_O", "--by", "2")):
            which = dict(base=self.post) if command[0] == "init" else dict(post=self.post)
            self.succeed(command, options=["--force"], **which)
            self.assertEqual(set(os.listdir(self.out)) & {"flax_model.msgpack", "tf_model.h5", "adapter_config.json"}, set())
            shutil.rmtree(self.out)
        with open(f"{self.post}/vocab.json", "wb") as f:
            f.truncate(2**28 + 1)
        self.refuse(("build", "restore"), "vocab.json", "more than the 268435456", post=self.post)

    def test_companions_that_are_not_files(self):
        os.mkdir(f"{self.post}/checkpoints")
        os.mkfifo(f"{self.post}/pipe")
        os.symlink("gone", f"{self.post}/dangling")
        self.succeed(("build", "replace", "--scale", "1"), post=self.post)
        self.assertEqual(set(os.listdir(self.out)), set(os.listdir(POST)) | {"README.md", "gyro.json"})


class Fp8Sources(Files):
    """Matrices in E4M3 with a scale for each block of 32 x 32: what is written has the scales multiplied in."""
    def setUp(self):
        super().setUp()
        self.post = os.path.join(self.folder, "post")
        shutil.copytree(POST, self.post)
        generator, tensors, self.expected = np.random.default_rng(0), {}, {}
        for name, (dtype, shape, data) in checkpoints.read(POST).items():
            self.expected[name] = checkpoints.values((dtype, shape, data))
            if "_proj.weight" in name:
                bits = generator.integers(0, 0x78, shape, np.uint8) | generator.integers(0, 2, shape, np.uint8) << 7
                exponent, fraction = (bits >> 3 & 15).astype(int), bits & 7
                values = np.where(exponent > 0, np.ldexp(8.0 + fraction, exponent - 10), np.ldexp(1.0 * fraction, -9))
                scales = generator.uniform(1e-4, 1e-3, (shape[0] // 32, shape[1] // 32)).astype(np.float32)
                self.expected[name] = np.where(bits >> 7, -1, 1) * values * np.kron(scales.astype(np.float64), np.ones((32, 32)))
                tensors[f"{name}_scale_inv"] = "F32", scales.shape, scales.tobytes()
                dtype, data = "F8_E4M3", bits.tobytes()
            tensors[name] = dtype, shape, data
        header, begin = {}, 0
        for name, (dtype, shape, data) in tensors.items():
            header[name] = dict(dtype=dtype, shape=shape, data_offsets=[begin, begin := begin + len(data)])
        text = json.dumps(header).encode()
        with open(f"{self.post}/model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))
        config = checkpoints.read_json(self.post, "config.json")
        config["quantization_config"] = dict(quant_method="fp8", weight_block_size=[32, 32])
        config["text_config"] = dict(torch_dtype="bfloat16", quantization_config=config["quantization_config"])
        with open(f"{self.post}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)

    def test_a_dtype_must_be_given(self):
        for command in (("build", "restore"), ("build", "replace"), ("build", "paper"), ("init", "pissa"),
                        ("init", "rescale", "--types", "W_O", "--by", "2")):
            which = dict(base=self.post) if command[0] == "init" else dict(post=self.post)
            self.refuse(command, "_proj.weight: is F8_E4M3, which is read but not written; choose another with --dtype, such as bf16", **which)

    def test_scales_are_multiplied_in(self):
        for command, edited in ((("build", "restore", "--on", "attention", "--layers", "1"), "layers.1.self_attn"),
                                (("init", "rescale", "--types", "W_O", "--by", "2"), "o_proj"),
                                (("init", "pissa", "--target-modules", "k_proj"), "k_proj")):
            which = dict(base=self.post) if command[0] == "init" else dict(post=self.post)
            self.succeed(command, options=["--dtype", "f32", "--force"], **which)
            built = checkpoints.read(self.out)
            self.assertEqual(set(built), set(self.expected))
            for name, tensor in built.items():
                if edited not in name or "bias" in name:
                    np.testing.assert_array_equal(checkpoints.values(tensor), self.expected[name].astype(np.float32), name)
            if "rescale" in command:
                name = "model.layers.1.self_attn.o_proj.weight"
                np.testing.assert_array_equal(checkpoints.values(built[name]), (2 * self.expected[name]).astype(np.float32))
            config = checkpoints.read_json(self.out, "config.json")
            self.assertNotIn("quantization_config", config)
            self.assertEqual(config["text_config"], dict(torch_dtype="float32"))


if __name__ == "__main__":
    unittest.main()
