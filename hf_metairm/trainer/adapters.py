"""What the folder of an adapter needs besides the adapter: what the classes are called that its head tells apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import Trainer

from ..files import write
from ..models.class_names import CLASS_NAMES, is_nameless


class AdapterWithNames(Trainer):
    """
    A `transformers.Trainer` that saves the names of the classes beside an adapter: neither the adapter's config has
    them, nor that of the model that it will be loaded onto. With a `config.json` it would not be taken for an adapter.
    """

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict=state_dict)
        model: Any = self.accelerator.unwrap_model(self.model)
        id2label = getattr(getattr(model, "config", None), "id2label", None) or {}
        names = [str(id2label[k]) for k in sorted(id2label)]
        if hasattr(model, "peft_config") and not is_nameless(names):
            file = Path(output_dir or str(self.args.output_dir), CLASS_NAMES)
            write(file, json.dumps(names, ensure_ascii=False) + "\n")
