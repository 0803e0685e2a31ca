"""A script for ``torchrun``: the trainer of transformers in several processes."""

import sys

import torch
import transformers
from integrations import problem
from torch import nn

import ltc
from ltc.integrations.huggingface import LossRecorder


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = problem.network()

    def forward(self, inputs, labels=None):
        logits = self.network(inputs)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Mappings(torch.utils.data.Dataset):
    def __init__(self, split):
        self.inputs, self.labels = problem.tensors(split)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"inputs": self.inputs[i], "labels": self.labels[i]}


def main():
    store, weights = sys.argv[1:]
    model = Classifier()
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=f"{store}-trainer",
            per_device_train_batch_size=4,
            per_device_eval_batch_size=4,
            eval_strategy="epoch",
            save_strategy="epoch",
            num_train_epochs=4,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=ltc.IndexedDataset(Mappings("train")),
        eval_dataset=ltc.IndexedDataset(Mappings("val")),
    )
    with ltc.Recorder(store, **problem.arguments()) as recorder:
        trainer.add_callback(LossRecorder(trainer, recorder))
        trainer.train()
    if trainer.is_world_process_zero():
        torch.save(model.network.state_dict(), weights)


if __name__ == "__main__":
    main()
