"""
Train the perceptron of the Colored MNIST experiments by ERM and by meta-IRM, and compare them.

    accelerate launch trainer_examples/train_colored_mnist.py --config trainer_examples/configs/colored_mnist.yaml

The job itself is `hf_metairm/experiments/train_colored_mnist.py`.
"""

from hf_metairm.experiments.train_colored_mnist import main


if __name__ == "__main__":
    main()
