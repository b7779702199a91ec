"""What the Hub demands of a card's metadata, as far as this library's cards can go wrong."""

from __future__ import annotations

import re
from typing import Any

import yaml


LICENSES = {
    "afl-3.0", "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc", "cc-by-2.0", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-2.0",
    "gpl-2.0", "gpl-3.0", "isc", "lgpl-3.0", "mit", "mpl-2.0", "odbl", "openrail", "other", "pddl", "unknown",
    "unlicense", "wtfpl",
}  # fmt: skip
_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def metadata(text: str) -> Any:
    """The parsed YAML between the two lines of dashes; `None` without such a block."""
    match = _FRONT_MATTER.match(text)
    return yaml.safe_load(match.group(1)) if match else None


def validate(text: str, repo_type: str) -> tuple[list[str], list[str]]:
    """Errors and warnings of a card."""
    try:
        data = metadata(text)
    except yaml.YAMLError as error:
        return [f"YAML parse error: {error}"], []
    if data is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(data, dict):
        return ["metadata must be a YAML mapping"], []
    errors = []
    for key in ("tags", "language", "datasets", "metrics", "base_model", "license"):
        value = data.get(key)
        entries = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(entry, str) for entry in entries):
            errors.append(f'"{key}" must be a string or an array of strings')
        elif key == "license":
            errors += [f'"license" must be one of the known licenses, not "{e}"' for e in entries if e not in LICENSES]
    if not isinstance(data.get("tags", []), (list, type(None))):
        errors.append('"tags" must be an array')
    for key in ("library_name", "pipeline_tag", "pretty_name"):
        if not isinstance(data.get(key, ""), str):
            errors.append(f'"{key}" must be a string')
    errors += _model_index(data["model-index"]) if "model-index" in data else []
    errors += _configs(data["configs"]) if repo_type == "dataset" and "configs" in data else []
    return errors, []


def _model_index(index: Any) -> list[str]:
    if not isinstance(index, list):
        return ['"model-index" must be an array']
    errors = []
    for i, model in enumerate(index):
        at = f"model-index[{i}]"
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            errors.append(f'"{at}.name" is required')
            continue
        for j, result in enumerate(model.get("results") or []):
            where = f"{at}.results[{j}]"
            required = [("task", "type"), ("dataset", "type"), ("dataset", "name")]
            if not isinstance(result, dict):
                errors.append(f'"{where}" must be an object')
                continue
            for part, key in required:
                if not isinstance((result.get(part) or {}).get(key), str):
                    errors.append(f'"{where}.{part}.{key}" is required')
            metrics = result.get("metrics")
            if not isinstance(metrics, list) or not metrics:
                errors.append(f'"{where}.metrics" is required')
                continue
            for k, metric in enumerate(metrics):
                if not isinstance(metric, dict) or not isinstance(metric.get("type"), str) or "value" not in metric:
                    errors.append(f'"{where}.metrics[{k}]" needs "type" and "value"')
    return errors


def _configs(configs: Any) -> list[str]:
    if not isinstance(configs, list):
        return ['"configs" must be an array']
    named = [isinstance(config, dict) and isinstance(config.get("config_name"), str) for config in configs]
    return [f'"configs[{i}].config_name" is required' for i, good in enumerate(named) if not good]


def tags(data: Any) -> list[str]:
    """The tags that the Hub shows: those of the card and those it derives from other fields."""
    if not isinstance(data, dict):
        return []
    found = [str(tag) for tag in data.get("tags") or []]
    found += [data[key] for key in ("library_name", "pipeline_tag") if isinstance(data.get(key), str)]
    for key, prefix in (("license", "license:"), ("datasets", "dataset:"), ("base_model", "base_model:")):
        value = data.get(key) or []
        found += [f"{prefix}{entry}" for entry in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(found))
