"""Gradient checks that name the worst entry and say what they would have caught."""

from npattn.checking.gradcheck import assert_gradients, gradcheck
from npattn.checking.jax_functions import gradcheck_jax
from npattn.checking.layers import gradcheck_layer
from npattn.checking.report import Entry, Report, Row, format_table
from npattn.checking.second_order import gradcheck_second_order, hessian_vector_product
from npattn.checking.torch_functions import gradcheck_torch

__all__ = [
    "Entry",
    "Report",
    "Row",
    "assert_gradients",
    "format_table",
    "gradcheck",
    "gradcheck_jax",
    "gradcheck_layer",
    "gradcheck_second_order",
    "gradcheck_torch",
    "hessian_vector_product",
]
