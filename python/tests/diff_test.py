"""gyro.diff and its result: the same as the command line's, and as NumPy's own SVD says."""

import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy
import pytest

import gyro


@pytest.fixture(scope="module")
def result():
    from conftest import MODELS

    return gyro.diff(MODELS / "pico-qwen2" / "base", MODELS / "pico-qwen2" / "instruct", null_nf_draws=1)


def reference(base, post, layer, type):
    """σ_b, σ_p, U_bᵀU_p and V_bᵀV_p by NumPy."""
    ub, sb, vb = numpy.linalg.svd(gyro.open(base).matrix(layer, type), full_matrices=False)
    up, sp, vp = numpy.linalg.svd(gyro.open(post).matrix(layer, type), full_matrices=False)
    return sb, sp, ub.T @ up, vb @ vp.T


@pytest.mark.parametrize("type", ["W_Q", "W_K", "W_O", "W_up", "W_down"])
def test_figures_are_those_of_numpy(result, base, post, type):
    svsm = result.svsm(type)
    for layer in range(3):
        sb, sp, q1, q2 = reference(base, post, layer, type)
        numpy.testing.assert_allclose(result.sigma(layer, type, of="base"), sb, rtol=1e-8)
        numpy.testing.assert_allclose(svsm[:, layer], sp / sb, rtol=1e-7)
        k = max(1, int(0.9 * len(sb)))
        assert result.alpha(type)[layer] == pytest.approx((sp / sb)[:k].mean(), rel=1e-8)
        # Each pair's sign is free, on both sides at once, so that NF is not.
        i_orth = q1.T @ q2
        assert result.nf(type)[layer] == pytest.approx(
            numpy.linalg.norm(i_orth - numpy.eye(len(sb))) / len(sb), rel=1e-6
        )
        numpy.testing.assert_allclose(result.turn_u(layer, type), 1 - numpy.diag(q1) ** 2, atol=1e-6)
    for layer in (0, -1):
        sim = numpy.abs(reference(base, post, layer % 3, type)[2])[:25, :25]
        numpy.testing.assert_allclose(result.sim_u(layer, type), sim, atol=1e-5)


def test_the_null_stands_beside(result):
    null = result.null("W_Q")
    assert set(null) == {"alpha_mean", "alpha_std", "nf", "nf_robust"}
    rows = [row for row in result.matrices if row["type"] == "W_Q"]
    for name, values in null.items():
        expected = [numpy.nan if row["null"][name] is None else row["null"][name] for row in rows]
        numpy.testing.assert_array_equal(values, expected)
    assert numpy.isnan(null["nf"]).any() and not numpy.isnan(null["nf"]).all()  # undefined where it does not hold


def test_files_are_those_of_the_command_line(result, base, post, tmp_path):
    command = tmp_path / "command"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "gyro",
            "diff",
            base,
            post,
            "--control",
            "none",
            "--null-nf-draws",
            "1",
            "--out",
            command,
            "-q",
        ],
        check=True,
    )
    mine = tmp_path / "mine"
    result.save(mine)
    assert (mine / "arrays.safetensors").read_bytes() == (command / "arrays.safetensors").read_bytes()
    a, b = (json.loads((folder / "result.json").read_text()) for folder in (mine, command))
    assert a.pop("run")["command"].startswith("gyro.diff(") and b.pop("run")["command"].startswith("gyro diff ")
    assert a == b and list(a) == list(b)
    assert (mine / "report.html").stat().st_size > 100_000
    # What is loaded and saved again is the same to the byte, whoever wrote it.
    for folder in (mine, command):
        again = tmp_path / (folder.name + "-again")
        gyro.load(folder).save(again)
        for name in ("result.json", "arrays.safetensors"):
            assert (again / name).read_bytes() == (folder / name).read_bytes()
    loaded = gyro.DiffResult.load(mine)
    assert loaded.data == result.data
    numpy.testing.assert_array_equal(loaded.svsm("W_V"), result.svsm("W_V"))


def test_a_folder_of_something_else_is_kept(result, base, post, tmp_path):
    gyro.diff(base, post, types=["W_Q"]).save(tmp_path / "out")
    before = (tmp_path / "out" / "result.json").read_bytes()
    with pytest.raises(gyro.InputError, match="force=True"):
        result.save(tmp_path / "out")
    assert (tmp_path / "out" / "result.json").read_bytes() == before
    result.save(tmp_path / "out", force=True)
    assert (tmp_path / "out" / "result.json").read_bytes() != before


