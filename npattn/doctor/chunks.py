"""Tokens in chunks, with a cache: how the code is called, and what comes back."""

import numpy as np

from npattn.doctor import cases


def resetting(exam):
    """The method that clears what an object keeps; ""."""
    methods = getattr(exam.patient.facts, "methods", {})
    return next((m for m in ("reset", "reset_cache", "clear", "clear_cache", "start",
                             "reset_state", "init_cache", "empty_cache") if m in methods), "")


def stepper(exam):
    """("argument", name), ("method", name) or ("switch", name): how a cache is used; None."""
    name = exam.target.parameter("cache")
    if name:
        return "argument", name
    methods = getattr(exam.patient.facts, "methods", {})
    step = next((m for m in ("step", "decode_step", "decode", "forward_step", "next", "append",
                             "update") if m in methods and m != exam.target.name), None)
    if step:
        exam.alone = True
        return "method", step
    if exam.way.fresh and resetting(exam):
        return "method", exam.target.name
    use = exam.target.parameter("use_cache")
    return ("switch", use) if use and exam.way.object else None


def in_chunks(exam, case, chunks, how, times=1):
    """(the outputs of chunks side by side, "") or (None, why not).

    times  how often the last call is made, with one and the same cache
    """
    specs = chunk_calls(exam, case, chunks, how, times)
    if how[0] == "switch":
        exam.patient.ask(("pristine", exam.way.object))
    replies = exam.patient.call(specs)
    axes = exam.way.layout
    if how[0] == "method" and "t" in axes and replies[-1].error:  # one token, without its axis
        for spec in specs[-len(chunks):]:
            for parameter, (what, X) in spec["kwargs"].items():
                spec["kwargs"][parameter] = what, X.take(0, axes.index("t"))
        replies = exam.patient.call(specs)
    if times > 1:  # of the calls with one cache the last one counts
        replies = replies[: len(replies) - times] + replies[-1:]
    return side_by_side(exam, case, chunks, how, replies)


def chunk_calls(exam, case, chunks, how, times=1):
    """The calls of one chunk after the other; before them, for an object, that of its reset."""
    specs, start, way = [], 0, exam.way._replace(mask=(), causal="", fresh=False)
    for i, n in enumerate(chunks):
        part = case.q[:, start : start + n]
        spec = exam.patient.spec(way, case._replace(q=part, k=part, v=part), keep=f"c{i}")
        if how[0] == "argument":
            _hand_over(exam, spec, how[1], i)
        elif how[0] == "switch":  # the object itself keeps the cache
            spec["kwargs"][how[1]] = ("value", True)
        else:
            spec = _one_token(exam, spec, how[1], part)
        if offset := exam.target.parameter("offset"):
            spec["kwargs"][offset] = ("value", start)
        specs += [spec] * (times if i == len(chunks) - 1 else 1)
        start += n
    if how[0] != "argument" and (reset := resetting(exam)):
        specs.insert(0, {"object": way.object, "name": reset})
    return specs


def _hand_over(exam, spec, name, i):
    """The cache of the last call becomes an argument of this one."""
    if i:
        spec["kwargs"][name] = ("kept", f"c{i - 1}", -1)
    elif name in spec["kwargs"]:
        del spec["kwargs"][name]
    if i == 0 and any(n == name and need for n, _, need, _ in exam.target.parameters):
        spec["kwargs"][name] = ("none",)
    if use := exam.target.parameter("use_cache"):
        spec["kwargs"][use] = ("value", True)


def side_by_side(exam, case, chunks, how, replies):
    """(the outputs of chunks side by side, "") or (None, why not), of the replies to all calls."""
    replies = replies[len(replies) - len(chunks):]
    if how[0] == "argument" and [path for path, _ in replies[0].out] == [()]:
        return None, "no cache comes back"
    outs = []
    for reply, n in zip(replies, chunks, strict=True):
        if reply.error:
            return None, f"it fails: {reply.error}{exam.patient.place({'line': reply.line})}"
        found = [Y for _, X in reply.out if (Y := _chunk(exam, X, n, case)) is not None]
        if not found:
            return None, "the output of a chunk has another shape"
        outs.append(found[0])
    return np.concatenate(outs, 1), ""


def _chunk(exam, X, n, case):
    want = (case.q.shape[0], n)
    Y = cases.inward(X, exam.way.layout, 3)
    if Y is None and n == 1 and X.ndim == len(exam.way.layout) - 1:
        Y = cases.inward(np.expand_dims(X, exam.way.layout.index("t")), exam.way.layout, 3)
    return Y if Y is not None and Y.shape[:2] == want else None


def _one_token(exam, spec, name, part):
    """A call of a method that takes one token."""
    first = exam.patient.facts.methods[name][0][0]
    return {**spec, "name": name, "kwargs": {first: (
        "array", cases.outward(part, exam.way.layout))}}
