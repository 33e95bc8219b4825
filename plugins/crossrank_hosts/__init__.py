"""crossrank inside other tools, one module each; importing one needs that tool, and never torch.

==================  ==============================================================
``langchain``       `CrossrankCompressor`, a document compressor and a Runnable
``cross_encoder``   `CrossEncoderLike`, in the place of sentence-transformers' class
==================  ==============================================================

All of them make the one call of `_call`, read pictures and texts by `_contents`, and keep the base
score, the base rank and the trace.
"""
