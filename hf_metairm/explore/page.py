"""The page itself: three tabs, put together from what was found."""

from __future__ import annotations

from typing import Any

from ..experiments.run import Result
from .accuracy import accuracy
from .found import Found, SavedModel
from .html import paragraph, words
from .sentences import compared
from .trade_off import SUMMARIES, trade_off, unseen_environments


MOST_TICKED = 4
# The reader's own fonts: nothing is fetched from another machine.
FONTS = ("system-ui", "sans-serif")
FONTS_OF_CODE = ("ui-monospace", "monospace")
STYLE = """<style>
.gradio-container {max-width: 60rem !important; width: 100% !important; margin: 0 auto !important}
.wide {overflow-x: auto; margin: 1rem 0}
.wide table {border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums}
.wide table, .wide tr, .wide th, .wide td {border: 0 !important}
.wide tr {border-bottom: 1px solid var(--border-color-primary) !important}
.wide caption {text-align: left; font-weight: 600; padding: .25rem .5rem}
.wide th, .wide td {padding: .25rem .5rem !important; text-align: right !important; vertical-align: bottom}
.wide td {white-space: nowrap}
.wide th {font-weight: 600 !important}
.wide th:first-child {text-align: left !important}
img.picture {display: block; max-width: min(100%, 46rem); height: auto; background: white}
@media (max-width: 30rem) {
  .gradio-container > .main {padding: .25rem !important}
  .tab-container button {padding: 0 .25rem !important; font-size: .75rem !important}
}
</style>"""
NO_RESULTS = (
    "There are no results of runs in this folder. hf-metairm train leaves them in runs.jsonl, a Trainer's "
    "create_model_card in results.json."
)
NO_UNSEEN = (
    "No run here was tested in an environment that it was not trained on, so there is nothing to trade. Keep one out "
    "of training (--unseen_environments): a shortcut shows there alone."
)
NO_MODEL = (
    "There is no saved model in this folder. hf-metairm train leaves one for each run; reproduce and search "
    "keep results alone."
)
NO_SENTENCE = "The models in this folder read images, and so there is no sentence to try: {}."


def build(found: Found) -> Any:
    """The page, as a `gradio.Blocks` that is not yet served."""
    import gradio as gr

    with gr.Blocks(title=f"hf-metairm: {found.folder.resolve().name}", analytics_enabled=False) as page:
        gr.HTML(f"<h1>{words(found.folder.resolve().name)}</h1>" + "".join(map(paragraph, found.notes)))
        which = None
        if len(found.results) > 1:
            which = gr.Dropdown(list(found.results), value=next(iter(found.results)), label="Results", type="value")
        with gr.Tab("Accuracy by environment"):
            _accuracy_tab(found, which)
        with gr.Tab("Trade-off"):
            _trade_off_tab(found, which)
        with gr.Tab("Try a sentence"):
            _sentence_tab(found.models)
    return page


def _accuracy_tab(found: Found, which: Any) -> None:
    import gradio as gr

    if not found.results:
        gr.HTML(paragraph(NO_RESULTS))
        return
    shown = [gr.HTML(part) for part in accuracy(next(iter(found.results.values())))]
    if which is not None:
        which.change(lambda name: accuracy(found.results[name]), which, shown)


def _trade_off_tab(found: Found, which: Any) -> None:
    import gradio as gr

    if not found.results:
        gr.HTML(paragraph(NO_RESULTS))
        return
    first = next(iter(found.results.values()))
    hows = list(SUMMARIES)
    unseen = unseen_environments(first)
    with gr.Row():
        environment = gr.Dropdown(unseen, value=unseen[0] if unseen else None, label="Unseen environment")
        how = gr.Radio(hows, value=hows[0], label="Training environments")
    shown = [gr.HTML(part) for part in _trade_off(first, unseen[0] if unseen else None, hows[0])]

    def drawn(name: str | None, environment: str | None, how: str) -> tuple[str, str]:
        return _trade_off(found.results[name] if name else first, environment, how)

    name = which if which is not None else gr.State(None)
    gr.on([environment.input, how.input], drawn, [name, environment, how], shown)
    if which is not None:

        def others(name: str, how: str) -> tuple[Any, str, str]:
            unseen = unseen_environments(found.results[name])
            chosen = unseen[0] if unseen else None
            return gr.Dropdown(unseen, value=chosen), *_trade_off(found.results[name], chosen, how)

        which.change(others, [which, how], [environment, *shown])


def _trade_off(results: list[Result], environment: str | None, how: str) -> tuple[str, str]:
    return (paragraph(NO_UNSEEN), "") if environment is None else trade_off(results, environment, how)


def _sentence_tab(models: list[SavedModel]) -> None:
    import gradio as gr

    readers = {model.name: model for model in models if model.kind == "text"}
    if not readers:
        names = ", ".join(model.name for model in models)
        gr.HTML(paragraph(NO_SENTENCE.format(names) if models else NO_MODEL))
        return
    picked = gr.CheckboxGroup(list(readers), value=list(readers)[:MOST_TICKED], label="Models")
    builders = {model.builder for model in readers.values()}
    builder = builders.pop() if len(builders) == 1 else None
    turn = None
    if builder is not None and builder.turn_cue("a text") is not None:
        turn = builder.turn_cue
        gr.HTML(paragraph(f"{builder.SUMMARY}."))
    text = gr.Textbox(label="A sentence", lines=2, max_lines=8)
    other = gr.Textbox(
        label="Another version of it",
        placeholder="Left empty: the same with the cue turned round" if turn else "The same without the shortcut, say",
        lines=2,
        max_lines=8,
    )
    made = gr.State("")  # The other version that was written here, and not by the reader.
    button = gr.Button("Classify", variant="primary")
    answer = gr.HTML()

    def classify(names: list[str], text: str, other: str, made: str) -> tuple[str, str, str]:
        if turn and text.strip() and other in ("", made):
            other = made = turn(text)
        return compared([readers[name] for name in names], text, other), other, made

    gr.on([button.click, text.submit, other.submit], classify, [picked, text, other, made], [answer, other, made])
