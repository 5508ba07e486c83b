"""gyro.svd and gyro.compare against NumPy, over types, shapes and spectra."""

import ml_dtypes
import numpy
import pytest

import gyro

rng = numpy.random.default_rng(7)


def graded(rows, cols, condition):
    n = min(rows, cols)
    u, _ = numpy.linalg.qr(rng.standard_normal((rows, n)))
    v, _ = numpy.linalg.qr(rng.standard_normal((cols, n)))
    return u * numpy.geomspace(1, 1 / condition, n) @ v.T


CASES = {
    "tall": rng.standard_normal((70, 30)),
    "wide": rng.standard_normal((30, 70)),
    "square": rng.standard_normal((40, 40)),
    "row": rng.standard_normal((1, 9)),
    "graded": graded(50, 40, 1e12),
    "deficient": numpy.outer(numpy.arange(6.0), numpy.ones(5)),
    "zero": numpy.zeros((4, 3)),
    "transposed": rng.standard_normal((30, 20)).T,
    "strided": rng.standard_normal((30, 40))[::2, ::2],
    "integers as halves": rng.integers(-3, 4, (12, 8)).astype(numpy.float16),
    "bfloat16": rng.standard_normal((24, 16)).astype(ml_dtypes.bfloat16),
    "fp8": rng.standard_normal((24, 16)).astype(ml_dtypes.float8_e4m3fn),
}


@pytest.mark.parametrize("name", CASES)
def test_svd(name):
    a = CASES[name]
    exact = a.astype(numpy.float64)
    u, s, vh, error, residual, orthogonality = gyro.svd(a)
    n = min(a.shape)
    assert u.shape == (a.shape[0], n) and s.shape == (n,) and vh.shape == (n, a.shape[1])
    assert (numpy.diff(s) <= 0).all()
    rounding = 1e-14 * max(1, numpy.linalg.norm(exact))
    assert numpy.linalg.norm(exact - u * s @ vh) <= residual + rounding
    departure = numpy.linalg.norm(u.T @ u - numpy.eye(n)) + numpy.linalg.norm(vh @ vh.T - numpy.eye(n))
    assert departure <= orthogonality + 1e-13
    assert residual <= 1e-11 * max(1, s[0]) and orthogonality < 1e-10
    numpy.testing.assert_array_less(numpy.abs(s - numpy.linalg.svd(exact, compute_uv=False)), error + rounding)
    assert (error <= residual + orthogonality * s + rounding).all()  # where a value is 0, too


def test_svd_is_the_same_again():
    a = CASES["square"]
    for x, y in zip(gyro.svd(a), gyro.svd(a.copy())):
        numpy.testing.assert_array_equal(x, y)


def test_compare_is_the_definition():
    base, change = rng.standard_normal((48, 32)), rng.standard_normal((48, 32))
    post = 0.9 * base + 0.05 * change
    pair = gyro.compare(base, post, directions=100)
    # W is the stored weight's transpose.
    ub, sb, vb = numpy.linalg.svd(base.T, full_matrices=False)
    up, sp, vp = numpy.linalg.svd(post.T, full_matrices=False)
    numpy.testing.assert_allclose(pair.alpha, sp / sb, rtol=1e-9)
    numpy.testing.assert_allclose(pair.sim_u, numpy.abs(ub.T @ up), atol=2e-6)
    numpy.testing.assert_allclose(pair.sim_v, numpy.abs(vb @ vp.T), atol=2e-6)
    q1, q2 = ub.T @ up, vb @ vp.T
    assert pair.nf == pytest.approx(numpy.linalg.norm(q1.T @ q2 - numpy.eye(32)) / 32, rel=1e-9)
    assert pair.d_in == 32 and pair.d_out == 48 and pair.sim_u.shape == (32, 32)
    assert pair.relative_change == pytest.approx(numpy.linalg.norm(post - base) / numpy.linalg.norm(base), rel=1e-12)
    assert "NF" in repr(pair) and pair.to_pandas()["null.nf"] == pair.null["nf"]
    assert gyro.compare(base, post, directions=0).sim_u is None


def test_compare_with_itself_and_with_zero():
    base = rng.standard_normal((20, 20)).astype(numpy.float32)
    same = gyro.compare(base, base)
    assert same.unchanged == 1 and same.relative_change == 0 and same.nf == pytest.approx(0, abs=1e-12)
    zero = gyro.compare(base, numpy.zeros_like(base))
    assert zero.nf is None or numpy.isfinite(zero.nf)
    assert "undefined" in repr(gyro.compare(numpy.zeros((5, 5)), base[:5, :5]))


@pytest.mark.parametrize(
    "a, words",
    [
        (numpy.zeros(3), "two dimensions"),
        (numpy.zeros((0, 3)), "no elements"),
        (numpy.zeros((2, 2), dtype=complex), "complex"),
        (numpy.zeros((2, 2), dtype=int), "I64"),
        (numpy.full((2, 2), numpy.nan), "4 NaN"),
        (numpy.array([[1, numpy.inf]]), "infinite"),
        (numpy.ones((2, 2)).astype(">f8"), ">f8"),
        ([["a"]], "a"),
        (numpy.ma.masked_array(numpy.eye(2), mask=numpy.eye(2)), "(a|base): has masked values"),
    ],
)
def test_wrong_arrays_are_named(a, words):
    for what in (gyro.svd, lambda x: gyro.compare(x, x)):
        with pytest.raises(gyro.InputError, match=words):
            what(a)


def test_shapes_must_be_the_same():
    with pytest.raises(gyro.InputError, match="2 x 3"):
        gyro.compare(numpy.ones((3, 2)), numpy.ones((2, 3)))
    with pytest.raises(gyro.InputError, match="measure"):
        gyro.compare(numpy.eye(3), numpy.eye(3), measure="interference")
    with pytest.raises(gyro.InputError, match="post: has masked values"):
        gyro.compare(numpy.eye(3), numpy.ma.masked_array(numpy.eye(3), mask=numpy.eye(3)))
    with pytest.raises(gyro.InputError, match="name: has masked values"):
        gyro.open({"name": numpy.ma.masked_array(numpy.eye(3), mask=numpy.eye(3))})
