#!/usr/bin/env python3
"""What a comparison says of what people bring: rows of zeros, adapters of a few modules, folders of one name, tensors
outside the matrices, experts. Each input is made here; each number is held against numpy's."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

from checkpoints import f32, read, read_json, values, write_file

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def gyro(*words, check=True):
    return subprocess.run([GYRO, *words], check=check, capture_output=True, text=True)


def norm(array):
    return float(np.sqrt(np.sum(np.square(array.astype(np.float64)))))


class Situation(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = held.name

    def make(self, name, like, tensors, **config):
        """A folder as `like` with other tensors and config."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        shutil.copy(f"{like}/config.json", folder)
        write_file(f"{folder}/model.safetensors", tensors)
        if config:
            with open(f"{folder}/config.json", "w", encoding="utf-8") as f:
                json.dump({**read_json(like, "config.json"), **config}, f)
        return folder

    def pair(self, family):
        return [f"{MODELS}/{family}/{name}" for name in ("base", "instruct")]

    def compare(self, *words):
        done = gyro("diff", *words, "--json")
        return json.loads(done.stdout), done.stderr

    def types(self, document, comparison=0):
        return {row["type"]: row for row in document["comparisons"][comparison]["types"]}


class ZeroRows(Situation):
    def test_the_others_are_pooled_and_the_rows_named(self):
        name, folders = "model.layers.0.self_attn.o_proj.weight", []
        for kind, like in zip(("base", "post"), self.pair("pico-llama")):
            tensors = read(like)
            array = values(tensors[name])
            array[[3, 17]] = 0
            folders.append(self.make(kind, like, {**tensors, name: f32(array)}))
        document, _ = self.compare(*folders)
        rows = [m for m in document["comparisons"][0]["matrices"] if m["type"] == "W_O"]
        self.assertEqual((rows[0]["rank"], rows[0]["nf"], rows[0]["nf_robust"]), (62, None, None))
        self.assertEqual(rows[0]["zero_rows"], {"base": 2, "post": 2, "either": 2, "base_rows": [3, 17], "post_rows": [3, 17]})
        self.assertFalse(rows[0]["null"]["valid"])
        self.assertEqual([rows[0]["null"][key] for key in ("nf", "nf_robust", "nf_robust_sd")], [None] * 3)
        self.assertFalse(any("zero_rows" in row for row in rows[1:]))
        w_o = self.types(document)["W_O"]
        # By numpy: NF of the layers that have it, and the mean ratio of the leading 90 % of the singular values.
        nfs, alphas = [], []
        for layer in range(3):
            base, post = (values(read(folder)[f"model.layers.{layer}.self_attn.o_proj.weight"]).T for folder in folders)
            (ub, sb, vb), (up, sp, vp) = np.linalg.svd(base), np.linalg.svd(post)
            k = int(0.9 * len(sb))
            alphas.append(np.mean(sp[:k] / sb[:k]))
            if layer:
                nfs.append(np.linalg.norm(ub.T @ up @ vp @ vb.T - np.eye(len(sb))) / len(sb))
        del nfs[:]  # signs and order of numpy's vectors: the polar factors have neither
        for layer in (1, 2):
            base, post = (values(read(folder)[f"model.layers.{layer}.self_attn.o_proj.weight"]).T for folder in folders)
            polar = [u @ v for u, _, v in (np.linalg.svd(base), np.linalg.svd(post))]
            nfs.append(np.linalg.norm(polar[0].T @ polar[1] - np.eye(len(base))) / len(base))
        np.testing.assert_allclose([row["nf"] for row in rows[1:]], nfs, rtol=1e-6)
        np.testing.assert_allclose(w_o["nf_mean"], np.mean(nfs), rtol=1e-6)
        np.testing.assert_allclose(w_o["alpha_mean"], np.mean(alphas), rtol=1e-6)
        self.assertEqual((w_o["layers"], w_o["alpha_layers"], w_o["nf_layers"]), (3, 3, 2))
        np.testing.assert_allclose(w_o["null"]["nf_mean"], np.mean([row["null"]["nf"] for row in rows[1:]]), rtol=1e-12)
        text = gyro("diff", *folders).stdout
        self.assertIn("* NF of W_O over 2 of 3 matrices: that of layer 0 has rank 62 of 64 (rows 3, 17 are zero in base and post)",
                      " ".join(text.split()))
        self.assertRegex(text, rf"NF .*{w_o['nf_mean']:.4f}\*")


    def zeroed(self, name, like, rows):
        tensor, tensors = "model.layers.0.self_attn.o_proj.weight", read(like)
        array = values(tensors[tensor])
        array[rows] = 0
        return self.make(name, like, {**tensors, tensor: f32(array)})

    def test_rows_are_of_the_model_that_has_them(self):
        of_base, of_post = self.pair("pico-llama")
        base, many = self.zeroed("base", of_base, [3]), list(range(20, 40))
        posts = self.zeroed("post", of_post, [17]), self.zeroed("many", of_post, [3, *many])
        document, _ = self.compare(base, *posts, "--control", "noise")
        found = [next(m for m in c["matrices"] if m["type"] == "W_O")["zero_rows"] for c in document["comparisons"]]
        self.assertEqual(found[0], {"base": 1, "post": 1, "either": 2, "base_rows": [3], "post_rows": [17]})
        self.assertEqual(found[1], {"base": 1, "post": 21, "either": 21, "base_rows": [3], "post_rows": [3, *many[:15]]})
        for noise in found[2:]:
            self.assertEqual(noise, {"base": 1, "post": 0, "either": 1, "base_rows": [3], "post_rows": []})
        text = " ".join(gyro("diff", base, *posts, "--control", "noise").stdout.split())
        self.assertIn("(row 3 is zero in the base, row 17 is zero in the post)", text)
        self.assertIn("33, 34 and 5 more are zero in the post)", text)
        self.assertIn("(row 3 is zero in the base)", text)
        self.assertNotIn("base and post)", text)

    # Noise of the size of no change is the base itself, with its rows.
    def test_noise_of_nothing(self):
        base = self.zeroed("base", self.pair("pico-llama")[0], [3])
        document, _ = self.compare(base, base, "--control", "noise")
        row = next(m for m in document["comparisons"][1]["matrices"] if m["type"] == "W_O")
        self.assertEqual(row["zero_rows"], {"base": 1, "post": 1, "either": 1, "base_rows": [3], "post_rows": [3]})


