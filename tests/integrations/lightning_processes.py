"""A script that Lightning starts once more for each further process."""

import sys

import lightning.pytorch as lightning
import torch
from integrations import problem
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ltc
from ltc.integrations.lightning import LossRecorder


class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = problem.network()

    def training_step(self, batch):
        inputs, targets, _ = batch
        logits = self.network(inputs)
        return {"loss": nn.functional.cross_entropy(logits, targets), "logits": logits}

    def validation_step(self, batch):
        return {"logits": self.network(batch[0])}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def main():
    store, weights = sys.argv[1:]
    train, val = (
        DataLoader(ltc.IndexedDataset(TensorDataset(*problem.tensors(split))), batch_size=4)
        for split in ("train", "val")
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=4,
        callbacks=[LossRecorder(store, **problem.arguments())],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Module()
    trainer.fit(module, train, val)
    if trainer.is_global_zero:
        torch.save(module.network.state_dict(), weights)


if __name__ == "__main__":
    main()
