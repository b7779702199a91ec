"""
Fine-tune a text classifier by ERM and by meta-IRM on text from several environments, and compare them.

On the bundled PunctuatedSST-2 (needs `pip install 'hf_metairm[demo]'`):

    accelerate launch trainer_examples/finetune_text.py --config trainer_examples/configs/punctuated_sst2.yaml

On your own file, with rows of one site kept out of training to be the unseen environment:

    accelerate launch trainer_examples/finetune_text.py --dataset reviews.csv --text_column text \
        --environment_column site --unseen_environments berlin --model_name_or_path distilbert-base-uncased

The job itself is `hf_metairm/experiments/finetune_text.py`.
"""

from hf_metairm.experiments.finetune_text import main


if __name__ == "__main__":
    main()
