"""The card says what happened, in a form that the Hub reads, whatever the names in the data are."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from PIL import Image

from hf_metairm.algorithms.description import Description
from hf_metairm.algorithms.risk_objective import RiskObjective
from hf_metairm.cards.curves import draw_curves
from hf_metairm.cards.facts import CardDetails, CardFacts, CardResult
from hf_metairm.cards.model_card import write_card
from hf_metairm.trainer import ALGORITHMS, EnvironmentConfig, EnvironmentTrainer, MetaIRMConfig, MetaIRMTrainer

from ..gradients.models import small_bert
from .toys import Classifier, arguments, numbers, sentences


pytestmark = pytest.mark.usefixtures("drawn_pictures")
LOGGED = {"logging_strategy": "steps", "logging_steps": 1}


def trained(folder, *, data=None, unseen="c", algorithm="meta-irm", model=None, evaluate=True, **options):
    """A Trainer after three steps on all environments but one."""
    data = sentences(3) if data is None else data
    trainer_class, config_class = ALGORITHMS[algorithm]
    kept = [k for k, name in enumerate(data["environment"]) if name != unseen]
    trainer = trainer_class(
        small_bert() if model is None else model,
        arguments(folder, config_class, **options),
        train_dataset=data.select(kept),
        eval_dataset=data if evaluate is True else evaluate,
    )
    trainer.train()
    return trainer


def read(folder):
    return ModelCard.load(folder / "README.md"), json.loads((folder / "results.json").read_text())


def test_card_of_a_run(tmp_path, local_hub):
    trainer = trained(tmp_path, inner_learning_rate=0.25, std_loss_weight=7.0, penalty_anneal_steps=2, **LOGGED)
    metrics = trainer.evaluate()
    (tmp_path / "emissions.csv").write_text(
        "timestamp,duration,emissions,energy_consumed\nt0,1,1,1\nt1,12.4,0.00123,0.00456\n"
    )
    trainer.create_model_card(dataset="reviews", dataset_args="small", dataset_tags="tester/reviews", language="en")
    card, figures = read(tmp_path)
    card.validate()

    data = card.data.to_dict()
    assert data["tags"] == ["meta-irm", "invariant-risk-minimization", "hf-metairm", "out-of-distribution"]
    assert (data["pipeline_tag"], data["library_name"], data["language"]) == (
        "text-classification",
        "transformers",
        "en",
    )
    assert data["datasets"] == ["tester/reviews"]
    assert data["co2_eq_emissions"]["emissions"] == 1.23
    assert "base_model" not in data
    # One result for each environment, and each is what `evaluate` said.
    (index,) = data["model-index"]
    assert {r["dataset"]["args"]["environment"]: r["metrics"][0]["value"] for r in index["results"]} == {
        name: round(metrics[f"eval_{name}_accuracy"], 6) for name in "abc"
    }
    assert [r["dataset"]["args"]["unseen_in_training"] for r in index["results"]] == [False, False, True]

    (row,) = re.findall(r"\| `c` \| 16 \| .*", card.text)
    accuracy = metrics["eval_c_accuracy"]
    assert f"{100 * accuracy:.1f} ± {100 * (accuracy * (1 - accuracy) / 16) ** 0.5:.1f}" in row
    assert "**unseen**" in row
    assert len(re.findall(r"\| .*\*\*worst\*\*", card.text)) == 1
    worst = min("abc", key=lambda name: metrics[f"eval_{name}_accuracy"])
    assert figures["worst_environment"] == worst
    assert "α = 0.25, λ = 7, T = 1, meta-gradient: exact" in card.text
    assert "In the first 2 steps the weight is 1." in card.text
    assert "Hyper-parameters as given, no selection recorded." in card.text
    assert "0.00456 kWh and 0.00123 kg of CO₂ equivalent in 12 seconds" in card.text
    assert "2103.12947" in card.text
    assert "optimizer steps | 3 |" in card.text
    assert figures["training_rows"] == {"a": 16, "b": 16}
    assert figures["settings"]["std_loss_weight"] == 7.0
    with Image.open(tmp_path / "training_curves.png") as picture:
        assert picture.convert("L").getextrema() == (0, 255)
    assert str(tmp_path) not in card.content + json.dumps(figures)


NASTY = [
    "a|b | c",
    "`tick` ``two``",
    "back\\slash\\|",
    "---\nlicense: mit\n---\n# Owned",
    "<script>alert(1)</script><!-- ",
    "[click](https://example.com) https://example.com",
    "{{ 7*7 }} {% for %}",
    "$\\frac{1}{0}$",
    "_hidden **bold** #1 @user",
    "yes: &anchor *alias ! 'quote' \"",
    "worst_environment",
    "\u202egnp.exe\x00\u2028x",
    "https://example.com",
    "```\n```",
]


def test_names_stay_names(tmp_path, local_hub):
    """Read the way a browser gets it: no heading, link, tag or metadata comes from a name."""
    data = numbers(2, rows=2 * len(NASTY))
    data = data.remove_columns("environment").add_column("environment", NASTY * 4)
    model = Classifier(tied=False)
    trainer = trained(tmp_path, data=data, unseen=NASTY[0], model=model, per_device_train_batch_size=26, **LOGGED)
    trainer.create_model_card(
        model_name="x\n---\nlicense: mit\n---",
        dataset=NASTY[4],
        dataset_args=NASTY[3],
        selection_rule=NASTY[5] + NASTY[4],
        notes=NASTY[13] + NASTY[3] + NASTY[8],
        dataset_citation="@misc{x,\n  note={\n```\n<script>}\n}",
    )
    card, figures = read(tmp_path)
    card.validate()
    data = card.data.to_dict()
    assert "license" not in data
    places = [r["dataset"]["args"]["environment"] for r in data["model-index"][0]["results"]]
    shown = [" ".join(re.sub("[\u202e\x00\u2028]", " ", name).split()) for name in NASTY]
    assert sorted(places) == sorted(shown)
    assert {r["environment"] for r in figures["results"]} == set(NASTY)

    tokens = MarkdownIt("commonmark").enable("table").parse(card.text)
    headings = [tokens[k + 1].content for k, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings[0].startswith("x --- license")
    assert headings[1:] == [
        "Accuracy in each environment",
        "How it was trained",
        "How to load it",
        "Limits",
        "Made with",
        "Citation",
    ]
    inline = [child for t in tokens if t.type == "inline" for child in t.children]
    assert {t.content for t in inline if t.type == "html_inline"} <= {"<code>", "</code>"}
    assert not [t for t in tokens if t.type == "html_block"]
    assert not [t for t in inline if t.type == "link_open"]
    # Names that end up in code spans or between code tags, and are whole there: as seen and as trained on.
    seen = [
        "".join(child.content for child in t.children if child.type in ("text", "text_special", "code_inline"))
        for t in tokens
        if t.type == "inline"
    ]
    assert all(seen.count(name) == (1 if name == shown[0] else 2) for name in shown), [seen, shown]


@pytest.mark.parametrize(
    ("algorithm", "options", "formula"),
    [
        ("erm", {"l2_regularization": 0.5}, "J(θ) = (1/E) Σ_e R_e(θ) + 0.5 Σθ²"),
        ("irmv1", {"penalty_weight": 300.0}, "+ 300 · (1/E) Σ_e ‖∇_s"),
        ("v-rex", {"penalty_weight": 30.0, "penalty_momentum": 0.5}, "Σ_e R_e(θ) + 30 · Var_e R_e(θ)"),
        ("mm-rex", {}, "(max_e R_e(θ) − mean_e R_e(θ))"),
        ("group-dro", {"group_dro_step_size": 0.125}, "η = 0.125"),
        ("meta-irm", {"same_environment": True, "meta_gradient": "first_order"}, "Σ_i R_i(θ'_i) + λσ"),
    ],
)
def test_every_algorithm_says_what_it_minimized(algorithm, options, formula, tmp_path):
    trainer = trained(tmp_path, algorithm=algorithm, **options)
    trainer.create_model_card()
    card, figures = read(tmp_path)
    assert formula in card.text
    assert f"by **{trainer.algorithm.title}** with" in card.text
    assert ("meta-irm" in card.data.tags) == (algorithm == "meta-irm")
    assert {*trainer.algorithm.tags} <= set(card.data.tags)
    assert figures["algorithm"] == trainer.algorithm.title


def test_nothing_evaluated_and_nothing_logged(tmp_path):
    (tmp_path / "training_curves.png").write_bytes(b"of an earlier run")
    trainer = trained(tmp_path, evaluate=None)
    trainer.create_model_card()
    card, figures = read(tmp_path)
    assert "**Nothing was evaluated**" in card.text
    assert card.data.eval_results is None
    assert figures["results"] == []
    assert not (tmp_path / "training_curves.png").exists()
    assert "training_curves.png" not in card.text


def test_a_dictionary_of_datasets_and_one_without_environments(tmp_path):
    data = sentences(3)
    trainer = trained(tmp_path, evaluate={"old": data, "plain": data.remove_columns("environment")})
    metrics = trainer.evaluate()
    trainer.create_model_card()
    card, figures = read(tmp_path)
    found = {(r["dataset"], r["environment"]): r["accuracy"] for r in figures["results"]}
    assert found[("old", "b")] == metrics["eval_old_b_accuracy"]
    assert found[("plain", None)] == metrics["eval_plain_accuracy"]
    assert "| `old` | `c` |" in card.text
    assert "| `plain` | all rows |" in card.text
    assert len(card.data.eval_results) == 4


def test_an_evaluation_counts_for_the_model_that_it_evaluated(tmp_path):
    trainer = trained(tmp_path, max_steps=1)
    assert trainer.results is None
    trainer.evaluate()
    before = trainer.results
    trainer.evaluate(trainer.train_dataset)
    trainer.predict(trainer.train_dataset)
    assert trainer.results == before
    trainer.train()
    assert trainer.results is None
    trainer.create_model_card()
    assert [r.environment for r in trainer.results] == ["a", "b", "c"]


def test_best_checkpoint_is_what_the_card_is_about(tmp_path):
    trainer = trained(
        tmp_path,
        max_steps=4,
        learning_rate=0.5,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="worst_environment_accuracy",
    )
    trainer.create_model_card()
    card, figures = read(tmp_path)
    assert "one with the best `worst_environment_accuracy` on the evaluation data was kept" in card.text
    worst = min(r["accuracy"] for r in figures["results"])
    assert worst == pytest.approx(trainer.state.best_metric)


def test_other_processes_write_nothing(tmp_path, monkeypatch):
    trainer = trained(tmp_path)
    monkeypatch.setattr(trainer, "is_world_process_zero", lambda: False)
    trainer.create_model_card()
    assert not (tmp_path / "README.md").exists()


def test_a_model_of_the_user_and_its_base(tmp_path):
    data = numbers(2)
    trainer = trained(tmp_path, data=data, unseen=None, model=Classifier(tied=False))
    trainer.create_model_card(finetuned_from="tester/base", tasks="tabular-classification")
    card, _ = read(tmp_path)
    assert card.data.base_model == "tester/base"
    assert card.data.pipeline_tag == "tabular-classification"
    assert "`Classifier`, a class that neither transformers nor hf_metairm has" in card.text
    assert "nothing here says how the model does elsewhere" in card.text


def test_details_stay_for_the_cards_that_pushing_writes(tmp_path):
    trainer = trained(tmp_path)
    trainer.card_details.dataset = "four sites"
    trainer.card_details.selection_rule = "smallest difference between the risks"
    trainer.create_model_card(dataset_args="v2")
    card, figures = read(tmp_path)
    assert "`four sites`, config `v2`" in card.text
    assert figures["selection_rule"] == "smallest difference between the risks"
    assert trainer.card_details.dataset_args is None


def test_curves_of_many_environments_and_other_algorithms(tmp_path):
    names = [f"_{k}$" for k in range(13)]
    history = [{"step": k, **{f"risk_{name}": k + j for j, name in enumerate(names)}} for k in range(3)]
    sizes = []
    for shown in (names[:2], names):
        file = tmp_path / f"{len(shown)}.png"
        assert draw_curves(history, shown, file)
        with Image.open(file) as picture:
            sizes.append(picture.size)
    assert sizes[0] == sizes[1], "the legend does not grow with the environments"
    assert not draw_curves([{"step": 1, "eval_loss": 1.0}], names, tmp_path / "13.png")
    assert not (tmp_path / "13.png").exists()


def test_an_algorithm_of_the_user_is_not_called_erm(tmp_path):
    class WorstRisk(RiskObjective):
        title = "worst risk"

        def objective(self, risks, others, environments, shares, step, logs):
            return risks.max()

    class WorstRiskTrainer(EnvironmentTrainer):
        algorithm_class = WorstRisk

    data = sentences(2)
    trainer = WorstRiskTrainer(
        small_bert(), arguments(tmp_path, EnvironmentConfig), train_dataset=data, eval_dataset=data
    )
    trainer.create_model_card()
    text = read(tmp_path)[0].text
    assert "the objective of WorstRisk" in text
    assert "empirical risk minimization" not in text


def test_only_settings_that_were_used_and_the_column_as_the_user_calls_it(tmp_path):
    @dataclass
    class Config(MetaIRMConfig):
        scheme_of_exact: str = "fast"
        scheme_of_others: str = "slow"
        used_if = {  # noqa: RUF012
            **MetaIRMConfig.used_if,
            "scheme_of_exact": {"meta_gradient": "exact"},
            "scheme_of_others": {"meta_gradient": "finite_difference"},
        }
        service_token: str = "tell-nobody"

    data = sentences(2)
    args = arguments(tmp_path, Config, meta_gradient="exact", std_loss_weight=3.0, hub_token="hf_" + "x" * 34)
    trainer = MetaIRMTrainer(small_bert(), args, train_dataset=data, eval_dataset=data)
    notes = f"pushed with {args.hub_token}, told tell-nobody"
    trainer.create_model_card(environment_column="hospital site", notes=notes)
    card, figures = read(tmp_path)
    assert "The column `hospital site` names each row's environment." in card.text
    shown = set(re.findall(r"^\| `(\w+)` \| ", card.text, re.MULTILINE))
    assert {"inner_learning_rate", "inner_steps", "std_loss_weight", "scheme_of_exact", "seed"} <= shown
    off = {
        "environments_per_batch",
        "same_environment",
        "std_loss_momentum",
        "l2_regularization",
        "fp16",
        "weight_decay",
    }
    assert not shown & {*off, "scheme_of_others", "service_token", "meta_gradient_check_steps"}
    assert figures["settings"]["same_environment"] is False, "machines get all of them"
    everything = "".join(file.read_text() for file in (tmp_path / "README.md", tmp_path / "results.json"))
    assert not [secret for secret in (args.hub_token, "tell-nobody", "service_token") if secret in everything]


def test_erm_and_guessing_stand_beside_the_results(tmp_path):
    data = sentences(3)
    trainer = trained(tmp_path, data=data)
    metrics = trainer.evaluate()
    trainer.create_model_card(baseline={"a": {"accuracy": 0.75}, "c": {"accuracy": 0.25}})
    card, figures = read(tmp_path)
    labels = {name: [y for y, e in zip(data["label"], data["environment"]) if e == name] for name in "abc"}
    for name, erm in (("a", "75.0 ± 10.8"), ("b", ""), ("c", "25.0 ± 10.8")):
        (row,) = re.findall(rf"^\| `{name}` \| 16 \| (.*) \|$", card.text, re.MULTILINE)
        cells = [cell.strip() for cell in row.split("|")]
        assert cells[0].startswith(f"{100 * metrics[f'eval_{name}_accuracy']:.1f} ±")
        assert cells[1] == erm
        assert cells[2] == f"{100 * max(labels[name].count(k) for k in (0, 1)) / 16:.1f}"
    assert "Guessing among the 2 classes is right in 50.0 %" in card.text
    assert figures["baseline"] == {"a": {"accuracy": 0.75}, "c": {"accuracy": 0.25}}
    assert "](results.png)" in card.text
    with Image.open(tmp_path / "results.png") as picture:
        assert picture.convert("L").getextrema()[0] < 60


def facts(folder, results, **more):
    return CardFacts(
        model=small_bert(),
        args=arguments(folder, EnvironmentConfig),
        algorithm="ERM",
        tags=("hf-metairm",),
        description=Description("J(θ)", "R is the risk.", "nothing"),
        environments={"a": 10, "b": 12},
        results=results,
        **more,
    )


def test_any_metric_in_its_own_direction(tmp_path, local_hub):
    results = [
        CardResult("a", 10, {"pinball_error": 0.31, "f1": 0.9}),
        CardResult("b", 12, {"pinball_error": 0.125, "f1": 0.5}),
        CardResult("c", 9, {"pinball_error": 12.0, "f1": 0.7}),
    ]
    write_card(facts(tmp_path, results), CardDetails(), tmp_path)
    card, figures = read(tmp_path)
    card.validate()
    assert figures["worst_environment"] == "c", "the greatest error"
    assert "| `c` | 9 | 12 | 0.7 | **worst**, **unseen** |" in card.text
    assert "worst in `c`: pinball error 12." in card.text
    assert card.data.metrics == ["pinball_error", "f1"]
    assert [(r.dataset_split, r.metric_type, r.metric_value) for r in card.data.eval_results][:2] == [
        ("a", "pinball_error", 0.31),
        ("a", "f1", 0.9),
    ]
    assert "ccuracy" not in card.content + json.dumps(figures)
    write_card(facts(tmp_path, results[:1], history=[{"loss": 1.0}]), CardDetails(), tmp_path)
    assert read(tmp_path)[1]["worst_environment"] is None


class Regression(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(6, 1)

    def forward(self, x, labels=None):
        found = self.layer(x.float())[:, 0]
        return {"loss": (found - labels.float()).square().mean(), "logits": found}


def test_a_regression_has_its_loss_and_a_metric_that_is_no_number_is_left_out(tmp_path, local_hub):
    data = numbers(3)
    data = data.remove_columns("label").add_column("label", [x[0] for x in data["x"]])
    args = arguments(tmp_path, EnvironmentConfig)
    seen = data.filter(lambda row: row["environment"] != "c")
    trainer = EnvironmentTrainer(Regression(), args, train_dataset=seen, eval_dataset=data)
    metrics = trainer.evaluate()
    trainer.create_model_card()
    card, figures = read(tmp_path)
    card.validate()
    losses = {r["environment"]: r["loss"] for r in figures["results"]}
    assert losses == {name: pytest.approx(metrics[f"eval_{name}_loss"]) for name in "abc"}
    assert figures["worst_environment"] == max(losses, key=losses.get)
    assert "## Loss in each environment" in card.text
    assert "most frequent class" not in card.text
    trainer.compute_metrics = lambda prediction: {"mae": np.float32(0.5), "histogram": [1, 2], "sure": True}
    trainer.evaluate()
    trainer.create_model_card()
    _, figures = read(tmp_path)
    assert [r["mae"] for r in figures["results"]] == [0.5] * 3
    assert not [r for r in figures["results"] if {"histogram", "sure", "loss"} & set(r)]


def test_examples_and_datasets_are_in_the_metadata(tmp_path, local_hub):
    details = CardDetails(examples=["A fine\nfilm.", 'Said "no".'], dataset=["owner/reviews", "ours"])
    write_card(facts(tmp_path, []), details, tmp_path)
    card, _ = read(tmp_path)
    card.validate()
    assert card.data.to_dict()["widget"] == [{"text": "A fine film."}, {"text": 'Said "no".'}]
    assert card.data.datasets == ["owner/reviews"]
    write_card(facts(tmp_path, [], datasets=["owner/found"]), CardDetails(), tmp_path)
    assert read(tmp_path)[0].data.datasets == ["owner/found"]
