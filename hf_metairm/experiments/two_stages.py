"""
Two stages: plain fine-tuning finds the features, and the algorithm trains a small head on them with other rows.

Plain fine-tuning learns what the texts say as well as the shortcut, and the last layers alone decide which of the two
is used (Kirichenko et al. 2023, arXiv 2204.02937; Rosenfeld et al. 2022, arXiv 2202.06856). So the encoder is
fine-tuned once, by ERM on one part of the rows, and every algorithm trains a fresh head on its output for another
part, which takes seconds. What is saved is one ordinary model, with that head in the place of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, set_seed
from transformers.activations import ACT2FN

from ..data import TensorRows
from ..data.fingerprint import fingerprint
from ..data.own import OwnData
from ..data.parts import divide_alike
from ..data.rows import taken
from ..environments import read_environments
from ..files import filling, replacing
from ..models.classification_head import ClassificationHead, find_head, head_inputs
from ..models.reading import cut_to
from ..models.text_classifier import choose_trainable, load_classifier
from ..trainer import EnvironmentConfig, EnvironmentTrainer
from .cache import cache_folder
from .encoder_outputs import EncoderOutputs, key_of_encoder
from .measure import by_name
from .precision import bfloat16_is_faster
from .run import Run
from .stage_one import StageOneArguments
from .tokens import tokenized
from .training import train_run


PARTS = ("train", "validation", "test")
ROWS_AT_ONCE = 4096  # encoded between one writing of the file and the next


@dataclass
class Features:
    """
    What the head trains on.

    Args:
        train (`TensorRows`), validation (`TensorRows`), test (`TensorRows`): with `features` (standardized, float32 of
            shape (n, features)), `labels` and `environment`; the first two are of the training environments.
        mean (`Tensor`), scale (`Tensor`): of the features before they were standardized, over the rows of `train`.
        labels (`list[str]`): names of the classes.
        activation (`str`): of the head that the model has.
        key (`str`): a digest of encoder and rows.
        stage_one (`dict`): by environment of `test`, the metrics of the model that stage one left, with its own head;
            nothing where there was no stage one.
    """

    train: TensorRows
    validation: TensorRows
    test: TensorRows
    mean: Tensor
    scale: Tensor
    labels: list[str]
    activation: str
    key: str
    stage_one: dict[str, dict[str, float]] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        """Write all of it into one file of safetensors."""
        tensors, names = {"mean": self.mean, "scale": self.scale}, {}
        for part in PARTS:
            rows: TensorRows = getattr(self, part)
            names[part] = sorted(set(rows["environment"]))
            place = {name: k for k, name in enumerate(names[part])}
            tensors[f"{part}.features"], tensors[f"{part}.labels"] = rows["features"], rows["labels"]
            tensors[f"{part}.environment"] = torch.tensor([place[name] for name in rows["environment"]])
        about = {"environments": names, "labels": self.labels, "activation": self.activation, "key": self.key}
        about["stage_one"] = self.stage_one
        with replacing(file) as new:
            save_file(tensors, new, metadata={"about": json.dumps(about)})

    @classmethod
    def load(cls, file: Path) -> Features:
        """Read what [`save`] wrote."""
        with safe_open(file, "pt") as kept:
            about = json.loads(kept.metadata()["about"])
            tensors = {name: kept.get_tensor(name) for name in kept.keys()}  # noqa: SIM118
        parts = {
            part: TensorRows(
                {
                    "features": tensors[f"{part}.features"],
                    "labels": tensors[f"{part}.labels"],
                    "environment": [about["environments"][part][k] for k in tensors[f"{part}.environment"].tolist()],
                }
            )
            for part in PARTS
        }
        return cls(
            **parts,
            mean=tensors["mean"],
            scale=tensors["scale"],
            labels=about["labels"],
            activation=about["activation"],
            key=about["key"],
            stage_one=about["stage_one"],
        )


class TwoStages:
    """
    The fine-tuned encoder of some data, made where it is not in the cache yet, and the features that it finds.

    Args:
        data ([`OwnData`]): the rows.
        tokenizer: of the model.
        model_name (`str`): of the pretrained model.
        trainable (`str`): what the first stage trains: `"all"`, `"top:1"`, `"lora"`; `"head"` leaves it out, and the
            encoder stays as it was.
        lora_rank (`int`): of the adapters.
        stage_one ([`StageOneArguments`]): how it is trained.
        seed (`int`): of the division of rows and of the first stage.
        say (`Callable`, *optional*): takes a line now and then.
    """

    def __init__(
        self,
        data: OwnData,
        tokenizer: Any,
        model_name: str,
        trainable: str,
        lora_rank: int,
        stage_one: StageOneArguments,
        seed: int,
        say: Callable[[str], None] = print,
    ):
        self.data, self.tokenizer, self.seed, self.say = data, tokenizer, seed, say
        self.model_name, self.trainable, self.lora_rank = model_name, trainable, lora_rank
        self.stage_one = stage_one
        self.labels: list[str] = data.train.features["label"].names
        first = 0.0 if trainable == "head" else stage_one.stage_one_share
        shares = {
            "stage one": first,
            "train": 1 - first - stage_one.validation_share,
            "validation": stage_one.validation_share,
        }
        self.parts = divide_alike(
            read_environments(data.train).ids, {k: v for k, v in shares.items() if v}, seed, data.together
        )
        if stage_one.head_rows == "all" and first:
            # An epoch of fine-tuning knows its rows by heart less than a head knows a few thousand.
            self.parts["train"] = np.union1d(self.parts["stage one"], self.parts["train"])
        self._encoder: tuple[Any, ClassificationHead] | None = None

    @property
    def encoder(self) -> tuple[Any, ClassificationHead]:
        """The classifier whose output before its head the features are, and that head."""
        if self._encoder is None:
            with PartialState().main_process_first():
                model = self._fine_tuned()
            self._encoder = model, find_head(model, self.tokenizer)
            units = self._encoder[1].dense.out_features
            if self.stage_one.head_units > units:
                raise ValueError(f"head_units={self.stage_one.head_units}: the model's own head has {units} at most.")
        return self._encoder

    def features(self) -> Features:
        """The features of the rows that heads train on, of those that rules choose by, and of the test rows."""
        model, head = self.encoder
        rows = {
            "train": taken(self.data.train, self.parts["train"]),
            "validation": taken(self.data.train, self.parts["validation"]),
            "test": self.data.test,
        }
        # Test rows as the model itself will read them; what a head learns from need not be that exact.
        everything = self.stage_one.features_bf16
        exactly = dict.fromkeys(PARTS, not (everything or self._in_bf16)) | {"test": not everything}
        sentences = {name: part["sentence"][:] for name, part in rows.items()}
        # BERT's own head is in its encoder; where it is not trained every seed draws another one, to no effect here.
        drawn = head.dense if self.trainable == "head" else None
        key = key_of_encoder(model, self.tokenizer, self.tokenizer.model_max_length, without=drawn)
        outputs: dict[str, EncoderOutputs] = {}
        for exact in set(exactly.values()):
            names = [name for name in PARTS if exactly[name] == exact]
            texts = [text for name in names for text in sentences[name]]
            outputs |= dict.fromkeys(names, self._outputs(model, head, key, texts, exact))
        found = {name: outputs[name].of(texts) for name, texts in sentences.items()}
        mean, scale = found["train"].mean(0), found["train"].std(0).clamp_min(1e-6)
        tables = {name: _rows(part, (found[name] - mean) / scale) for name, part in rows.items()}
        kind = "" if exactly["train"] else "-bf16"
        key = f"{key[:16]}{kind}-{fingerprint(rows['train'])[:16]}"
        plain = {} if self.trainable == "head" else _by_environment(head, found["test"], tables["test"])
        return Features(
            **tables,
            mean=mean,
            scale=scale,
            labels=self.labels,
            activation=head.activation,
            key=key,
            stage_one=plain,
        )

    def whole(self, trained: Any, features: Features) -> Any:
        """The encoder's model with a trained head in the place of its own."""
        model, head = self.encoder
        head.put_in(trained.cpu(), features.mean, features.scale)
        return model

    def _outputs(
        self, model: Any, head: ClassificationHead, key: str, sentences: Sequence[str], exactly: bool
    ) -> EncoderOutputs:
        state, length = PartialState(), self.tokenizer.model_max_length
        kind = "" if exactly else "-bf16"
        outputs = EncoderOutputs(cache_folder() / "features" / f"{key[:32]}{kind}.safetensors", f"{key}{kind}")
        with state.main_process_first():
            wanted = sorted(outputs.missing(sentences), key=len)
            if wanted:
                self.say(f"Encoding {len(wanted):,} texts, once for all algorithms.")
            model.to(state.device)
            for start in range(0, len(wanted), ROWS_AT_ONCE):
                part = wanted[start : start + ROWS_AT_ONCE]
                with torch.autocast(state.device.type, torch.bfloat16, enabled=not exactly):
                    outputs.add(dict(zip(part, head_inputs(model, head, self.tokenizer, part, max_length=length))))
                if state.is_main_process:
                    outputs.save()
        return outputs

    # The first stage

    @property
    def _in_bf16(self) -> bool:
        wanted = self.stage_one.stage_one_bf16
        return bfloat16_is_faster() if wanted is None else wanted

    def _fine_tuned(self) -> Any:
        set_seed(self.seed)
        model = load_classifier(self.model_name, self.labels, mean_pooling=self.trainable != "lora")
        cut_to(self.tokenizer, model)
        if self.trainable == "head":
            return model
        part = taken(self.data.train, self.parts["stage one"])
        settings = {
            "stage": 1,
            "model": key_of_encoder(model, self.tokenizer, self.tokenizer.model_max_length),
            "rows": fingerprint(part, ["sentence", "label", "environment"]),
            "trainable": self.trainable,
            "lora_rank": self.lora_rank if self.trainable == "lora" else None,
            **{k: v for k, v in asdict(self.stage_one).items() if k.startswith("stage_one")},
            "stage_one_bf16": self._in_bf16,
            "seed": self.seed,
        }
        run = Run("stage one", settings)
        folder = cache_folder() / "stage_one" / run.key
        if (folder / "model" / "config.json").is_file():
            self.say(f"The encoder was fine-tuned on these rows before: taken from {folder}.")
        else:
            self._fine_tune(run, model, part, folder)
        trained = AutoModelForSequenceClassification.from_pretrained(folder / "model")
        trained.name_or_path = trained.config.name_or_path = model.name_or_path  # For cards: where it came from.
        return trained

    def _fine_tune(self, run: Run, model: Any, part: datasets.Dataset, folder: Path) -> None:
        rows = tokenized(part, self.tokenizer)
        environments = read_environments(part).sizes
        share = max(1, min(self.stage_one.stage_one_batch_size // len(environments), *environments.values()))
        self.say(f"Stage one: fine-tuning the encoder by ERM on {len(part):,} rows, once for all algorithms.")

        on_cpu = self._in_bf16 and not torch.cuda.is_available()
        if on_cpu:
            model.set_attn_implementation("eager")  # On a CPU the backward pass of the fused kernel has no bfloat16.

        def make_trainer(place: Path, stack: Any) -> EnvironmentTrainer:
            args = EnvironmentConfig(
                output_dir=str(place),
                per_device_train_batch_size=share * len(environments),
                num_train_epochs=self.stage_one.stage_one_epochs,
                learning_rate=self.stage_one.stage_one_learning_rate,
                train_sampling_strategy=self.stage_one.stage_one_sampling,
                warmup_steps=0.1,
                bf16=self._in_bf16,
                use_cpu=on_cpu,
                save_steps=50,
                save_total_limit=1,
                logging_steps=10,
                report_to="none",
                seed=self.seed,
                dataloader_pin_memory=torch.cuda.is_available(),
            )
            return EnvironmentTrainer(
                choose_trainable(model, self.trainable, self.lora_rank),
                args,
                train_dataset=rows,
                processing_class=self.tokenizer,
                data_collator=DataCollatorWithPadding(self.tokenizer),
            )

        trained: Any = None

        def take_model(trainer: EnvironmentTrainer) -> dict[str, Any]:
            nonlocal trained
            trained = trainer.accelerator.unwrap_model(trainer.model)
            return {}

        result = train_run(run, folder, make_trainer, take_model)
        whole = trained.merge_and_unload() if self.trainable == "lora" else trained
        with filling(folder / "model") as place:
            whole.save_pretrained(place)
            self.tokenizer.save_pretrained(place)
            (place / "stage_one.json").write_text(json.dumps(result, indent=1))


@torch.no_grad()
def _by_environment(head: ClassificationHead, features: Tensor, rows: TensorRows) -> dict[str, dict[str, float]]:
    """The metrics of a model's own head, by environment."""
    logits = head.out.cpu()(ACT2FN[head.activation](head.dense.cpu()(features))).double().numpy()
    return by_name(logits, rows["labels"].numpy(), rows["environment"])


def _rows(part: datasets.Dataset, features: Tensor) -> TensorRows:
    return TensorRows(
        {
            "features": features,
            "labels": torch.from_numpy(np.array(part["label"][:], dtype=np.int64)),
            "environment": list(map(str, part["environment"][:])),
        }
    )
