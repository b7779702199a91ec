from __future__ import annotations

from pathlib import Path

import pytest

from hf_metairm.experiments.finetune_text import TextArguments
from hf_metairm.experiments.settings import read_settings
from hf_metairm.experiments.train_colored_mnist import ColoredMNISTArguments
from hf_metairm.paper.tables import TABLES


CONFIGS = Path(__file__).parents[2] / "hf_metairm" / "configs"


def settings(tmp_path, text, *words):
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    return read_settings(TextArguments, ["--config", str(file), *words])


TEXT = """
recipe: finetune_text
dataset: reviews.csv
seeds: [0, 1]
learning_rate: 1e-3
std_loss_weight: 10
algorithms:
  erm:
    learning_rate: 0.5
  meta-irm:
    inner_steps: 2
"""


def test_file_sections_and_command_line_in_that_order(tmp_path):
    read = settings(tmp_path, TEXT, "--max_steps", "7", "--seeds", "3", "4", "5", "--std-loss-weight=20")
    assert read.arguments.dataset == "reviews.csv"
    assert read.arguments.seeds == [3, 4, 5]
    assert read.algorithms == ["erm", "meta-irm"]
    erm = read.config("erm", output_dir=str(tmp_path))
    meta = read.config("meta-irm", output_dir=str(tmp_path), seed=5)
    assert (erm.learning_rate, erm.max_steps) == (0.5, 7)
    assert (meta.learning_rate, meta.inner_steps, meta.std_loss_weight, meta.seed) == (1e-3, 2, 20.0, 5)
    assert not hasattr(erm, "std_loss_weight")


def test_algorithms_can_be_chosen(tmp_path):
    assert settings(tmp_path, TEXT, "--algorithms", "meta-irm").algorithms == ["meta-irm"]


@pytest.mark.parametrize(
    ("text", "words", "message"),
    [
        ("learning_rat: 1", [], "did you mean 'learning_rate'"),
        ("dataset: x", ["--std_los_weight", "3"], "did you mean 'std_loss_weight'"),
        ("dataset: x", ["--std_loss_weight", "3", "--algorithms", "erm"], "Unknown setting 'std_loss_weight'"),
        ("algorithms: {erm: {std_loss_weight: 3}}", [], "Unknown setting 'std_loss_weight'"),
        ("algorithms: {irmv9: }", [], "Unknown algorithm 'irmv9'"),
        ("dataset: x", ["--learning_rate", "fast"], "invalid float value"),
        ("dataset: x", ["--meta_gradient", "third"], "meta_gradient"),
        ("dataset: x", ["--inner_steps", "0"], "inner_steps=0"),
        ("dataset: x", ["loose"], "Unexpected 'loose'"),
        ("a: [1", [], "not YAML"),
        ("just words", [], "holds no settings"),
        ("text_column: [a, b]", [], r"text_column takes one value, not the list \['a', 'b'\]"),
        ("learning_rate: [1]", [], "learning_rate takes one value"),
        ("seeds: [0, [1]]", [], "seeds takes words, not the list"),
        ("model_name_or_path: {a: b}", [], r"takes a value, not lines of the form name: value \(a\)"),
        ("algorithms: [[erm]]", [], "Unknown algorithm"),
        ("algorithms: {erm: {max_steps: [a]}}", [], "max_steps takes one value"),
        ("max_grad_norm: .inf", [], "max_grad_norm"),
        ("max_grad_norm: inf", [], "max_grad_norm=inf is refused: use a finite number"),
        ("std_loss_weight: inf", [], "std_loss_weight=inf is refused: use a finite number"),
        ("gradient_accumulation_steps: 0", [], "gradient_accumulation_steps=0 is refused"),
        ("seeds: []", [], r"seeds=\[\] is refused"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(tmp_path, text, words, message):
    with pytest.raises(ValueError, match=message) as caught:
        settings(tmp_path, text, *words)
    assert "\n" not in str(caught.value)


def test_missing_file():
    with pytest.raises(ValueError, match="no settings file"):
        read_settings(TextArguments, ["--config", "nowhere.yaml"])


def test_the_config_of_all_of_mnist_has_the_settings_of_the_paper_table(tmp_path):
    settings = read_settings(ColoredMNISTArguments, ["--config", str(CONFIGS / "colored_mnist_full.yaml")])
    table = TABLES["colored_mnist"]
    for name in settings.algorithms:
        row, config = table.row(name), settings.config(name, output_dir=str(tmp_path))
        assert config.max_steps == row.steps
        assert settings.arguments.hidden_size == row.hidden_size
        assert {field: getattr(config, field) for field in row.fields} == row.fields


SITES = ["010", "no", "null", "1e3", "true", "0x10", "-north"]


def test_text_on_the_command_line_stays_what_it_is(tmp_path):
    words = ["--text_column", "010", "--dataset=no", "--selection_rule", "1e3", "--unseen_environments"]
    read = settings(tmp_path, "dataset: x", *words, *SITES[:-1]).arguments
    assert (read.text_column, read.dataset, read.selection_rule) == ("010", "no", "1e3")
    assert read.unseen_environments == SITES[:-1]
    assert settings(tmp_path, "dataset: x", "--unseen_environments=-north").arguments.unseen_environments == ["-north"]


def test_text_in_the_file_stays_what_it_is(tmp_path):
    text = f"dataset: 010\nselection_rule: null\ndataset_config:\nunseen_environments: [{', '.join(SITES[:-1])}]"
    read = settings(tmp_path, text).arguments
    assert (read.dataset, read.selection_rule, read.dataset_config) == ("010", None, None)
    assert read.unseen_environments == SITES[:-1]


def test_a_setting_is_the_same_wherever_it_stands(tmp_path):
    text = "learning_rate: 1e-3\nmax_steps: 7\nuse_cpu: yes\nlr_scheduler_kwargs: {num_cycles: 2, min: 1.5}"
    words = ["--learning_rate", "0.001", "--max_steps", "7", "--use_cpu", "--lr_scheduler_kwargs"]
    one = settings(tmp_path, text)
    two = settings(tmp_path, "dataset: x", *words, '{"num_cycles": 2, "min": 1.5}')
    assert one.fields == two.fields
    assert one.config("erm", output_dir=str(tmp_path)).lr_scheduler_kwargs == {"num_cycles": 2, "min": 1.5}


def test_lists_where_a_list_or_a_word_may_stand(tmp_path):
    read = settings(tmp_path, "report_to: [none]\nlabel_names: [labels]\nunseen_environments: []")
    assert read.arguments.unseen_environments == []
    assert read.fields["erm"] == {"report_to": ["none"], "label_names": ["labels"]}


def test_algorithms_in_the_file_may_be_a_list(tmp_path):
    assert settings(tmp_path, "algorithms: [v-rex, erm]").algorithms == ["v-rex", "erm"]
    with pytest.raises(ValueError, match="The settings file says erm: fast, where lines"):
        settings(tmp_path, "algorithms: {erm: fast}")


def test_the_preset_for_many_environments_draws_one_and_keeps_running_means(tmp_path):
    file = CONFIGS / "many_environments.yaml"
    read = read_settings(TextArguments, ["--config", str(file), "--dataset", "visits.csv"])
    meta = read.config("meta-irm", output_dir=str(tmp_path))
    assert (meta.outer_environments, meta.std_loss_momentum, meta.meta_loss_reduction) == (1, 0.9, "mean")