def test_report_is_one_page(result, tmp_path):
    result.report(tmp_path / "page.html", title="A <title>")
    page = (tmp_path / "page.html").read_text()
    assert "A &lt;title>" in page or "A &lt;title&gt;" in page
    assert os.listdir(tmp_path) == ["page.html"]
    with pytest.raises(OSError):
        result.report(tmp_path / "nowhere" / "at" / "all" / "page.html")


def test_several_posts_and_controls(base, post):
    half = gyro.build("interpolate", base, post, at=0.5)
    result = gyro.diff(base, {"whole": post, "half": half}, control="noise", types=["W_Q", "W_up"])
    assert [c.name for c in result.posts] == ["whole", "half"]
    assert [c.role for c in result] == ["post", "post", "control", "control"]
    assert (result["half"].column("relative_change", "W_Q") < result["whole"].column("relative_change", "W_Q")).all()
    with pytest.raises(AttributeError, match="result\\[0\\].alpha"):
        result.alpha("W_Q")
    with pytest.raises(KeyError, match="'whole'"):
        result["other"]
    frame = result.to_pandas()
    assert len(frame) == 4 * 6 and set(frame["comparison"]) >= {"whole", "half"}
    assert frame["null.nf_robust"].dtype == float
    one = gyro.diff(base, base, types=["W_Q"], layers=[0]).to_pandas()  # in all of which some figures are undefined
    undefined = [name for name in one if one[name].isna().all()]
    assert undefined and all(one[name].dtype == float for name in undefined)
    pair = gyro.compare(numpy.zeros((5, 5)), numpy.eye(5)).to_pandas()
    assert numpy.isnan(pair["nf"]) and None not in pair.tolist()
    types = result.to_pandas("types")
    assert len(types) == 8
    trajectory = gyro.diff(base, [half, post], trajectory=True, types=["W_Q"], layers=[0])
    assert trajectory.data["trajectory"]["steps"]


def test_experts_are_named(moe):
    result = gyro.diff(*moe, types=["W_up", "W_router"], layers=[-1])
    assert len(result.alpha("W_router")) == 1
    with pytest.raises(KeyError, match="expert="):
        result.alpha("W_up")
    assert result.svsm("W_up", expert=1).shape[1] == 1
    assert len(result.sigma(-1, "W_up", expert=1)) == len(result.turn_v(-1, "W_up", expert=1))
    with pytest.raises(KeyError, match="expert 999"):
        result.alpha("W_up", expert=999)


def test_tensors_in_memory_are_the_folder(result, base, post):
    given = [dict(gyro.open(path).state_dict()) for path in (base, post)]
    memory = gyro.diff(*given, null_nf_draws=1)
    for type in result.types:
        numpy.testing.assert_array_equal(memory.svsm(type), result.svsm(type))
        numpy.testing.assert_array_equal(memory.nf(type), result.nf(type))
    assert memory.data["base"]["path"] is None and memory.data["base"]["id"] == "base"
    # A base with a config tells what tensors without one are.
    mixed = gyro.diff(base, given[1])
    assert mixed.data["comparisons"][0]["post"]["model_type"] == "qwen2"
    numpy.testing.assert_array_equal(mixed.svsm("W_Q"), result.svsm("W_Q"))
    opened = gyro.diff(base, gyro.open(given[1]))
    numpy.testing.assert_array_equal(opened.svsm("W_Q"), result.svsm("W_Q"))
    assert opened.data["comparisons"][0]["post"]["model_type"] == "qwen2"
    wide = {name: tensor.astype(numpy.float64) for name, tensor in given[1].items()}
    numpy.testing.assert_array_equal(gyro.diff(base, wide).svsm("W_Q"), result.svsm("W_Q"))


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"types": ["W_X"]}, ValueError, "types: 'W_X'"),
        ({"layers": [9]}, ValueError, "layers: there is no layer 9"),
        ({"layers": ["first"]}, ValueError, "layers"),
        ({"layers": []}, ValueError, "layers"),
        ({"experts": [0]}, ValueError, "experts"),
        ({"measure": ["nothing"]}, ValueError, "measure"),
        ({"measure": "interference"}, ValueError, "two posts"),
        ({"trajectory": True}, ValueError, "two posts"),
        ({"device": "tpu"}, ValueError, "device"),
        ({"threads": 0}, ValueError, "threads"),
        ({"threads": 1.5}, ValueError, "threads"),
        ({"control": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"seed": -1}, ValueError, "seed"),
        ({"null_draws": "many"}, ValueError, "null_draws"),
    ],
)
def test_wrong_arguments_are_named(base, post, arguments, error, words):
    with pytest.raises(error, match=words):
        gyro.diff(base, post, **arguments)


