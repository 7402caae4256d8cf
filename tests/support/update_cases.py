"""Arguments of update rules, and how far their results may be apart."""

import numpy as np
from twin_cases import Case

POSITIVE = "h", "v2", "u", "v_max"


def adam_like(args):
    """Return the sizes of a gradient, and of a rule's moving averages of it and of its square."""
    g = np.abs(args["g"]) + args["weight_decay"] * np.abs(args["p"])
    return g, np.abs(args["m"]) + g, args.get("v", 0) + g * g


def nadam_size(args, exact):
    g, m, v = adam_like(args)
    beta1, decay, step = args["beta1"], args["momentum_decay"], args["step"]
    now, ahead = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
    product = args["mu_product"] * now
    root = np.sqrt(exact["v"] / (1 - args["beta2"] ** step)) + args["eps"]
    way = (1 - now) / (1 - product) * g + ahead / (1 - product * ahead) * m
    # A product near 1 leaves little of what is rounded; the root halves the relative error of v.
    worse = 1 + 1 / (1 - product) + v / (2 * np.maximum(exact["v"], 1e-300))
    return {"m": m, "v": v, "p": np.abs(args["p"]) + worse * args["lr"] * way / root}


def adamax_size(args, exact):
    g, m, _ = adam_like(args)
    u = args["u"] + g + args["eps"]
    rate = args["lr"] / (1 - args["beta1"] ** args["step"])
    # Large where a gradient cancels its penalty; the correction itself is a difference.
    worse = 1 + u / exact["u"] + 1 / (1 - args["beta1"] ** args["step"])
    return {"m": m, "u": u, "p": np.abs(args["p"]) + worse * rate * m / exact["u"]}


def amsgrad_size(args, exact):
    _, m, v = adam_like(args)
    v_max = args["v_max"] + v
    c1, c2 = 1 - args["beta1"] ** args["step"], 1 - args["beta2"] ** args["step"]
    step = args["lr"] / c1 * m / (np.sqrt(exact["v_max"] / c2) + args["eps"])
    worse = 1 + v_max / (2 * np.maximum(exact["v_max"], 1e-300)) + 1 / c1 + 1 / c2
    return {"m": m, "v": v, "v_max": v_max, "p": np.abs(args["p"]) + worse * step}


def lion_size(args, exact):
    g, m = np.abs(args["g"]), np.abs(args["m"])
    c = args["beta1"] * args["m"] + (1 - args["beta1"]) * args["g"]
    eps = np.finfo(np.float32 if c.dtype == np.float64 else np.float64).eps
    # Where it cancels, rounding decides on the sign.
    either = np.abs(c) <= 4 * eps * (args["beta1"] * m + (1 - args["beta1"]) * g)
    return {"m": m + g, "p": np.abs(args["p"]) + args["lr"] * np.where(either, 1 / eps, 1)}


def update(state, size=None, **settings_):
    """Return the case of an optimizer; settings are ranges, or strings for the odd ones."""

    def make(draw):
        n = draw.n * draw.d
        args = {"p": draw.values(n), "g": draw.values(n)}
        for name in state:
            args[name] = draw.positive(n) if name in POSITIVE else draw.values(n)
        args = {("v" if k == "v2" else k): a for k, a in args.items()}
        for name, (low, high) in settings_.items():
            whole = isinstance(low, int)
            args[name] = int(draw.rng.integers(low, high)) if whole else draw.number(low, high)
        if draw.rng.random() < 0.3:
            args["weight_decay"] = 0.0
        for flag in ("decoupled", "explicit"):
            if flag in args:
                args[flag] = bool(args[flag])
        return args

    def magnitude(args, exact):
        p, g = np.abs(args["p"]), np.abs(args["g"]) + args["weight_decay"] * np.abs(args["p"])
        # State and step are sums; an error of each term is relative to that term.
        if "m" in args:
            m, v = np.abs(args["m"]) + g, args["v"] + g * g
            c1, c2 = 1 - args["beta1"] ** args["step"], 1 - args["beta2"] ** args["step"]
            root = np.sqrt(exact["v"] / c2) if args["explicit"] else np.sqrt(exact["v"])
            rate = args["lr"] / c1 * (1 if args["explicit"] else np.sqrt(c2))
            # The root halves the relative error of v, which is large where its share is small.
            worse = 1 + np.where(v > 0, v / (2 * exact["v"]), 0) + 1 / c1 + 1 / c2
            return {"m": m, "v": v, "p": p + worse * rate * m / (root + args["eps"])}
        if "h" in args:
            step = args["lr"] * g / (np.sqrt(exact["h"]) + args["eps"])
            return {"h": args["h"] + g * g, "p": p + step}
        pull = args["lr"] * g
        v = np.abs(args.get("v", 0)) + pull
        return {"v": v, "p": p + v + pull}

    written = ("p", *("v" if s == "v2" else s for s in state))
    return Case(make, written, size or magnitude)


RATE, SHARE, EPS, DECAY = (1e-3, 0.5), (0.0, 0.999), (1e-8, 1e-2), (0.0, 0.1)
