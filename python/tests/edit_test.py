"""gyro.build and gyro.init: equations by NumPy, folders as the command line writes them."""

import json
import subprocess
import sys

import numpy
import pytest

import gyro


def factors(model, layer, type):
    u, s, vt = numpy.linalg.svd(gyro.open(model).matrix(layer, type), full_matrices=False)
    return u, s, vt.T


def test_restore_and_replace_are_the_equations(base, post):
    ub, sb, vb = factors(base, 1, "W_up")
    up, sp, vp = factors(post, 1, "W_up")
    restored = gyro.build("restore", base, post, side="out", on="mlp", dtype="f32")
    numpy.testing.assert_allclose(restored.matrix(1, "W_up"), up * sp @ (vb @ ub.T @ up).T, atol=1e-6)
    replaced = gyro.build("replace", base, post, scale={"W_up": 0.9}, dtype="f32")
    numpy.testing.assert_allclose(replaced.matrix(1, "W_up"), up * (0.9 * sb) @ vp.T, atol=1e-6)
    # What is not built stays the post's.
    numpy.testing.assert_array_equal(restored.matrix(1, "W_Q"), gyro.open(post).matrix(1, "W_Q"))
    layer = gyro.build("restore", base, post, layers=[-1], dtype="f32")
    numpy.testing.assert_array_equal(layer.matrix(0, "W_up"), gyro.open(post).matrix(0, "W_up"))
    assert numpy.abs(layer.matrix(2, "W_up") - gyro.open(post).matrix(2, "W_up")).max() > 1e-4


def test_in_memory_is_what_the_command_writes(base, post, tmp_path):
    subprocess.run(
        [
            sys.executable,
            "-m",
            "gyro",
            "build",
            "restore",
            base,
            post,
            "--side",
            "in",
            "--on",
            "attention",
            "--out",
            tmp_path / "command",
            "-q",
        ],
        check=True,
    )
    built = gyro.build("restore-attention-in", base, post, out=tmp_path / "built")
    lazy = gyro.build("restore", base, post, side="in", on="attention")
    lazy.save(tmp_path / "saved")
    written = (tmp_path / "command" / "model.safetensors").read_bytes()
    assert (tmp_path / "built" / "model.safetensors").read_bytes() == written
    assert (tmp_path / "saved" / "model.safetensors").read_bytes() == written
    assert built.folder == str(tmp_path / "built") and {row["type"] for row in built.rows} >= {"W_Q", "W_O"}
    assert all(row["moved"] > 0 for row in built.rows if row["matrices"])


def test_all_of_the_papers(base, post, tmp_path):
    variants = gyro.build("paper", base, post)
    assert "restore-mlp-in" in variants and "replace-scaled" in variants
    scaled = variants["replace-scaled"].matrix(0, "W_V")
    alpha = round(gyro.diff(base, post, types=["W_V"]).types["W_V"]["alpha_mean"], 1)
    numpy.testing.assert_allclose(
        scaled, alpha * variants["replace"].matrix(0, "W_V"), atol=2e-2 * numpy.abs(scaled).max()
    )
    built = gyro.build("paper", base, post, out=tmp_path / "all")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == sorted(variants)
    assert (tmp_path / "all" / "replace" / "gyro.json").exists() and built.rows


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"operation": "destroy"}, "operation"),
        ({"side": "up"}, "side"),
        ({"on": "norms"}, "on"),
        ({"dtype": "int8"}, "dtype"),
        ({"layers": [5]}, "layers"),
        ({"operation": "replace", "scale": "much"}, "scale"),
        ({"operation": "replace", "scale": {"W_X": 1}}, "scale"),
        ({"operation": "ablate", "sibling": "x"}, "sibling"),
        ({"operation": "restore-mlp-out-fake"}, "fake"),
    ],
)
def test_wrong_arguments_are_named(base, post, arguments, words):
    with pytest.raises(ValueError, match=words):
        gyro.build(**{"operation": "restore", "base": base, "post": post} | arguments)


