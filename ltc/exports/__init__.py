"""Scores and coresets for others: methods of `ltc.Scores` and `ltc.Coreset`.

================  =================================================================================
`tables`          pandas, Arrow, Parquet
`data_sets`       the samples of a coreset from a data set of torch, `datasets` or timm
`names`           keys for webdataset's shards, lists and folders of files
`voxels`          fields and tags in FiftyOne
================  =================================================================================

Others' packages are imported when first needed.
"""
