// Fusion as the library does it, for one list, so that a weight can be changed without scoring again.
// `use` says which places count; a normalisation takes its constants from these alone.

const counted = (values, use) => values.filter((_, place) => use[place]);
const mean = (values) => (values.length ? values.reduce((sum, v) => sum + v, 0) / values.length : 0);

const NORMALISE = {
  none: (values) => values,
  zscore(values, use) {
    const own = counted(values, use);
    const middle = mean(own);
    const deviation = Math.sqrt(mean(own.map((v) => (v - middle) ** 2)));
    return values.map((v) => (deviation > 0 ? (v - middle) / deviation : 0));
  },
  minmax(values, use) {
    const own = counted(values, use);
    const low = Math.min(...own);
    const spread = Math.max(...own) - low;
    return values.map((v) => (spread > 0 ? (v - low) / spread : 0));
  },
  softmax(values, use) {
    const own = counted(values, use);
    const high = Math.max(...own);
    const total = own.reduce((sum, v) => sum + Math.exp(v - high), 0);
    return values.map((v) => (own.length ? Math.exp(Math.min(v - high, 50)) / total : 0));
  },
  rank(values, use) {
    const own = counted(values, use);
    if (own.length < 2 || Math.min(...own) === Math.max(...own)) return values.map(() => 0);
    return values.map((v, place) => {
      const below = own.filter((o) => o < v).length;
      const equal = own.filter((o) => o === v).length - (use[place] ? 1 : 0);
      return Math.min(1, (below + Math.max(equal, 0) / 2) / (own.length - 1));
    });
  },
};

function ranks(scores, before) {
  const order = scores.map((_, place) => place);
  order.sort((a, b) => scores[b] - scores[a] || before[a] - before[b]);
  const found = [];
  order.forEach((place, rank) => { found[place] = rank + 1; });
  return found;
}

function below(scores, above, previous, under) {
  const worst = Math.min(...counted(scores, above));
  const best = Math.max(...counted(previous, under));
  if (!Number.isFinite(worst) || !Number.isFinite(best)) return scores;
  const floor = worst - 1e-6 * Math.max(Math.abs(worst), 1);
  return scores.map((v, place) => (under[place] ? previous[place] - best + floor : v));
}

function join(stage, weight, previous, previousRanks, raw, seen, scored) {
  const taken = raw.map((v) => v ?? 0);
  if (stage.fusion === "replace") {
    return below(taken, scored, previous, seen.map((s, place) => s && !scored[place]));
  }
  if (stage.fusion === "rrf") {
    const own = ranks(taken.map((v, place) => (scored[place] ? v : -Infinity)), previousRanks);
    const part = own.map((rank) => 1 / (stage.k + rank));
    const middle = mean(counted(part, scored));
    return previousRanks.map((r, p) => 1 / (stage.k + r) + (scored[p] ? part[p] : middle));
  }
  const normalise = NORMALISE[stage.normalise] ?? NORMALISE.zscore;
  const fresh = normalise(taken, scored);
  const middle = mean(counted(fresh, scored));
  return normalise(previous, scored).map(
    (v, place) => v + weight * (scored[place] ? fresh[place] : middle),
  );
}

// Returns the hits with new score and rank, best first, for other weights of the stages.
export function fuse(hits, stages, weights) {
  const baseRanks = hits.map((hit) => hit.base_rank);
  let scores = hits.map((hit) => hit.base_score ?? -hit.base_rank);
  let places = baseRanks;
  stages.forEach((stage, number) => {
    const raw = hits.map((hit) => hit.trace[number].score);
    // what a stage with a depth saw when it was served, it sees with other weights: it scores no more
    const seen = hits.map((hit) => !hit.trace[number].note.startsWith("not seen"));
    const scored = raw.map((v, place) => seen[place] && v !== null);
    if (scored.some(Boolean)) {
      const joined = join(stage, weights[number], scores, places, raw, seen, scored);
      scores = below(joined, seen, scores, seen.map((s) => !s));
    }
    places = ranks(scores, baseRanks);
  });
  const found = hits.map((hit, place) => ({ ...hit, score: scores[place], rank: places[place] }));
  return found.sort((a, b) => a.rank - b.rank);
}
