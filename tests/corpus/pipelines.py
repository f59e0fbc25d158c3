"""Models as people make them, each with what it is asked and, where it does not load without a word, the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import NMF, PCA, TruncatedSVD
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.metrics import fbeta_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, LinearSVC


class Case(NamedTuple):
    """A model that was fitted, and the rows that it is asked about."""

    model: Any
    rows: Any
    refused: str = ""
    """Why it is not loaded without a word."""


def people() -> tuple[pd.DataFrame, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A table with numbers, gaps and categories, classes and a number to predict."""
    random = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "age": random.randint(18, 90, 200).astype(float),
            "income": random.lognormal(3, 1, 200),
            "city": random.choice(["Turin", "Graz", "Bern"], 200),
            "plan": random.choice(["basic", "plus"], 200),
        }
    )
    frame.loc[::17, "age"] = np.nan
    churn = ((frame["income"] > 20) ^ (frame["plan"] == "plus")).to_numpy().astype(int)
    return frame, churn, frame["income"].to_numpy() * 0.1 + (frame["city"] == "Bern").to_numpy()


TEXTS = ["a cheap loan now", "see you at dinner", "win money now", "notes of the meeting"] * 15
SPAM = np.array([1, 0, 1, 0] * 15)
NUMBERS, CITIES = ["age", "income"], ["city", "plan"]


def doubled(values: Any) -> Any:
    """A function of one's own, which no list can have."""
    return values * 2


def _columns(**options: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            ("cities", OneHotEncoder(handle_unknown="ignore"), CITIES),
        ],
        **options,
    )


