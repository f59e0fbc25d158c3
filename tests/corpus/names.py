"""The lists of names that load without the caller's word: made here, read by reviewers, shipped as data.

``python -m tests.corpus.names`` writes the list for the installed scikit-learn, and the one for Python, numpy and
scipy, into the package; a test makes them again and compares.

What each list lets a file do, and so what was asked of each name in it:

* *made*: an empty instance, as ``cls.__new__(cls)`` makes it, and a state. So of a class only ``__new__``,
  ``__setstate__`` and what a destructor does were read; ``REVIEWED`` says of each that is not Python's own what it
  does, and a class with another one stops this module. A state is plain data, names no special attribute and replaces
  no method. What native code then makes of it is held to ``modelregistry/loaders/soundness.py``.
* *called*: with whatever arguments the file has. These are few, and most have a stand-in in the package which
  accepts only what pickle writes.
* *kept*: functions that a model keeps, as a score, a metric or a step's function, and that its methods may call later
  with whatever the file has kept beside them. So each is safe with any argument: none opens, reads or writes a file,
  imports, evaluates text, starts a process, or takes memory out of proportion to its arguments. Those that call a
  function that they are given can call no other than these.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

LISTS = Path(__file__).parents[2] / "modelregistry" / "loaders" / "names"

SKIPPED = (
    "sklearn.__check_build",
    "sklearn._build_utils",
    "sklearn.callback",  # its objects open sockets when they get their state
    "sklearn.conftest",
    "sklearn.datasets",  # it downloads
    "sklearn.externals",
    "sklearn.inspection",  # displays
    "sklearn.utils._mocking",
    "sklearn.utils._test_common",
    "sklearn.utils._testing",
    "sklearn.utils.estimator_checks",
    "sklearn.utils.fixes",
)
"""Packages of scikit-learn where nothing is of which a model is made."""

FAMILIES = (
    "sklearn.base.BaseEstimator",
    "sklearn._loss.link.BaseLink",
    "sklearn._loss.loss.BaseLoss",
    "sklearn.gaussian_process.kernels.Kernel",
    "sklearn.metrics._dist_metrics.DistanceMetric",
    "sklearn.metrics._scorer._BaseScorer",
    "sklearn.model_selection._split.BaseCrossValidator",
    "sklearn.model_selection._split.BaseShuffleSplit",
    "sklearn.model_selection._split._RepeatedSplits",
    "sklearn.neighbors._ball_tree.BinaryTree64",
    "sklearn.neighbors._ball_tree.BinaryTree32",
    "sklearn.neighbors._kd_tree.BinaryTree64",
    "sklearn.neighbors._kd_tree.BinaryTree32",
    "sklearn.neural_network._stochastic_optimizers.BaseOptimizer",
)
"""Classes whose subclasses models are made of. A name that a version does not have is passed over."""

SINGLE = (
    "sklearn._loss.link.Interval",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.cluster._birch._CFNode",
    "sklearn.cluster._birch._CFSubcluster",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    "sklearn.compose._column_transformer.make_column_selector",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.model_selection._split._CVIterableWrapper",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils._metadata_requests.MetadataRequest",
    "sklearn.utils._metadata_requests.MethodMetadataRequest",
)
"""Classes without a family of which models are made."""

NATIVE = (
    "sklearn._loss._loss",
    "sklearn.metrics._dist_metrics",
    "sklearn.neighbors._ball_tree",
    "sklearn.neighbors._kd_tree",
)
"""Modules in Cython whose ``__cinit__`` was read: each fills its attributes with small empty arrays and zeros."""

REVIEWED = {
    "builtins.dict.__getattribute__": "Python's own",
    "builtins.dict.__new__": "Python's own",
    "sklearn.base.BaseEstimator.__setstate__": "takes the version out of the state, warns of another, updates __dict__",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor.__setstate__": (
        "updates __dict__, and casts the nodes to the dtype of this machine"
    ),
    "sklearn.frozen._frozen.FrozenEstimator.__getattr__": "asks the estimator within, which is listed itself",
    "sklearn.isotonic.IsotonicRegression.__setstate__": "updates __dict__, makes a scipy interp1d of two arrays",
    "sklearn.linear_model._passive_aggressive.PassiveAggressiveClassifier.__new__": "warns that it is deprecated",
    "sklearn.linear_model._passive_aggressive.PassiveAggressiveRegressor.__new__": "warns that it is deprecated",
    "sklearn.metrics._dist_metrics.DistanceMetric.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.metrics._dist_metrics.DistanceMetric32.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.metrics._dist_metrics.DistanceMetric64.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.metrics._dist_metrics.MahalanobisDistance32.__setstate__": "the same, and an empty buffer",
    "sklearn.metrics._dist_metrics.MahalanobisDistance64.__setstate__": "the same, and an empty buffer",
    "sklearn.neighbors._ball_tree.BinaryTree32.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.neighbors._ball_tree.BinaryTree64.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.neighbors._kd_tree.BinaryTree32.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.neighbors._kd_tree.BinaryTree64.__setstate__": "numbers and arrays into typed attributes",
    "sklearn.utils._bunch.Bunch.__getattr__": "its own keys, none of which is a special name",
    "sklearn.utils._bunch.Bunch.__setattr__": "its own keys",
    "sklearn.utils._bunch.Bunch.__setstate__": "nothing",
    "sklearn.utils._metadata_requests.MetadataRequest.__getattr__": "joins its own dictionaries",
}
"""What runs when an instance of a listed class is made and given its state, and is not ``object``'s."""