def test_wrong_models_are_named(base, post, moe, tmp_path):
    tensors = dict(gyro.open(post).state_dict())
    name = "model.layers.1.mlp.up_proj.weight"
    nan = tensors[name].astype(numpy.float32)
    nan[3, 4] = numpy.nan
    with pytest.raises(gyro.InputError, match=f"{name}.*1 NaN"):
        gyro.diff(base, tensors | {name: nan})
    with pytest.raises(gyro.InputError, match=name):
        gyro.diff(base, {key: value for key, value in tensors.items() if key != name})
    with pytest.raises(gyro.InputError, match=name):
        gyro.diff(base, tensors | {name: nan[:, :5]})
    with pytest.raises(gyro.InputError, match=name):
        gyro.diff(base, tensors | {name: nan.astype(complex)})
    with pytest.raises(gyro.InputError, match=name):
        gyro.diff(base, tensors | {name: "text"})
    with pytest.raises(gyro.InputError, match="no tensors"):
        gyro.diff(base, {})
    with pytest.raises(gyro.InputError, match="post"):
        gyro.diff(base, [])
    with pytest.raises(gyro.InputError, match="post: is NoneType"):
        gyro.diff(base, None)
    with pytest.raises(gyro.InputError, match='gate_proj.weight"; .*config='):
        gyro.diff(gyro.open(moe[0]).state_dict(), gyro.open(moe[1]).state_dict())
    with pytest.raises(gyro.InputError):
        gyro.diff(base, moe[0])
    with pytest.raises(gyro.NotFoundError) as caught:
        gyro.diff(base, tmp_path / "missing")
    assert isinstance(caught.value, FileNotFoundError) and caught.value.subject.endswith("missing")
    with pytest.raises(gyro.InputError, match="int"):
        gyro.open(3)


def test_figures_do_not_depend_on_threads(base, post, result):
    one = gyro.diff(base, post, threads=1, null_nf_draws=1)
    for type in result.types:
        numpy.testing.assert_array_equal(one.svsm(type), result.svsm(type))


def test_missing_arrays_say_what_there_is(result):
    with pytest.raises(KeyError, match="0, 2"):
        result.sim_u(1, "W_Q")
    with pytest.raises(KeyError, match="W_down"):
        result.alpha("W_Z")
    with pytest.raises(AttributeError):
        result.nothing
    assert {"alpha", "svsm", "nf"} <= set(dir(result))
    assert not result.array("0.0.W_Q.sigma").flags.writeable


def test_adapters_adapt_the_base_that_is_given(base, post, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "gyro", "lora", base, post, "--rank", "8", "--out", tmp_path / "lora", "-q"], check=True
    )
    config = tmp_path / "lora" / "adapter_config.json"
    fields = json.loads(config.read_text())
    config.write_text(json.dumps(fields | {"base_model_name_or_path": "nobody/has-this"}))
    result = gyro.diff(base, tmp_path / "lora", types=["W_up"])
    full = gyro.diff(base, post, types=["W_up"])
    change, of_full = (r.column("relative_change", "W_up") for r in (result, full))
    assert (0 < change).all() and (change < of_full).all()
    with pytest.raises(gyro.GyroError):
        gyro.open(tmp_path / "lora")


def test_a_result_can_be_pickled_and_copied(result, post):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        returned = pool.apply(gyro.diff, (gyro.open(post), post), {"types": ["W_Q"], "control": "noise"})
    assert returned["instruct"].types["W_Q"]["relative_change_mean"] == 0 and len(returned) == 2
    for again in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert again.data == result.data and set(again.arrays) == set(result.arrays)
        numpy.testing.assert_array_equal(again[0].svsm("W_Q"), result.svsm("W_Q"))
    opened = gyro.open(post)
    assert pickle.loads(pickle.dumps(opened)).tensors == opened.tensors
    with pytest.raises(TypeError, match="tensors in memory has no folder.*save it"):
        pickle.dumps(gyro.open(opened.state_dict()))


def test_types_have_several_names(result):
    for name in ("q_proj", "q", "w_q"):
        numpy.testing.assert_array_equal(result.alpha(name), result.alpha("W_Q"))
        numpy.testing.assert_array_equal(result.sigma(0, name), result.sigma(0, "W_Q"))


def test_what_is_in_a_result(result, post):
    assert "instruct" in result and post in result and result[0] in result
    assert "base" not in result and 0 not in result


def test_a_folder_can_be_given_a_name(base, post):
    named = gyro.open(post, name="sft")
    assert (named.id, named.path) == ("sft", str(post))
    assert [c.name for c in gyro.diff(base, named, types="W_K", layers=0)] == ["sft"]
