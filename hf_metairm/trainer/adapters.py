"""What the folder of an adapter needs besides the adapter: what the classes are called that its head tells apart."""

from __future__ import annotations

from typing import Any

from transformers import Trainer

from ..models.class_names import is_nameless


class AdapterWithNames(Trainer):
    """
    A `transformers.Trainer` that saves an adapter's model config beside it, where that names classes: the adapter's
    own config does not, and neither does the model's that it will be loaded onto.
    """

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict=state_dict)
        model: Any = self.accelerator.unwrap_model(self.model)
        names = getattr(getattr(model, "config", None), "id2label", None) or {}
        if hasattr(model, "peft_config") and not is_nameless(map(str, names.values())):
            model.config.save_pretrained(output_dir or self.args.output_dir)
