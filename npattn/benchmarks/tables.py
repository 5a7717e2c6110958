"""How a measurement is written in the terminal: labels to the left, numbers to the right."""

from npattn.benchmarks.timing import ratio

LABEL, CELL = 50, 12  # characters


def milliseconds(timing):
    """The median of both halves together, or a dash for a contender that is not there."""
    if timing is None:
        return "—"
    value = timing.median() * 1e3
    return f"{value:.{max(0, 2 - (value >= 10) - (value >= 100))}f} ms"


def times(numbers):
    """Sizes as people write them, 2 × 8 × 512 × 64."""
    return " × ".join(map(str, numbers))


def heading(label, *names):
    """The line above lines of `beside`."""
    return f"{label:{LABEL}}" + "".join(f"{name:>{CELL}}" for name in (*names, "ratio"))


def beside(label, timings):
    """One or two contenders, and the ratio of the first's time to the second's."""
    first, *second = timings.values()
    cells = [milliseconds(timing) for timing in timings.values()]
    if second:
        cells.append(f"{ratio(first, *second):.2f}")
    return f"{label:{LABEL}}" + "".join(f"{cell:>{CELL}}" for cell in cells)
