"""crossrank inside other tools, one module each; importing one needs that tool, and never torch.

==================  ==============================================================
``langchain``       `CrossrankCompressor`, a document compressor and a Runnable
``llamaindex``      `CrossrankPostprocessor`, a node postprocessor
``haystack``        `CrossrankRanker`, a component
``chroma``          `rerank_result`, of ``collection.query``
``qdrant``          `rerank_points`, scored points or a whole response
``lancedb``         `CrossrankReranker`, for every kind of search
``pyterrier``       `CrossrankTransformer`
``cross_encoder``   `CrossEncoderLike`, in the place of sentence-transformers' class
==================  ==============================================================

All of them make the one call of `_call`, find pictures and texts by `_contents`, and keep the base
score, the base rank and the trace.
"""
