"""Reads the object of `sockstep bench --json`, and looks whether all its figures follow from its slices."""

import json
import math
import sys

bench = json.load(sys.stdin)
PROGRAMS = ["rust", "c"] + [f"peer{at + 1}" for at in range(len(bench["against"]))]
WHO = [f"{program} {copy}" for program in PROGRAMS for copy in (1, 2)]
slices = [dict(zip(("who", "start", "count", "time", "cpu"), each)) for each in bench["slices"]]

if sys.argv[1:] == ["order"]:
    in_order = sorted(slices, key=lambda each: each["start"])
    for first in range(0, len(in_order), len(WHO)):
        print(*(each["who"] for each in in_order[first : first + len(WHO)]))
    sys.exit()


def same(figure, expected):
    assert math.isclose(figure, expected, rel_tol=1e-3, abs_tol=1e-3), (figure, expected)


def total(key, some):
    return sum(each[key] for each in some)


def rate(some):
    return total("count", some) / total("time", some) * 1e9


def cpu(some):
    return total("cpu", some) / total("count", some) / 1e3


def percentile(values, percent):
    return sorted(values)[((len(values) - 1) * percent + 50) // 100]


assert bench["sockstep"] == 1
rounds = [slices[first : first + len(WHO)] for first in range(0, len(slices), len(WHO))]
assert len(rounds) == bench["rounds"] >= 1
for each in rounds:
    assert [one["who"] for one in each] == WHO
for one in slices:
    assert one["count"] > 0 and one["count"] % bench["connections"] == 0, one
    assert one["time"] >= bench["slice_ms"] * 1e6, one
in_order = sorted(slices, key=lambda each: each["start"])
for one, other in zip(in_order, in_order[1:]):
    assert one["start"] + one["time"] <= other["start"], "two at the same time"

for program in PROGRAMS:
    figures = bench[program]
    own = [each for each in slices if each["who"].startswith(program + " ")]
    assert figures["round_trips"] == total("count", own)
    same(figures["per_second"], rate(own))
    same(figures["cpu_us"], cpu(own))
    assert 0 < figures["p50_us"] <= figures["p99_us"]
    for memory in ("", "open_"):
        assert 0 < figures[memory + "private_kib"] <= figures[memory + "pss_kib"]

pairs = {f"rust_{other}": ([0, 1], [2 * at, 2 * at + 1]) for at, other in enumerate(PROGRAMS) if at > 0}
pairs |= {f"{program}_{program}": ([2 * at], [2 * at + 1]) for at, program in enumerate(PROGRAMS)}
void = []
for name, value in (("per_second", rate), ("cpu", cpu)):
    far = []
    assert bench["ratios"][name].keys() == pairs.keys()
    for pair, (left, right) in pairs.items():
        ratio = bench["ratios"][name][pair]
        if ratio["p10"] is None:  # one figure is all there is: of the whole run
            parts = [[[each for each in slices if each["who"] == who] for who in WHO]]
            parts = [[{key: total(key, own) for key in ("count", "time", "cpu")} for own in parts[0]]]
        else:
            parts = rounds
        ratios = []
        for part in parts:
            below = value([part[at] for at in right])
            ratios.append(value([part[at] for at in left]) / below if below else math.nan)
        if any(math.isnan(each) for each in ratios):
            far.append(math.inf)
            continue
        same(ratio["median"], percentile(ratios, 50))
        if ratio["p10"] is not None:
            same(ratio["p10"], percentile(ratios, 10))
            same(ratio["p90"], percentile(ratios, 90))
        if len(set(pair.split("_"))) == 1:
            far.append(percentile([abs(each - 1) for each in ratios], 50))
    if max(far) > 0.02:
        void.append(name)
assert bench["void"] == void, void
print(bench["server"], bench["connections"], bench["size"], bench["reconnect"])