SPECIAL = (
    "__new__", "__setstate__", "__del__", "__getattr__", "__getattribute__", "__setattr__", "__delattr__",
)  # fmt: skip
"""The methods that reading a pickle may run of an instance. Nothing is hashed by what its class says."""

CALLED = (
    "builtins.bytearray",  # has a stand-in
    "builtins.bytes",  # has a stand-in
    "builtins.complex",
    "builtins.frozenset",  # has a stand-in
    "builtins.set",  # has a stand-in
    "builtins.slice",
    "_codecs.encode",  # has a stand-in
    "collections.OrderedDict",  # has a stand-in
    "copyreg._reconstructor",  # has a stand-in
    "functools.partial",  # has a stand-in: of a function that is on a list
    "joblib.numpy_pickle.NumpyArrayWrapper",  # has a stand-in
    "numpy.dtype",  # has a stand-in
    "numpy._core.multiarray._reconstruct",  # has a stand-in, as have all of numpy's
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.ma.core._mareconstruct",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence",
)
"""Of Python and numpy, what is called with arguments."""

CALLED_OF_SKLEARN = (
    "sklearn._loss._loss.__pyx_unpickle_CyHalfMultinomialLoss",  # an instance without attributes, of that class only
    "sklearn.impute._iterative._ImputerTriplet",  # a named tuple
    "sklearn.metrics._dist_metrics.newObj",  # has a stand-in: makes an empty instance of a listed class
    "sklearn.neighbors._ball_tree.newObj",  # the same
    "sklearn.neighbors._kd_tree.newObj",  # the same
    "sklearn.tree._tree.Tree",  # has a stand-in, which compares its sizes
)
"""Of scikit-learn. To them come its losses in Cython, which take at most one number."""

LOSSES = (
    "sklearn._loss._loss.CyLossFunction",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn.linear_model._sgd_fast.LossFunction",  # before 1.6 the losses of stochastic gradients had a root of their own
)

MADE = (
    *(f"scipy.sparse._{form}.{form}_{kind}"
      for form in ("bsr", "coo", "csc", "csr", "dia") for kind in ("array", "matrix")),
    "scipy.interpolate._bsplines.BSpline",
    "scipy.stats._distn_infrastructure.rv_continuous_frozen",
    "scipy.stats._distn_infrastructure.rv_discrete_frozen",
)  # fmt: skip
"""Of scipy, what is made empty. Of its distributions (``_distributions``) only the class is believed: their own
``__setstate__`` compiles text that it finds in the state, so they get the state of scipy's own instance instead."""