def test_nothing_is_overwritten(base, post, tmp_path):
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(gyro.InputError):
        gyro.build("restore", base, post, out=tmp_path)
    with pytest.raises(gyro.InputError):
        gyro.open(post).save(tmp_path)
    with pytest.raises(gyro.GyroError):
        gyro.open(post).save(post, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_init_and_its_adapter_are_the_base(base, tmp_path):
    made = gyro.init("pissa", base, rank=4, target_modules=["q_proj", "W_down"], dtype="f32")
    assert made.folder is None and made.adapter_config["r"] == 4 and len(made.rows) == 6
    prefix = "base_model.model.model.layers.0.self_attn.q_proj."
    a, b = made.adapter[prefix + "lora_A.weight"], made.adapter[prefix + "lora_B.weight"]
    scaling = made.adapter_config["lora_alpha"] / made.adapter_config["r"]
    whole = made.model.matrix(0, "W_Q") + scaling * (b.astype(float) @ a.astype(float)).T
    numpy.testing.assert_allclose(whole, gyro.open(base).matrix(0, "W_Q"), atol=1e-6)
    folder = tmp_path / "start"
    written = gyro.init("minor", base, rank=2, out=folder)
    assert written.folder == str(folder)
    assert json.loads((folder / "minor_init" / "adapter_config.json").read_text())["r"] == 2


def test_init_of_other_kinds(base, post, tmp_path):
    gyro.diff(base, post).save(tmp_path / "diff")
    middle = gyro.init("middle", base, rank=4, band="auto", diff=tmp_path / "diff", target_modules=["q_proj"])
    centred = gyro.init("middle", base, rank=4, target_modules=["q_proj"])
    assert [row["first"] for row in centred.rows] == [30, 30, 30]
    assert [row["first"] for row in middle.rows] != [30, 30, 30]
    scaled = gyro.init("rescale", base, types=["W_O"], by=1.5, dtype="f32").model
    numpy.testing.assert_allclose(scaled.matrix(0, "W_O"), 1.5 * gyro.open(base).matrix(0, "W_O"), rtol=1e-6)
    for arguments, words in (
        ({"kind": "best"}, "kind"),
        ({"kind": "pissa", "band": 3}, "band"),
        ({"kind": "middle", "band": "auto"}, "band"),
        ({"kind": "rescale", "by": 2}, "types"),
        ({"kind": "rescale", "types": "W_O"}, "by: is needed"),
        ({"kind": "rescale", "types": "zz", "by": 2}, "types: 'zz'"),
        ({"kind": "rescale", "types": "W_O", "by": 2, "rank": 3}, "rank: goes with"),
        ({"kind": "pissa", "by": 2}, "by: goes with rescale"),
        ({"kind": "pissa", "types": "W_O"}, "types: goes with"),
        ({"kind": "pissa", "target_modules": []}, "target_modules: names none"),
        ({"kind": "pissa", "base": gyro.open(base).state_dict()}, "base: has no config; .*config="),
        ({"kind": "pissa", "base": None}, "base: is NoneType"),
        ({"kind": "pissa", "rank": 0}, "rank"),
    ):
        with pytest.raises(ValueError, match=words):
            gyro.init(**{"base": base} | arguments)


def test_state_dict_round_trip(base, tmp_path):
    model = gyro.open(base)
    memory = gyro.open(model.state_dict(), config=model.config, name="again")
    memory.save(tmp_path / "again")
    again = gyro.open(tmp_path / "again")
    assert again.tensors == model.tensors and again.config["model_type"] == "qwen2"
    for name in model:
        numpy.testing.assert_array_equal(again[name].view(numpy.uint8), model[name].view(numpy.uint8))
    with pytest.raises(KeyError):
        model["nothing"]
    with pytest.raises(gyro.InputError, match="has no config; .*config="):
        gyro.open(model.state_dict()).save(tmp_path / "bare")
    assert not (tmp_path / "bare").exists()


def test_tensors_without_a_config_are_read_by_the_others(base, post):
    expected = gyro.build("restore", base, post).matrix(0, "W_Q")
    tensors = {path: gyro.open(path).state_dict() for path in (base, post)}
    for given in ((base, tensors[post]), (tensors[base], post), (gyro.open(tensors[base]), gyro.open(post))):
        numpy.testing.assert_array_equal(gyro.build("restore", *given).matrix(0, "W_Q"), expected)
    sibling = gyro.build("restore", base, post, sibling=tensors[base])
    numpy.testing.assert_array_equal(sibling.matrix(0, "W_Q"), expected)
    with pytest.raises(gyro.InputError, match="post: has no config; .*config="):
        gyro.build("restore", tensors[base], tensors[post], out="nowhere")


def test_saving_reports_its_progress(post, tmp_path):
    told = []
    gyro.open(post).save(tmp_path / "saved", progress=told.append)
    assert told[-1]["ended"] and told[-1]["done"] == told[-1]["items"] == len(gyro.open(post))
