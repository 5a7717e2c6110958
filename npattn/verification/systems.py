"""The attention systems that readers arrive with, each beside an independent torch formulation."""

from npattn.verification import (
    book_systems, cross_attention_systems, patch_systems, self_attention_systems,
    time_series_systems,
)

SYSTEMS = (
    *self_attention_systems.SYSTEMS, *book_systems.SYSTEMS, *time_series_systems.SYSTEMS,
    *cross_attention_systems.SYSTEMS, *patch_systems.SYSTEMS,
)