class AdapterOnTwoTypes(Situation):
    def test_findings_are_of_what_changed(self):
        base = self.pair("pico-qwen2")[0]
        tensors, draw = read(base), np.random.default_rng(5)
        merged, shares = dict(tensors), []
        for name in tensors:
            if not name.endswith(("q_proj.weight", "v_proj.weight")):
                continue
            array = values(tensors[name])
            change = draw.standard_normal((array.shape[0], 4)) @ draw.standard_normal((4, array.shape[1]))
            new = (array + 0.1 * norm(array) / norm(change) * change).astype(np.float32)
            keep = draw.random(array.shape) < 0.02
            new[keep] = array[keep]
            merged[name] = f32(new)
            shares.append((np.mean(new.astype(np.float64) == array), array.size))
        post = self.make("post", base, merged)
        document, _ = self.compare(base, post)
        found = {f["id"]: f for f in document["comparisons"][0]["findings"]}
        share = sum(s * n for s, n in shares) / sum(n for _, n in shares)
        self.assertEqual(found["sparse_update"]["verdict"], "no")
        np.testing.assert_allclose(found["sparse_update"]["value"], share, rtol=1e-9)
        said = "W_K, W_O, W_gate, W_up and W_down are bit-identical to the base's."
        self.assertEqual(found["untouched_types"]["text"], said)
        self.assertEqual(found.pop("untouched_types")["verdict"], "yes")
        for one in found.values():
            self.assertLessEqual(set(one["types"]), {"W_Q", "W_V"}, one)
        changed = [m for m in document["comparisons"][0]["matrices"] if m["type"] in ("W_Q", "W_V")]
        middle = sorted(m["nf"] / m["nf_chance"] for m in changed)[len(changed) // 2]
        np.testing.assert_allclose(found["unrelated"]["value"], middle, rtol=1e-12)
        text = " ".join(gyro("diff", base, post).stdout.split())
        self.assertEqual(text.count("bit-identical"), 1)
        self.assertIn("unchanged", text)
        self.assertNotRegex(text, r"NF [^a-z]*\de-1\d")


class FoldersOfOneName(Situation):
    def test_told_apart_everywhere(self):
        base, instruct = self.pair("pico-qwen2")
        posts = []
        for stage in ("sft", "dpo"):
            posts.append(os.path.join(self.folder, stage, "final"))
            shutil.copytree(instruct, posts[-1])
        out = os.path.join(self.folder, "out")
        for form in ("table", "md", "latex"):
            text = gyro("diff", base, *posts, "--control", "noise", "--out", out, "--format", form).stdout
            for name in ("sft/final", "dpo/final", "noise (sft/final)", "noise (dpo/final)"):
                self.assertIn(name, text)
            self.assertNotRegex(text, r"(?<!/)\bfinal\b")
        document = read_json(out, "result.json")
        self.assertEqual([c["post"]["id"] for c in document["comparisons"][2:]], ["noise (sft/final)", "noise (dpo/final)"])
        self.assertIn("of the change of dpo/final,", document["comparisons"][3]["findings"][0]["text"])
        csv = gyro("diff", base, *posts, "--control", "noise", "--out", out, "--format", "csv").stdout
        self.assertEqual({line.split(",")[0] for line in csv.splitlines()[1:]},
                         {*posts, "noise (sft/final)", "noise (dpo/final)"})
        with open(f"{out}/report.html", encoding="utf-8") as f:
            page = f.read()
        self.assertIn("<title>base → sft/final, dpo/final", page)
        for name in ("sft/final", "dpo/final", "noise (sft/final)", "noise (dpo/final)"):
            self.assertIn(f'"name":"{name}"', page)


class Outside(Situation):
    def outside(self, *models):
        document, warnings = self.compare(*models)
        outside = document["comparisons"][0]["outside"]
        return outside, {group["kind"]: group for group in outside["groups"]}, warnings

    def test_what_differs_and_by_how_much(self):
        base, post = self.pair("pico-qwen2")
        _, groups, warnings = self.outside(base, post)
        self.assertEqual(warnings.count("warning"), 0)
        a, b = ({k: values(t) for k, t in read(folder).items()} for folder in (base, post))
        kinds = {"norms": lambda n: "norm" in n, "biases": lambda n: n.endswith(".bias"), "embeddings": lambda n: n == EMBEDDINGS}
        for kind, is_of in kinds.items():
            names = [name for name in a if is_of(name)]
            change = np.sqrt(sum(norm(b[n] - a[n]) ** 2 for n in names)) / np.sqrt(sum(norm(a[n]) ** 2 for n in names))
            self.assertEqual(groups[kind]["tensors"], len(names), kind)
            self.assertEqual(groups[kind]["changed"], sum(not np.array_equal(a[n], b[n]) for n in names), kind)
            np.testing.assert_allclose(groups[kind]["relative_change"], change, rtol=1e-12)

    def test_by_place_and_by_value(self):
        base = self.pair("pico-qwen2")[0]
        renamed = {name.replace("model.", "model.language_model.", 1): f32(values(t)) for name, t in read(base).items()}
        outside, groups, warnings = self.outside(base, self.make("post", base, renamed))
        self.assertEqual([(g["changed"], g["missing"], g["added"]) for g in groups.values()], [(0, 0, 0)] * len(groups))
        self.assertEqual((outside["missing"], outside["added"], warnings.count("warning")), ([], [], 0))
        self.assertRegex(outside["text"], r"^Outside the matrices all \d+ tensors have the base's values\.$")

    def test_a_vocabulary_that_grew(self):
        base = self.pair("pico-qwen2")[0]
        tensors = read(base)
        old = values(tensors[EMBEDDINGS])
        new = np.concatenate([1.01 * old, np.ones((8, old.shape[1]))]).astype(np.float32)
        post = self.make("post", base, {**tensors, EMBEDDINGS: f32(new)}, vocab_size=len(new))
        outside, groups, _ = self.outside(base, post)
        self.assertEqual(outside["vocabulary"], {"base": len(old), "post": len(old) + 8, "compared": len(old)})
        np.testing.assert_allclose(groups["embeddings"]["relative_change"], norm(new[:len(old)] - old) / norm(old), rtol=1e-12)
        self.assertIn(f"Vocabulary {len(old)} → {len(old) + 8} rows: the first {len(old)} compared.", outside["text"])

    def test_a_head_that_was_copied(self):
        base = self.pair("pico-qwen2")[0]
        tensors = read(base)
        tied = {name: tensor for name, tensor in tensors.items() if name != HEAD}
        embeddings = tensors[EMBEDDINGS]
        one = self.make("tied", base, tied, tie_word_embeddings=True)
        own = self.make("own", base, {**tied, HEAD: embeddings}, tie_word_embeddings=False)
        outside, groups, warnings = self.outside(one, own)
        self.assertEqual((outside["base_head"], outside["post_head"]), ("tied", "own"))
        self.assertEqual((groups["head"]["tensors"], groups["head"]["changed"]), (1, 0))
        self.assertEqual(warnings.count("warning"), 0)
        lacking = self.make("lacking", base, tied, tie_word_embeddings=False)
        outside, _, warnings = self.outside(own, lacking)
        self.assertEqual(outside["post_head"], "missing")
        self.assertIn(f"gyro: warning: {lacking}: lacks 1 tensor: lm_head.weight, which the base has\n", warnings)

        _, _, warnings = self.outside(one, lacking)  # which nothing but config.json tells apart
        self.assertIn(f"gyro: warning: {lacking}: has no lm_head.weight, and its config.json does not tie the head to the "
                      "embeddings, as the base's does\n", warnings)
        self.assertIn("none, though config.json does not tie it to the embeddings", gyro("info", lacking).stdout)

    def test_values_that_are_no_numbers(self):
        base, post = self.pair("pico-qwen2")
        tensors, norm_name = read(post), "model.layers.0.input_layernorm.weight"
        for name, count in ((EMBEDDINGS, 2), (norm_name, 1)):
            new = values(tensors[name]).astype(np.float32)
            new.ravel()[:count] = np.nan
            tensors[name] = f32(new)
        odd = self.make("odd", post, tensors)
        outside, groups, warnings = self.outside(base, odd)
        said = f"3 values are no numbers: {EMBEDDINGS} (2), {norm_name} (1)"
        self.assertIn(f"gyro: warning: {odd}: {said}\n", warnings)
        self.assertIn(f"In the post {said}.", outside["text"])
        rest = [name for name in tensors if "norm" in name and name != norm_name]
        before = read(base)
        change = np.sqrt(sum(norm(values(tensors[n]) - values(before[n])) ** 2 for n in rest))
        self.assertAlmostEqual(groups["norms"]["relative_change"],
                               change / np.sqrt(sum(norm(values(before[n])) ** 2 for n in rest)), places=12)
        self.assertEqual((groups["norms"]["tensors"], groups["norms"]["defined"]), (7, 6))
        self.assertIsNone(groups["embeddings"]["relative_change"])
        text = gyro("diff", base, odd).stdout
        self.assertRegex(text, r"norms +7 of 7 +[0-9.]+ % \(of 6\)")
        self.assertIn("all changed (1 to what is no number, or from it)", " ".join(text.split()))

    def test_what_is_missing_is_warned_of(self):
        base = self.pair("pico-qwen2")[0]
        gone = ["model.norm.weight", "model.layers.1.input_layernorm.weight", "model.layers.0.self_attn.q_proj.bias"]
        tensors = {name: tensor for name, tensor in read(base).items() if name not in gone}
        post = self.make("post", base, tensors)
        outside, groups, warnings = self.outside(base, post)
        self.assertEqual((groups["norms"]["missing"], groups["biases"]["missing"]), (2, 1))
        self.assertEqual(outside["missing"], sorted(name.removeprefix("model.") for name in gone))
        self.assertIn(f"gyro: warning: {post}: lacks 3 tensors: ", warnings)
        _, groups, warnings = self.outside(post, base)
        self.assertEqual((groups["norms"]["added"], groups["biases"]["added"]), (2, 1))
        self.assertIn(f"gyro: warning: {base}: has 3 tensors: ", warnings)


class FusedPosts(Situation):
    """What is said of a post does not follow from the posts before it."""

    def test_in_any_order(self):
        base, fused = self.pair("pico-phi3")
        split = {}
        for name, (dtype, shape, data) in read(fused).items():
            whole = next((w for w in ("qkv_proj", "gate_up_proj") if w in name), None)
            parts = {None: [None], "qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}[whole]
            size = len(data) // len(parts)
            for i, part in enumerate(parts):
                split[name.replace(whole, part) if whole else name] = (
                    dtype, (shape[0] // len(parts), *shape[1:]), data[i * size:(i + 1) * size])
        split = self.make("split", fused, split, model_type="llama")
        again = shutil.copytree(split, f"{split}-again")
        for posts in ((split, fused), (fused, split), (split, fused, again)):
            said = {f"gyro: warning: {post}: {kind} is in parts here and fused in {base}: the parts are compared"
                    for kind in ("W_QKV", "W_gate_up") for post in posts if post != fused}
            document, warnings = self.compare(base, *posts, "--null-draws", "0")
            self.assertEqual({line for line in warnings.splitlines() if "warning" in line}, said)
            kinds = [sorted(self.types(document, i)) for i in range(len(posts))]
            self.assertEqual(kinds, [sorted(["W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down"])] * len(posts))
        _, warnings = self.compare(split, base, "--null-draws", "0")
        self.assertIn(f"gyro: warning: {base}: W_QKV is fused here and in parts in {split}: the parts are compared\n", warnings)


class Experts(Situation):
    def test_spread_and_choice(self):
        models = self.pair("pico-qwen3moe")
        document, _ = self.compare(*models)
        rows = document["comparisons"][0]["matrices"]
        for kind, row in self.types(document).items():
            family = [m for m in rows if m["type"] == kind and "expert" in m]
            self.assertEqual("experts" in row, bool(family), kind)
            if not family:
                continue
            self.assertEqual(row["experts"]["matrices"], len(family))
            for key in ("alpha_mean", "nf", "relative_change"):
                spread, numbers = row["experts"][key], np.array([m[key] for m in family])
                np.testing.assert_allclose([spread["low"], spread["median"], spread["high"]],
                                           np.quantile(numbers, [0.1, 0.5, 0.9]), rtol=1e-12)
                worst = family[int(np.argmax(np.abs(numbers - np.median(numbers))))]
                self.assertEqual((spread["furthest"], spread["layer"], spread["expert"]),
                                 (worst[key], worst["layer"], worst["expert"]))
        some, _ = self.compare(*models, "--experts", "0,5-6,-1")
        self.assertEqual(some["options"]["experts"], [0, 5, 6, -1])
        wanted = [m for m in rows if m.get("expert", 0) in (0, 5, 6, 7)]
        self.assertEqual(some["comparisons"][0]["matrices"], wanted)
        self.assertNotEqual(some["fingerprint"], document["fingerprint"])
        text = gyro("diff", *models).stdout
        up = self.types(document)["W_up"]["experts"]
        self.assertIn(f"W_up ({up['matrices']})", text)
        self.assertIn(f"layer {up['alpha_mean']['layer']}, expert {up['alpha_mean']['expert']}", text)

    def test_what_there_is_not(self):
        for models, words, said in ((self.pair("pico-qwen3moe"), "8", "there is no expert 8: the model has 8"),
                                    (self.pair("pico-qwen2"), "0", "the model has no experts")):
            done = gyro("diff", *models, "--experts", words, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr, f"gyro: error: --experts: {said}\n")
        some, _ = self.compare(*self.pair("pico-qwen3moe"), "--types", "W_Q", "--experts", "0")  # which no expert has
        self.assertEqual({m["type"] for m in some["comparisons"][0]["matrices"]}, {"W_Q"})
        done = gyro("diff", *self.pair("pico-qwen3moe"), "--experts", "x", check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--experts: 'x' is not an expert number", done.stderr)


if __name__ == "__main__":
    unittest.main()
