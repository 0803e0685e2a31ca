"""Recording in the loops of others; each module is named after the package it is for.

==================================  ===========================================================
`ltc.integrations.lightning`        a callback for Lightning's `Trainer`
`ltc.integrations.huggingface`      a callback for the `Trainer` of transformers
`ltc.integrations.accelerate`       what a loop with accelerate saves and loads
`ltc.integrations.composer`         a callback for Composer's `Trainer`
`ltc.integrations.timm`             the index of the image that timm really read; subsets
`ltc.integrations.tokens`           losses of sequences from losses of tokens; needs torch only
==================================  ===========================================================
"""
