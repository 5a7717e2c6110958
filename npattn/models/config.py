"""What the configs of the models ask of their fields, each in the same words."""

from npattn.kernels.heads import require_heads
from npattn.kernels.options import require_choice, require_counts, require_rate
from npattn.models.feed_forward import ACTIVATIONS
from npattn.models.kernel_choice import require_kernel


def require_sizes(config, *fields, least=1):
    """Integers that are `least` or more. Raises TypeError or ValueError that names the field."""
    require_counts(least, **{field: getattr(config, field) for field in fields})


def require_blocks(config, width):
    """What every block is told: heads, hidden, activation, dropout, kernel. Raises ValueError."""
    require_sizes(config, "num_heads", "hidden")
    require_heads(config.num_heads, width)
    require_choice("activation", config.activation, ACTIVATIONS)
    require_rate(config.dropout)
    require_kernel(config.kernel)


def fix_shape(config, field, axes=None):
    """Makes a shape, which may come as a list, a tuple: of positive integers, as many as `axes`."""
    shape = tuple(getattr(config, field))
    if axes is not None and len(shape) != len(axes):
        raise ValueError(f"{field} must be ({', '.join(axes)}), got {shape}")
    require_counts(1, **{f"{field}[{i}]": n for i, n in enumerate(shape)})
    object.__setattr__(config, field, shape)
