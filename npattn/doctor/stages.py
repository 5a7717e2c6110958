"""The stages of an examination that has found out how to call, in their order."""

from npattn.doctor import gradients
from npattn.doctor.cache_stages import cache_stage
from npattn.doctor.causal_stages import causal_stage
from npattn.doctor.device_stage import device_stage
from npattn.doctor.effects import effect_stage
from npattn.doctor.half_stage import half_stage
from npattn.doctor.mask_calls import leftover_stage, together_stage
from npattn.doctor.mask_stages import mask_stage
from npattn.doctor.plain_stages import (
    alone_stage, dtype_stage, groups_stage, options_stage, repeat_stage, scores_stage, sizes_stage,
    writing_stage,
)
from npattn.doctor.properties import property_stage
from npattn.doctor.repair import repair_stage
from npattn.doctor.training_stages import train_stage

STAGES = (effect_stage, sizes_stage, groups_stage, options_stage, repeat_stage, scores_stage,
          mask_stage, together_stage, leftover_stage, causal_stage, alone_stage, cache_stage,
          property_stage, dtype_stage, half_stage, train_stage, writing_stage, gradients.stage,
          device_stage, repair_stage)
