// Clients from npm: each ranks the texts that standard input holds and prints what it read.

import { readFileSync } from "node:fs";

const { url, query, texts, closed } = JSON.parse(readFileSync(0, "utf8"));
const token = "secret";

const CLIENTS = {
  async "cohere-ai v2"() {
    const { CohereClientV2 } = await import("cohere-ai");
    const client = new CohereClientV2({ token, environment: url, baseUrl: url });
    const found = await client.rerank({ model: "any", query, documents: texts, topN: 3 });
    return found.results.map((r) => [r.index, r.relevanceScore]);
  },
  async "cohere-ai v1"() {
    const { CohereClient } = await import("cohere-ai");
    const client = new CohereClient({ token, environment: url, baseUrl: url });
    const found = await client.rerank({ model: "any", query, documents: texts, topN: 3 });
    return found.results.map((r) => [r.index, r.relevanceScore]);
  },
  async voyageai() {
    const { VoyageAIClient } = await import("voyageai");
    const client = new VoyageAIClient({ apiKey: token, environment: `${url}/v1` });
    const found = await client.rerank({ model: "any", query, documents: texts, topK: 3 });
    return found.data.map((r) => [r.index, r.relevanceScore]);
  },
  async "ai + @ai-sdk/cohere"() {
    const { rerank } = await import("ai");
    const { createCohere } = await import("@ai-sdk/cohere");
    const cohere = createCohere({ baseURL: `${url}/v2`, apiKey: token });
    const found = await rerank({ model: cohere.reranking("any"), query, documents: texts, topN: 3 });
    return found.ranking.map((r) => [r.originalIndex, r.score]);
  },
  async "@langchain/cohere"() {
    const { CohereRerank } = await import("@langchain/cohere");
    const { CohereClient } = await import("cohere-ai");
    const client = new CohereClient({ token, environment: url, baseUrl: url });
    const reranker = new CohereRerank({ client, model: "any", topN: 3 });
    const found = await reranker.rerank(texts, query);
    return found.map((r) => [r.index, r.relevanceScore]);
  },
};

const results = {};
for (const [name, ask] of Object.entries(closed ? CLIENTS : {})) {
  try {
    results[name] = { texts: await ask() };
  } catch (error) {
    results[name] = { error: `${error.name}: ${error.message}`.slice(0, 300) };
  }
}
console.log(JSON.stringify(results));
