"""The table and the picture of `meta_step.py`'s results."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib


matplotlib.use("Agg")
import matplotlib.pyplot as plt
from meta_step_settings import OVERHEAD, PEERS, SETTINGS


Results = dict[str, dict[int, dict[str, Any]]]  # By variant and round.
# Light to dark with a hatch each, so that a print in black and white tells the three groups apart.
LOOKS = {
    "plain ERM": {"facecolor": "white", "hatch": ""},
    "hf_metairm": {"facecolor": "#9ecae1", "hatch": "//"},
    "peers": {"facecolor": "#636363", "hatch": ".."},
}


def write(rows: list[dict[str, Any]], folder: Path, name: str = "meta_step") -> None:
    """Write `<name>.md` and `<name>.png` into `folder`."""
    results: dict[str, Results] = {key: defaultdict(dict) for key in SETTINGS}
    failures: dict[tuple[str, str], str] = {}
    for row in rows:
        if "error" in row:
            failures[row["setting"], row["variant"]] = row["error"]
        else:
            results[row["setting"]][row["variant"]][row["round"]] = row
    lines = [
        "# One meta-IRM step: time and peak memory",
        "",
        "Written by `benchmarks/meta_step.py`; `benchmarks/README.md` says how it measures. Median and, in brackets, "
        "range over rounds, each of them the median of a process's timed steps. A ratio is taken within a round. "
        "Memory is the peak above the loaded model, relative error that of the gradient against `exact`.",
        "",
        _conditions(rows),
        "",
        *_asked(results),
    ]
    for key, setting in SETTINGS.items():
        if key != OVERHEAD and results[key]:
            lines += [f"## {setting.title}", "", *_table(key, results[key])]
            lines += [f"`{v}` failed: {error}\n" for (s, v), error in failures.items() if s == key]
    (folder / f"{name}.md").write_text("\n".join(lines).rstrip() + "\n")
    _draw(results, folder / f"{name}.png")


def _conditions(rows: list[dict[str, Any]]) -> str:
    others = [row["others"] for row in rows if "others" in row]
    text = f"PyTorch threads: {', '.join(sorted({str(row['threads']) for row in rows}))}."
    if others:
        text += (
            f" Cores that other processes kept busy meanwhile: median {median(others):.2f}, at most {max(others):.2f}."
        )
    return text


def _table(name: str, found: Results) -> list[str]:
    peer = _fastest_peer(found)
    against = f"× `{peer}`" if peer else "× fastest peer"
    lines = [
        f"| step | seconds | × ERM | {against} | memory, MB | relative error |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for variant in SETTINGS[name].variants:
        if variant not in found:
            continue
        error = [row["relative_error"] for row in found[variant].values() if "relative_error" in row]
        lines.append(
            f"| `{variant}` | {_show(_values(found, variant, 'seconds'), 3)} "
            f"| {_show(_ratios(found, variant, 'erm'), 2)} "
            f"| {_show(_ratios(found, variant, peer), 2)} | {_show(_values(found, variant, 'memory_mb'), 0)} "
            f"| {f'{median(error):.1e}' if error else ''} |"
        )
    return [*lines, ""]


def _asked(results: dict[str, Results]) -> list[str]:
    """What the library wants to hold itself to, beside what was measured."""
    asked = [row for size in ("8 × 128", "64 × 128") for row in _asked_of_time(results, size)]
    for size in ("4 × 32", "64 × 128"):
        e2, e16 = (results[f"minilm_e{e}_{size.replace(' × ', 'x')}"] for e in (2, 16))
        asked += [
            (f"`{v}`, E = 16 to E = 2, {size} tokens, memory", 1.05, _ratios(e16, v, v, "memory_mb", e2))
            for v in ("crossed", "exact", "forward")
        ]
    asked += [
        (f"Trainer's own share of a step, MLP, `{v}`", 0.1, _values(results[OVERHEAD], v, "overhead"))
        for v in ("exact", "forward")
    ]
    lines = ["| | wanted | measured | |", "|---|---:|---:|---|"]
    for what, limit, values in asked:
        if values:
            verdict = "yes" if median(values) <= limit else "**no**"
            lines.append(f"| {what} | ≤ {limit:g} | {_show(values, 3)} | {verdict} |")
    return [*lines, ""] if len(lines) > 2 else []


def _asked_of_time(results: dict[str, Results], size: str) -> list[tuple[str, float, list[float]]]:
    """Of batches of one size: what is asked, the limit, the ratios."""
    e2, e4, e8 = (results[f"minilm_e{e}_{size.replace(' × ', 'x')}"] for e in (2, 4, 8))
    quickest = _fastest_peer(e2)
    leanest = min((p for p in PEERS if p in e4), key=lambda p: median(_values(e4, p, "memory_mb")), default=None)
    asked = [
        (f"E = 2, {size} tokens: `{v}` to `{base}`, time", limit, _ratios(e2, v, base))
        for v, base, limit in (
            ("crossed", "erm", 2.3),
            ("crossed", quickest, 0.55),
            ("forward", "erm", 3.2),
            ("forward", quickest, 0.7),
            ("exact", quickest, 1.0),
        )
    ]
    for v in ("exact", "forward"):
        asked += [
            (
                f"E = 4, {size} tokens: `{v}` to `{leanest}`, the leanest peer, memory",
                0.5,
                _ratios(e4, v, leanest, "memory_mb"),
            ),
            (f"`{v}`, {size} tokens, E = 8 to E = 2, memory", 1.1, _ratios(e8, v, v, "memory_mb", e2)),
            (
                f"`{v}`, {size} tokens, one outer environment, E = 8 to E = 2, time",
                4.4,
                _ratios(e8, f"{v}_outer_1", v, "seconds", e2),
            ),
        ]
    return asked


def _fastest_peer(found: Results) -> str | None:
    # A peer whose gradient is another one has not done the same work.
    right = [p for p in PEERS if p in found and max(_values(found, p, "relative_error"), default=1.0) < 1e-3]
    return min(right, key=lambda p: median(_values(found, p, "seconds")), default=None)


def _values(found: Results, variant: str, field: str) -> list[float]:
    return [row[field] for row in found.get(variant, {}).values() if field in row]


def _ratios(
    found: Results, variant: str, base: str | None, field: str = "seconds", base_found: Results | None = None
) -> list[float]:
    """Of a variant's figure to the base's in the same round."""
    bases = (found if base_found is None else base_found).get(base or "", {})
    return [row[field] / bases[number][field] for number, row in found.get(variant, {}).items() if number in bases]


def _show(values: list[float], digits: int) -> str:
    if not values:
        return ""
    text = f"{median(values):.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _draw(results: dict[str, Results], path: Path) -> None:
    # A picture is for comparing; what was measured of one or two variants stands in the table.
    shown = [name for name in SETTINGS if name != OVERHEAD and len(results[name]) > 2]
    if not shown:
        return
    heights = [len(results[name]) + 2 for name in shown]
    figure, grid = plt.subplots(
        len(shown),
        2,
        figsize=(10, 0.27 * sum(heights) + 0.8),
        squeeze=False,
        sharey="row",
        height_ratios=heights,
        layout="constrained",
    )
    for name, row in zip(shown, grid):
        found = results[name]
        variants = [v for v in SETTINGS[name].variants if v in found]
        for axes, field, label in zip(
            row, ("seconds", "memory_mb"), ("seconds a step", "peak memory above model, MB")
        ):
            for place, variant in enumerate(variants):
                values = _values(found, variant, field)
                middle = median(values)
                axes.barh(
                    place,
                    middle,
                    xerr=[[middle - min(values)], [max(values) - middle]],
                    edgecolor="black",
                    capsize=3,
                    label=_group(variant),
                    **LOOKS[_group(variant)],
                )
            axes.set_xlabel(label, fontsize=8)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_yticks(range(len(variants)), variants)
        row[0].set_ylabel("step", fontsize=8)
        row[0].invert_yaxis()
        row[0].set_title(SETTINGS[name].title, loc="left", fontsize=9)
    handles = [plt.Rectangle((0, 0), 1, 1, edgecolor="black", **look) for look in LOOKS.values()]
    figure.legend(handles, list(LOOKS), loc="outside upper right", ncols=len(LOOKS), fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _group(variant: str) -> str:
    if variant == "erm":
        return "plain ERM"
    return "peers" if variant in PEERS else "hf_metairm"
