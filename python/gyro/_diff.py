"""gyro.diff, and what it gives."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from . import _core, _models
from ._arguments import flag, matrix_types, names, numbers, one_of, text, whole
from ._arguments import plain_path as _path
from ._errors import InputError
from ._run import manner
from ._types import Device, ModelLike, ModelsLike, Names, Numbers, PathLike, Progress

if TYPE_CHECKING:
    import numpy
    import pandas


def diff(
    base: ModelLike,
    post: ModelsLike,
    *,
    control: ModelsLike = (),
    types: Names | None = None,
    layers: Numbers | None = None,
    experts: Numbers | None = None,
    measure: Names = (),
    trajectory: bool = False,
    null_draws: int = 1,
    null_nf_draws: int = 0,
    seed: int = 0,
    device: Device = "cpu",
    threads: int | None = None,
    progress: Progress = False,
) -> DiffResult:
    """Compares a base model with its post-trained descendants: `gyro diff`.

    base: a model, as `gyro.open` takes it.
    post: another; or a list of them; or a dict {name: model}.
    control: models compared in the same way, as `post`; "noise" among them is gaussian noise of the size of each post's
        change.
    types: such as ["W_Q", "W_O"]; layers, experts: numbers, negative ones counted from the end. None: all.
    measure: what else is measured: "update-spectrum", "masks", "interference" (of several posts).
    trajectory: the posts are checkpoints of one run, in order.
    null_draws, null_nf_draws, seed: samples of the null a matrix, of singular values and of singular vectors too.
    device: "cpu", "cuda" (every GPU that CUDA shows) or "auto".
    threads: matrices worked on at once; None: OMP_NUM_THREADS or threadpoolctl's limit, else all processors.
    progress: True for a bar (tqdm), or a callable that is given a dict of noun, done, items, share, item, ended.

    Returns a DiffResult. Runs without the interpreter's lock; Ctrl-C raises KeyboardInterrupt within a second. Raises
    InputError naming the tensor or argument that cannot be used.
    """
    named = {"base": [("", base)], "post": _named(post, "post"), "control": _named(control, "control")}
    if not named["post"]:
        raise InputError("post", "names no model", "post")
    asked = _core.Asked()
    asked.layers, asked.experts = numbers(layers, "layers"), numbers(experts, "experts")
    asked.types, asked.measures = matrix_types(types), names(measure, "measure")
    asked.trajectory, asked.seed = flag(trajectory, "trajectory"), whole(seed, "seed", 0, 2**64 - 1)
    asked.null_draws = whole(null_draws, "null_draws", 0, 10000)
    asked.null_nf_draws = whole(null_nf_draws, "null_nf_draws", 0, 10000)
    run = manner(device, threads, progress)
    ((base_model, base_name),), posts, controls = _models.opened_together(named).values()
    if len(posts) < 2 and (asked.trajectory or "interference" in asked.measures):
        raise InputError("trajectory" if asked.trajectory else "measure", "needs two posts or more", "post")
    asked.command = _command(base_model, posts, controls, asked)
    with _models.advised([base_model, *(model for model, _ in posts + controls if model is not None)]):
        return DiffResult(_core.diff(base_model._core, base_name, _pairs(posts), _pairs(controls), asked, run))


def load(folder: PathLike) -> DiffResult:
    """The result in a folder that `gyro diff --out` or DiffResult.save wrote."""
    return DiffResult(_core.Result.load(_path(folder, "folder")))


def _of_files(files):
    """A result of the contents of its files by name."""
    with tempfile.TemporaryDirectory(prefix="gyro-") as folder:
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        return load(folder)


class DiffResult:
    """One base and its comparisons. A result with one post is asked directly (`result.alpha("W_Q")`); of several,
    `result["instruct"]` or `result[0]` is the Comparison that is asked.

    Figures that are not defined are nan in arrays and None in `data`, which is result.json's content
    (docs/result.schema.json says what each field means).
    """

    def __init__(self, core):
        self._core = core
        self._data = None
        self._comparisons = None

    @property
    def data(self) -> dict[str, Any]:
        """result.json's content."""
        if self._data is None:
            self._data = json.loads(self._core.text())
        return self._data

    @property
    def comparisons(self) -> list[Comparison]:
        """Posts, then controls."""
        if self._comparisons is None:
            self._comparisons = [Comparison(self, i) for i in range(len(self.data["comparisons"]))]
        return self._comparisons

    @property
    def posts(self) -> list[Comparison]:
        """The comparisons with posts."""
        return [comparison for comparison in self.comparisons if comparison.role == "post"]

    @property
    def arrays(self) -> dict[str, numpy.ndarray]:
        """{name: read-only array} of arrays.safetensors: "base.0.W_Q.sigma", "0.0.W_Q.turn_u", ..."""
        return {name: self._core.array(name) for name in self._core.array_names()}

    def array(self, name: str) -> numpy.ndarray:
        """One of them. Raises KeyError."""
        return self._core.array(text(name, "name"))

    def __len__(self) -> int:
        return len(self.comparisons)

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.comparisons)

    def __contains__(self, which: object) -> bool:
        """Whether `result[which]` is, of a name or an id; or whether it is one of the comparisons."""
        if isinstance(which, str):
            return any(which in (comparison.id, comparison.name) for comparison in self.comparisons)
        return which in self.comparisons

    def __getitem__(self, which: int | str) -> Comparison:
        if isinstance(which, str):
            found = [comparison for comparison in self.comparisons if which in (comparison.id, comparison.name)]
            if len(found) != 1:
                names = ", ".join(repr(comparison.name) for comparison in self.comparisons)
                raise KeyError(f"{which!r} is {'no' if not found else 'more than one'} comparison: there are {names}")
            return found[0]
        return self.comparisons[which]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in _OF_COMPARISON:
            raise AttributeError(f"DiffResult has no {name!r}")
        posts = self.posts
        if len(posts) != 1:
            raise AttributeError(f"there are {len(posts)} posts: ask one of them, such as result[0].{name}")
        return getattr(posts[0], name)

    def __dir__(self):
        return [*super().__dir__(), *_OF_COMPARISON]

    def to_pandas(self, table: Literal["matrices", "types"] = "matrices") -> pandas.DataFrame:
        """A pandas.DataFrame, a line a matrix ("matrices") or a type ("types") of every comparison; fields within
        fields have dotted names ("null.nf")."""
        lines = []
        for comparison in self.comparisons:
            lines += [
                {"comparison": comparison.name, "role": comparison.role, **_flat(row)}
                for row in comparison._rows(table)
            ]
        return _frame(lines)

    def report(self, path: PathLike, title: str = "") -> None:
        """Writes the page, one HTML file that loads nothing, to `path`."""
        page, title = _path(path, "path"), text(title, "title")
        with tempfile.TemporaryDirectory(prefix="gyro-") as folder:
            self._core.report(page, folder, title, manner())

    def save(self, folder: PathLike, force: bool = False) -> None:
        """Writes what `gyro diff --out` does: result.json, arrays.safetensors, report.html. A folder with anything but
        the same result is refused without `force`."""
        self._core.save(_path(folder, "folder"), flag(force, "force"), manner())

    def __reduce__(self):
        with tempfile.TemporaryDirectory(prefix="gyro-") as folder:
            self._core.write(folder, manner())
            files = {}
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), "rb") as file:
                    files[name] = file.read()
        return _of_files, (files,)

    load = staticmethod(load)

    def __repr__(self):
        names = ", ".join(comparison.name for comparison in self.comparisons)
        return f"<gyro.DiffResult {self.data['base']['id']}: {names}>"

    def _repr_html_(self) -> str:
        from ._html import result_html

        return result_html(self)


