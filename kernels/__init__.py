"""The local relation layer (Local Relation Networks, ICCV 2019) in several implementations behind one interface."""

from .functional import local_relation, problem_of
from .layer import LocalRelation2d
from .prior import GeometricPrior, TablePrior
from .problem import Problem, resolve_padding
from .registry import IMPLEMENTATIONS, Implementation, resolve, unsupported

__all__ = [
    "IMPLEMENTATIONS",
    "GeometricPrior",
    "Implementation",
    "LocalRelation2d",
    "Problem",
    "TablePrior",
    "local_relation",
    "problem_of",
    "resolve",
    "resolve_padding",
    "unsupported",
]
