"""
Every private name of another library that this package calls, overrides or reads, each with why.

They may change with any release: `tests/trainer/test_private.py` looks for each in the installed version, and finds
every use of one that is not listed here. `make test-oldest` and `make test-newest` tell whether they still work.
"""

from __future__ import annotations


PRIVATE: dict[str, dict[str, str]] = {
    "transformers.Trainer": {
        "_inner_training_loop": "overridden: every attempt starts clean, also the smaller batch after memory ran out",
        "_run_epoch": "overridden: the sampler is told the epoch; a run resumed at its end takes no further step",
        "_train_batch_size": "set: a batch made smaller after memory ran out is shared evenly over environments",
        "_get_train_sampler": "overridden: blocks of rows balanced over environments",
        "_prepare_inputs": "called: a batch with one part for each environment is moved to the device",
        "_remove_unused_columns": "called: the rows looked at before training are as in training",
        "_get_collator_with_removed_columns": "overridden: columns are removed inside of the environment collator",
        "_set_signature_columns_if_needed": "overridden: the environment column is kept for the collator",
        "_signature_columns": "read and added to: the columns that reach the model",
        "_get_num_items_in_batch": "called: what the loss of one part of a batch is a mean over",
        "_loss_shifts_labels": "read: whether a loss over tokens leaves out the first label",
        "_track_num_input_tokens": "overridden: the tokens of every environment's part are counted",
        "_eval_dataloaders": "emptied: with persistent workers each environment needs a loader of its own",
        "_load_best_model": "overridden: results of the model before are not those of the best one",
        "_save_optimizer_and_scheduler": "overridden: the algorithm's state goes into the checkpoint",
        "_load_optimizer_and_scheduler": "overridden: and comes back from it",
        "_save_checkpoint": "overridden: a checkpoint is whole or not there; trl's writes a card with every one",
        "_get_output_dir": "overridden: a checkpoint is written beside its place",
        "_push_from_checkpoint": "overridden: it waits for the whole checkpoint",
        "_save": "overridden: a model's files are whole or as they were",
    },
    "trl.SFTTrainer": {
        "_metrics": "exchanged: what is noted of the adapted model is not the model's",
        "_total_train_tokens": "put back: every token of a step is counted once",
        "_name": "read: which of its metrics say how good the model is",
        "_tag_names": "read: they are the card's tags, too",
    },
    "transformers.PreTrainedModel": {
        "_init_weights": "overridden: how a new model's weights are drawn",
        "_auto_class": "read: whether a model is code of its own, which its card says",
        "_gradient_checkpointing_func": "read: reentrant checkpointing has no second derivative",
    },
    "transformers.PreTrainedConfig": {
        "_attn_implementation": "read: flash and flex attention have no second derivative",
        "_name_or_path": "read: the base model that the card names",
    },
    "transformers.AutoModelForSequenceClassification": {
        "_model_mapping": "read: whether a saved model is a classifier of text or of images",
    },
    "accelerate.Accelerator": {
        "_dataloaders": "shortened: a loader of one environment's rows is not kept after its use",
    },
    "torch": {
        "_foreach_add_": "called: one kernel for all parameters",
        "_foreach_sub_": "called: the same",
        "_foreach_mul": "called: the same, into new tensors",
        "_foreach_mul_": "called: the same",
        "_foreach_copy_": "called: the same",
        "_foreach_div_": "called: the same",
    },
    "torch.nn.Module": {
        "_parameters": "exchanged: the adapted parameters stand in the model's own places",
    },
    "torch.nn.modules.batchnorm": {
        "_BatchNorm": "tested for: the base of every batch norm",
    },
    "torch._dynamo.eval_frame.OptimizedModule": {
        "_orig_mod": "read: the model within a compiled one",
    },
    "datasets.Dataset": {
        "_fingerprint": "read: what is made of a dataset is named by it, without a pickle of the function",
        "_indices": "read: the rows of a selection, whose columns would else be gathered row by row",
    },
    "datasets.GeneratorBasedBuilder": {
        "_info": "overridden, as every builder does",
        "_split_generators": "overridden, as every builder does",
        "_generate_examples": "overridden, as every builder does",
        "_download_and_prepare": "overridden: what a killed build left goes before the next one writes",
        "_output_dir": "set: one cache folder for each source",
        "_cache_dir": "set: the same",
        "_build_cache_dir": "called: the same",
    },
    "evaluate.Metric": {
        "_info": "overridden, as every metric does",
        "_compute": "overridden, as every metric does",
    },
}