KEPT = (
    *(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "object", "str", "tuple")),
    "numpy.ndarray",
    "numpy.ma.MaskedArray",
    "numpy.ma.core.MaskedArray",
    *(f"numpy.random.{name}" for name in (
        "_mt19937.MT19937", "_pcg64.PCG64", "_pcg64.PCG64DXSM", "_philox.Philox", "_sfc64.SFC64",
        "bit_generator.SeedSequence",
    )),
    *(f"numpy.{name}" for name in (
        "bool", "bool_", "bytes_", "complex64", "complex128", "datetime64", "float16", "float32", "float64", "floating",
        "generic", "inexact", "int8", "integer", "number",
        "int16", "int32", "int64", "intp", "longdouble", "object_", "str_", "timedelta64", "uint8", "uint16", "uint32",
        "uint64",
    )),
    *(f"numpy.{name}" for name in (
        "amax", "amin", "around", "array", "asarray", "average", "clip", "cumsum", "diff", "max", "mean", "median",
        "min", "nan_to_num", "nanmax", "nanmean", "nanmedian", "nanmin", "nanstd", "nansum", "nanvar", "percentile",
        "prod", "ptp", "quantile", "ravel", "real", "round", "sort", "squeeze", "std", "sum", "transpose", "var",
    )),
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # numpy's, as scipy's BSpline keeps it
    *(f"scipy.special.{name}" for name in (
        "boxcox", "boxcox1p", "cbrt", "digamma", "erf", "erfc", "erfinv", "exp10", "exp2", "expit", "expm1", "gamma",
        "gammaln", "inv_boxcox", "inv_boxcox1p", "log1p", "log_expit", "logit", "ndtr", "ndtri", "psi", "round", "xlog1py",
        "xlogy",
    )),
)  # fmt: skip
"""Of Python, numpy and scipy, what is kept. To them come numpy's universal functions, all elementwise."""

KEPT_OF_SKLEARN = (
    *(f"sklearn.feature_extraction.text.strip_{name}" for name in ("accents_ascii", "accents_unicode", "tags")),
    *(f"sklearn.feature_selection._univariate_selection.{name}" for name in (
        "chi2", "f_classif", "f_oneway", "f_regression", "r_regression",
    )),
    # These two can use more than one process, as every model with an ``n_jobs`` can.
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._mutual_info.mutual_info_regression",
    *(f"sklearn.metrics._classification.{name}" for name in (
        "accuracy_score", "balanced_accuracy_score", "brier_score_loss", "cohen_kappa_score", "d2_brier_score",
        "d2_log_loss_score", "f1_score", "fbeta_score", "hamming_loss", "hinge_loss", "jaccard_score", "log_loss",
        "matthews_corrcoef", "precision_score", "recall_score", "zero_one_loss",
    )),
    *(f"sklearn.metrics._ranking.{name}" for name in (
        "average_precision_score", "coverage_error", "dcg_score", "label_ranking_average_precision_score",
        "label_ranking_loss", "ndcg_score", "roc_auc_score", "top_k_accuracy_score",
    )),
    *(f"sklearn.metrics._regression.{name}" for name in (
        "d2_absolute_error_score", "d2_pinball_score", "d2_tweedie_score", "explained_variance_score", "max_error",
        "mean_absolute_error", "mean_absolute_percentage_error", "mean_gamma_deviance", "mean_pinball_loss",
        "mean_poisson_deviance", "mean_squared_error", "mean_squared_log_error", "mean_tweedie_deviance",
        "median_absolute_error", "r2_score", "root_mean_squared_error", "root_mean_squared_log_error",
    )),
    "sklearn.metrics._scorer.negative_likelihood_ratio",
    "sklearn.metrics._scorer.positive_likelihood_ratio",
    *(f"sklearn.metrics.cluster._supervised.{name}" for name in (
        "adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score",
        "homogeneity_score", "mutual_info_score", "normalized_mutual_info_score", "rand_score", "v_measure_score",
    )),
    *(f"sklearn.metrics.pairwise.{name}" for name in (
        "additive_chi2_kernel", "chi2_kernel", "cosine_distances", "cosine_similarity", "euclidean_distances",
        "haversine_distances", "laplacian_kernel", "linear_kernel", "manhattan_distances", "nan_euclidean_distances",
        "polynomial_kernel", "rbf_kernel", "sigmoid_kernel",
    )),
    *(f"sklearn.preprocessing._data.{name}" for name in (
        "binarize", "maxabs_scale", "minmax_scale", "normalize", "power_transform", "quantile_transform", "robust_scale",
        "scale",
    )),
    "sklearn.utils.validation.check_array",
    # These two take whatever they get into native code. They have a stand-in that can't be called, and are found again
    # only by the estimator that keeps them.
    "sklearn.cluster._kmeans._kmeans_single_elkan",
    "sklearn.cluster._kmeans._kmeans_single_lloyd",
)  # fmt: skip
"""Of scikit-learn."""


