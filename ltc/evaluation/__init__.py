"""How good scores and coresets are; arrays in and out, so that any tool's can be judged.

=========================  ====================================================================
`lds`                      do sums of scores foretell what models of subsets say of a query
`flipped_auc`              do low scores find wrong labels
`accuracy_curve`           how accurate models of coresets are, beside a random subset's
`worst_class_accuracy`     and in the class where they are worst; `class_accuracy` in each
`bootstrap_interval`       how far a mean of repetitions can be trusted
`paired_difference`        and a difference from a baseline of the same seeds
`rank_agreement`           do two scores order the samples alike
`overlap`                  do two selections share their samples
=========================  ====================================================================

It needs nothing but NumPy: ``import ltc.evaluation``.
"""

from ltc.evaluation.accuracies import AccuracyCurve
from ltc.evaluation.agreement import overlap, rank_agreement
from ltc.evaluation.curves import accuracy_curve
from ltc.evaluation.datamodels import lds
from ltc.evaluation.intervals import Interval, bootstrap_interval, paired_difference
from ltc.evaluation.labels import class_accuracy, flipped_auc, worst_class_accuracy

__all__ = [
    "AccuracyCurve",
    "Interval",
    "accuracy_curve",
    "bootstrap_interval",
    "class_accuracy",
    "flipped_auc",
    "lds",
    "overlap",
    "paired_difference",
    "rank_agreement",
    "worst_class_accuracy",
]
