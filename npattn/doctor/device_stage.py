"""Whether the output is where the arguments are, asked without another device (remote_torch.py)."""

from npattn.doctor.examine import Property

PROBE = "the device is kept"


def device_stage(exam):
    """The call on another device: plain, with a mask, causal.

    Code that makes a tensor on the CPU is right there, and fails on another device: that is said as
    a convention. An output that comes back on the CPU is a mistake.
    """
    whole = exam.patient.facts.kind == "function" or (
        getattr(exam.patient.facts, "module", False) and exam.target.name == "forward")
    if not exam.way.torch or exam.model is None or exam.mistakes or not whole:
        return
    case = exam.case("device", "arguments are on another device", seed=97, Tq=6, Tk=6)
    asked = [case]
    if exam.way.mask:
        asked.append(exam.masked(case, exam.way.mask[1], 41))
    if exam.way.causal:
        asked.append(case._replace(causal=True))
    replies = exam.patient.call([exam.patient.spec(exam.way, c, elsewhere=True) for c in asked])
    for reply in replies:
        if "DeviceMismatch" in reply.error or "different devices" in reply.error:
            exam.conventions.append(
                "works on the CPU alone: a tensor is made there, whatever the device of the "
                f"arguments (device=… is missing){exam.patient.place({'line': reply.line})}")
            return
        if reply.kept is False:
            exam.properties.append(Property(PROBE, False, {
                "case": case.words, "inputs": {}, "got": "cpu", "expected": "the other device"}))
            exam.said("The output is not on the device of the arguments: it comes back on the CPU.",
                      *exam.patient.line(r"\.cpu\(|device|\.to\("))
            return
    known = all(reply.kept for reply in replies)
    exam.properties.append(Property(PROBE, True if known else None))
    if not known:
        why = next((r.error for r in replies if r.error), "no tensor comes back")
        exam.conventions.append(f"it could not be seen whether the device is kept: {why}")