class Comparison:
    """A post, or a control, beside the base.

    `n = min(d_in, d_out)` singular values a matrix, descending; rows of arrays are layers, as `layers_of` lists them.
    With experts, a matrix is named by `expert=` too.
    """

    def __init__(self, result, index):
        self.result, self.index = result, index

    @property
    def data(self) -> dict[str, Any]:
        """Its part of result.json: post, role, matrices, types, findings, outside."""
        return self.result.data["comparisons"][self.index]

    @property
    def id(self) -> str:
        return self.data["post"]["id"]

    @property
    def name(self) -> str:
        """The last part of its id, with those before it where another comparison has the same."""
        return self.result._core.names()[self.index]

    @property
    def role(self) -> str:
        """ "post" or "control"."""
        return self.data["role"]

    @property
    def matrices(self) -> list[dict[str, Any]]:
        """A dict a matrix, as in result.json."""
        return self.data["matrices"]

    @property
    def types(self) -> dict[str, dict[str, Any]]:
        """{type: its pooled row}."""
        return {row["type"]: row for row in self.data["types"]}

    @property
    def findings(self) -> dict[str, dict[str, Any]]:
        """{id: verdict, value, null, threshold, z, types, text}."""
        return {finding["id"]: finding for finding in self.data["findings"]}

    def layers_of(self, type: str, expert: int | None = None) -> list[int]:
        """The layers that have such a matrix, in order."""
        return [row["layer"] for row in self._of(type, expert)]

    def sigma(
        self, layer: int, type: str, expert: int | None = None, of: Literal["post", "base"] = "post"
    ) -> numpy.ndarray:
        """Singular values of the post's matrix, or the base's (`of="base"`): n, descending."""
        base = one_of(of, "of", ("post", "base")) == "base"
        return self._array(layer, type, expert, "sigma", base=base)

    def svsm(self, type: str, expert: int | None = None) -> numpy.ndarray:
        """The singular value scaling matrix, eq. 4: α_j = σ_p,j / σ_b,j, `n x layers`, a column a layer. nan where the
        base's σ is zero."""
        import numpy

        columns = []
        for layer in self.layers_of(type, expert):
            base, post = self.sigma(layer, type, expert, of="base"), self.sigma(layer, type, expert)
            columns.append(numpy.divide(post, base, out=numpy.full_like(post, numpy.nan), where=base > 0))
        return numpy.stack(columns, axis=1)

    def alpha(self, type: str, expert: int | None = None) -> numpy.ndarray:
        """Mean scaling factor of each layer, over the top max(1, ⌊0.9 n⌋): an array of `layers`."""
        return self.column("alpha_mean", type, expert)

    def nf(self, type: str, expert: int | None = None) -> numpy.ndarray:
        """NF of each layer, eq. 7: ‖I_orth − I‖_F / n."""
        return self.column("nf", type, expert)

    def null(self, type: str, expert: int | None = None) -> dict[str, numpy.ndarray]:
        """What a structureless change of the same size gives, {"alpha_mean", "alpha_std", "nf", "nf_robust"}: arrays of
        `layers`."""
        return {
            name: self.column("null." + name, type, expert) for name in ("alpha_mean", "alpha_std", "nf", "nf_robust")
        }

    def column(self, field: str, type: str, expert: int | None = None) -> numpy.ndarray:
        """Any figure of the rows, such as "relative_change" or "energy.z": an array of `layers`, nan where it is not
        defined."""
        import numpy

        values = []
        for row in self._of(type, expert):
            value = row
            for part in text(field, "field").split("."):
                if value is None:
                    break  # what is not defined has no parts
                if not isinstance(value, dict) or part not in value:
                    raise KeyError(f"rows have no {field}")
                value = value[part]
            if isinstance(value, (dict, list, str)):
                raise KeyError(f"{field} is no figure")
            values.append(numpy.nan if value is None else value)
        return numpy.array(values, dtype=float)

    def turn_u(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """1 − (u_b,j·u_p,j)² of each direction of the input side: n."""
        return self._array(layer, type, expert, "turn_u")

    def turn_v(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """The same of the output side."""
        return self._array(layer, type, expert, "turn_v")

    def sim_u(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """|U_bᵀ U_p|, eq. 5, of the first min(25, n) directions. Of the first and the last layer only, and of a layer's
        experts the first; gyro.compare gives any matrix's."""
        return self._array(layer, type, expert, "sim_u")

    def sim_v(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """|V_bᵀ V_p|, as sim_u."""
        return self._array(layer, type, expert, "sim_v")

    def sim_diff(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """|sim_U − sim_V|, as sim_u."""
        return self._array(layer, type, expert, "sim_diff")

    def i_orth(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """I_orth = Q_1ᵀ Q_2, eq. 7, as sim_u."""
        return self._array(layer, type, expert, "i_orth")

    def __repr__(self):
        return f"<gyro.Comparison {self.role} {self.name}: {len(self.matrices)} matrices>"

    def _rows(self, table):
        return self.data[one_of(table, "table", ("matrices", "types"))]

    def _of(self, type, expert):
        type, expert = _matrix_named(type, expert)
        rows = [row for row in self.matrices if row["type"] == type and row.get("expert") == expert]
        if not rows:
            there = sorted({row["type"] for row in self.matrices})
            with_expert = "" if expert is None else f" of expert {expert}"
            of_experts = any(row["type"] == type and row.get("expert") is not None for row in self.matrices)
            hint = (
                "; it has experts: name one by expert="
                if of_experts and expert is None
                else f"; there are {', '.join(there)}"
            )
            raise KeyError(f"no matrix of type {type}{with_expert} was compared{hint}")
        return rows

    def _array(self, layer, type, expert, what, base=False):
        layer, (type, expert) = whole(layer, "layer", -(2**31), 2**31), _matrix_named(type, expert)
        layer = layer + self.result.data["base"]["layers"] if layer < 0 else layer
        matrix = f"{layer}.{type}" + ("" if expert is None else f".{expert}")
        name = f"{'base' if base else self.index}.{matrix}.{what}"
        try:
            return self.result._core.array(name)
        except KeyError:
            pass
        ending = type + ("" if expert is None else f".{expert}") + "." + what
        parts = (name.split(".", 2) for name in self.result._core.array_names())
        have = [place[1] for place in parts if place[0] == str(self.index) and place[2] == ending]
        raise KeyError(
            f"there is no {what} of {matrix}: layers that have it: {', '.join(sorted(set(have), key=int)) or 'none'}"
        )


_OF_COMPARISON = (
    "matrices",
    "types",
    "findings",
    "layers_of",
    "sigma",
    "svsm",
    "alpha",
    "nf",
    "null",
    "column",
    "turn_u",
    "turn_v",
    "sim_u",
    "sim_v",
    "sim_diff",
    "i_orth",
)


def _named(models, role):
    """[(name, model)] of one model, a list or a dict of them."""
    if isinstance(models, Mapping) and not _models.is_state_dict(models):
        return [(text(name, role), model) for name, model in models.items()]
    given = models if isinstance(models, (list, tuple)) else [models]
    return [("", model) for model in given]


def _pairs(models):
    return [(None if model is None else model._core, name) for model, name in models]


def _matrix_named(type, expert):
    """A type as results call it, or as it is where there is none of that name; and an expert's number, or None."""
    type = text(type, "type")
    return _core.type_named(type) or type, None if expert is None else whole(expert, "expert", 0, 2**31)


def _command(base, posts, controls, asked):
    """The call as the result keeps it."""

    def text(models):
        return ", ".join(repr("noise" if model is None else model.path or model.id) for model, _ in models)

    words = [repr(base.path or base.id), text(posts) if len(posts) == 1 else f"[{text(posts)}]"]
    if controls:
        words.append(f"control=[{text(controls)}]")
    for field in ("types", "layers", "experts", "measures"):
        if value := getattr(asked, field):
            words.append(f"{field.replace('measures', 'measure')}={list(value)!r}")
    if asked.trajectory:
        words.append("trajectory=True")
    for field, usual in (("null_draws", 1), ("null_nf_draws", 0), ("seed", 0)):
        if getattr(asked, field) != usual:
            words.append(f"{field}={getattr(asked, field)}")
    return f"gyro.diff({', '.join(words)})"


def _flat(row, prefix=""):
    out = {}
    for key, value in row.items():
        if isinstance(value, dict):
            out.update(_flat(value, f"{prefix}{key}."))
        else:
            out[prefix + key] = value
    return out


def _frame(lines):
    """A pandas.DataFrame of dicts. What is undefined in all of them is nan, as where it is in some."""
    import pandas

    frame = pandas.DataFrame(lines)
    nothing = [name for name in frame if frame[name].isna().all()]
    return frame.astype(dict.fromkeys(nothing, float))
