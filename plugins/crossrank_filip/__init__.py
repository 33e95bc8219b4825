"""FILIP token-wise late interaction as a crossrank plugin (Yao et al., ICLR 2022).

Importing this package does not import torch; the training modules
:mod:`crossrank_filip.loss` and :mod:`crossrank_filip.heads` do.
"""