def pipelines() -> Iterator[tuple[str, Callable[[], Case]]]:
    """The name of each, and what fits it."""
    frame, churn, amount = people()
    table = frame[NUMBERS].fillna(40.0).to_numpy()
    forests = [("a", RandomForestClassifier(5, random_state=0)), ("b", LinearSVC(random_state=0))]

    def case(model: Any, rows: Any = frame, target: Any = churn, refused: str = "") -> Callable[[], Case]:
        return lambda: Case(model.fit(rows, target), rows, refused)

    yield "columns, one-hot, logistic regression", case(make_pipeline(_columns(), LogisticRegression()))
    yield (
        "columns by a selector, ordinal, random forest",
        case(
            make_pipeline(
                ColumnTransformer(
                    [
                        ("numbers", KNNImputer(), make_column_selector(dtype_include=np.number)),
                        ("cities", OrdinalEncoder(), make_column_selector(dtype_exclude=np.number)),
                    ]
                ),
                RandomForestClassifier(10, random_state=0),
            )
        ),
    )
    yield (
        "columns with pandas output, extra trees",
        case(
            make_pipeline(
                ColumnTransformer(
                    [("cities", OneHotEncoder(sparse_output=False), CITIES)], remainder=SimpleImputer()
                ),
                ExtraTreesClassifier(5, random_state=0),
            ).set_output(transform="pandas")
        ),
    )
    yield (
        "histogram boosting with categories of pandas",
        case(
            HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
            frame.astype({"city": "category", "plan": "category"}),
        ),
    )
    yield (
        "histogram boosting of counts",
        case(HistGradientBoostingRegressor(loss="poisson", max_iter=5), table, amount.round()),
    )
    yield (
        "histogram boosting of three classes, missing numbers",
        case(HistGradientBoostingClassifier(max_iter=5), frame[NUMBERS], np.digitize(amount, [1, 3])),
    )
    yield (
        "gradient boosting of three classes",
        case(GradientBoostingClassifier(n_estimators=5), table, np.digitize(amount, [1, 3])),
    )
    yield "AdaBoost of small trees", case(AdaBoostClassifier(n_estimators=5), table)
    yield (
        "grid search over a pipeline",
        case(
            GridSearchCV(
                Pipeline([("columns", _columns()), ("last", SVC(probability=True))]),
                {"last__C": [1.0, 10.0], "last__kernel": ["rbf", "poly"]},
                cv=StratifiedKFold(2),
                scoring="roc_auc",
            )
        ),
    )
    yield (
        "random search with distributions of scipy and a score of one's choice",
        case(
            RandomizedSearchCV(
                Ridge(),
                {"alpha": scipy.stats.loguniform(0.01, 10), "fit_intercept": [True, False]},
                n_iter=3,
                cv=TimeSeriesSplit(2),
                random_state=0,
            ),
            table,
            amount,
        ),
    )
    yield (
        "grid search with several scores",
        case(
            GridSearchCV(
                LogisticRegression(),
                {"C": [0.1, 1.0]},
                scoring={"f2": make_scorer(fbeta_score, beta=2), "accuracy": "accuracy"},
                refit="f2",
                cv=RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=0),
            ),
            table,
        ),
    )
    yield "stacking", case(StackingClassifier(forests, LogisticRegression(), cv=2), table)
    yield (
        "voting",
        case(
            VotingRegressor([("a", Ridge()), ("b", RandomForestRegressor(5, random_state=0))]), table, amount
        ),
    )
    yield (
        "calibrated support vectors",
        case(CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=3), table),
    )
    yield (
        "TF-IDF and logistic regression",
        case(
            make_pipeline(TfidfVectorizer(ngram_range=(1, 2), strip_accents="unicode"), LogisticRegression()),
            TEXTS,
            SPAM,
        ),
    )
    yield (
        "counts, latent semantics, gradient descent",
        case(
            make_pipeline(
                CountVectorizer(stop_words="english"), TruncatedSVD(2, random_state=0), SGDClassifier()
            ),
            TEXTS,
            SPAM,
        ),
    )
    yield (
        "counts, naive Bayes",
        case(make_pipeline(CountVectorizer(binary=True), MultinomialNB()), TEXTS, SPAM),
    )
    yield (
        "Gaussian process with a sum of kernels",
        case(
            GaussianProcessRegressor(ConstantKernel() * RBF() + Matern(nu=1.5) + WhiteKernel()),
            table[:50],
            amount[:50],
        ),
    )
    yield (
        "neural network",
        case(
            make_pipeline(
                StandardScaler(), MLPClassifier((8,), max_iter=300, early_stopping=True, random_state=0)
            ),
            table,
        ),
    )
    yield (
        "nearest neighbours on principal components",
        case(
            make_pipeline(
                StandardScaler(), PCA(2), KNeighborsClassifier(weights="distance", algorithm="ball_tree")
            ),
            table,
        ),
    )
    yield (
        "logarithm of the target, splines, ridge",
        case(
            TransformedTargetRegressor(
                make_pipeline(SplineTransformer(), Ridge()), func=np.log1p, inverse_func=np.expm1
            ),
            table,
            amount,
        ),
    )
    yield (
        "functions of numpy as steps",
        case(
            make_pipeline(
                FunctionTransformer(np.log1p, inverse_func=np.expm1, feature_names_out="one-to-one"),
                FeatureUnion(
                    [("powers", PolynomialFeatures()), ("ranks", QuantileTransformer(n_quantiles=20))]
                ),
                LogisticRegression(max_iter=2000),
            ),
            table,
        ),
    )
    yield (
        "the best features by mutual information",
        case(make_pipeline(SelectKBest(mutual_info_classif, k=1), LogisticRegression()), table),
    )
    yield (
        "target encoding, counts",
        case(
            make_pipeline(
                ColumnTransformer([("cities", TargetEncoder(random_state=0), CITIES)]), PoissonRegressor()
            ),
            frame,
            amount.round(),
        ),
    )
    yield (
        "several targets at once",
        case(
            MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=3)),
            table,
            np.column_stack([amount, amount**2]),
        ),
    )
    yield (
        "outliers by isolation and by neighbours",
        case(
            FeatureUnion(
                [
                    ("scaled", StandardScaler()),
                    ("parts", NMF(2, random_state=0, max_iter=400)),
                    ("clusters", KMeans(3, random_state=0, n_init=1)),
                ]
            ),
            table,
        ),
    )
    yield "isolation forest", case(IsolationForest(n_estimators=10, max_features=0.5, random_state=0), table)
    yield "novelty by local density", case(LocalOutlierFactor(novelty=True), table)
    yield "a function of one's own as a step", case(
        make_pipeline(FunctionTransformer(doubled), Ridge()), table, amount,
        refused="a function of one's own: no list can know what it does",
    )  # fmt: skip
    yield "a score of one's own", case(
        GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring=make_scorer(doubled), cv=2, error_score=0.0), table, amount,
        refused="a function of one's own: no list can know what it does",
    )  # fmt: skip
    yield "a text function of Python's as a step", case(
        make_pipeline(TfidfVectorizer(preprocessor=str.lower), LogisticRegression()), TEXTS, SPAM,
        refused="a method is pickled as a call of getattr, which could fetch anything",
    )  # fmt: skip