def find(name: str) -> Any:
    """What a name stands for here; None where this version has no such name."""
    module, _, attribute = name.rpartition(".")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None


def _modules() -> Iterator[ModuleType]:
    import sklearn

    for found in pkgutil.walk_packages(sklearn.__path__, "sklearn.", onerror=lambda _: None):
        if not found.name.startswith(SKIPPED) and ".tests" not in found.name:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield importlib.import_module(found.name)


def _classes(families: tuple[str, ...], single: tuple[str, ...] = ()) -> list[str]:
    bases = tuple(filter(None, map(find, families)))
    found = {
        f"{module.__name__}.{each.__qualname__}": each
        for module in _modules()
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__
    }
    return sorted(name for name, each in found.items() if issubclass(each, bases) or name in single)


def unreviewed(names: list[str]) -> list[str]:
    """The special methods of listed classes that ``REVIEWED`` does not have."""
    found = {
        f"{each.__module__}.{each.__qualname__}.{special}"
        for name in names
        for each in find(name).__mro__
        if each is not object
        for special in SPECIAL
        if special in vars(each)
        and not (each.__module__ in NATIVE and isinstance(vars(each)[special], type(object.__new__)))
    }
    return sorted(found - REVIEWED.keys())


def _distributions() -> list[str]:
    from scipy import stats

    return sorted(
        f"{type(each).__module__}.{type(each).__qualname__}"
        for module in (stats._continuous_distns, stats._discrete_distns)
        for each in vars(module).values()
        if isinstance(each, (stats.rv_continuous, stats.rv_discrete))
    )


def plain() -> dict[str, Any]:
    """The list for Python, numpy and scipy: what this version of theirs has, and what an earlier one had."""
    import numpy as np

    functions = {f"numpy.{name}" for name, each in vars(np).items() if isinstance(each, np.ufunc)}
    here = {"kept": {*KEPT, *functions}, "made": {*MADE, *_distributions()}, "called": {*CALLED}}
    shipped = json.loads((LISTS / "plain.json").read_text(encoding="utf-8"))
    return {
        "library": "Python, numpy and scipy",
        **{use: sorted({*names, *shipped[use]}) for use, names in here.items()},
    }


def of_sklearn() -> dict[str, Any]:
    """The list for the installed scikit-learn."""
    import sklearn

    made, losses = _classes(FAMILIES, SINGLE), _classes(LOSSES)
    if odd := unreviewed(made):
        raise SystemExit(f"read what these do, and say so in REVIEWED: {odd}")
    return {
        "library": f"scikit-learn {sklearn.__version__}",
        "kept": sorted(name for name in KEPT_OF_SKLEARN if find(name)),
        "made": made,
        "called": sorted({*losses, *(name for name in CALLED_OF_SKLEARN if find(name))}),
    }


def path_of(names: dict[str, Any]) -> Path:
    """Where a list is shipped."""
    library, _, version = names["library"].rpartition(" ")
    return LISTS / (
        f"sklearn-{version.rpartition('.')[0]}.json" if library == "scikit-learn" else "plain.json"
    )


if __name__ == "__main__":
    for names in (plain(), of_sklearn()):
        path = path_of(names)
        path.write_text(json.dumps(names, indent=1) + "\n", encoding="utf-8")
        print(f"{path}: {sum(map(len, names.values())) - len(names['library'])} names", file=sys.stderr)
