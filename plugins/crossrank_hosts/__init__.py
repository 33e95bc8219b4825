"""crossrank inside other tools, one module each; importing one needs that tool, and never torch.

==================  ==============================================================
``langchain``       `CrossrankCompressor`, a document compressor and a Runnable
``llamaindex``      `CrossrankPostprocessor`, a node postprocessor
``haystack``        `CrossrankRanker`, a component
``chroma``          `rerank_result`, of ``collection.query``
``qdrant``          `rerank_points`, scored points or a whole response
``lancedb``         `CrossrankReranker`, for every kind of search
``pyterrier``       `CrossrankTransformer`
``weaviate``        `rerank_objects`, objects or a whole return
``elasticsearch``   `rerank_response`, of ``client.search``; ``opensearch`` likewise
``vespa``           `rerank_response`, of ``app.query``
``rerankers``       `CrossrankRanker`, a ranker of its kind
``txtai``           `CrossrankSimilarity` for its ``Reranker``, and `rerank_rows`
``dspy``            `CrossrankRerank`, a module around a retriever
``mteb``            `CrossrankCrossEncoder` and `CrossrankSearch`, models under test
``ranx``            `to_run`, `to_qrels`, `candidates`; ``ir_measures`` likewise
``clip_benchmark``  `scores_and_pairs`, for ``recall_at_k``
``cross_encoder``   `CrossEncoderLike`, in the place of sentence-transformers' class
==================  ==============================================================

All of them make the one call of `_call`, find pictures and texts by `_contents`, and keep the base
score, the base rank and the trace.
"""
