// A heat map over a picture: one pixel per patch, nothing smoothed; pale fits best.

const ANCHORS = [[20, 11, 53], [92, 22, 110], [168, 44, 92], [229, 92, 48], [251, 165, 26], [252, 250, 180]];
const OPACITY = [0.35, 0.8];

export function range(heat) {
  const all = heat.values.flat(2).filter((v) => v !== null);
  return [Math.min(...all), Math.max(...all)];
}

export function paint(canvas, heat, word) {
  const map = heat.values[word];
  const [low, high] = range(heat);
  const [x0, y0, x1, y1] = heat.extent;
  canvas.width = map[0].length;
  canvas.height = map.length;
  Object.assign(canvas.style, {
    left: `${100 * x0}%`, top: `${100 * y0}%`,
    width: `${100 * (x1 - x0)}%`, height: `${100 * (y1 - y0)}%`,
  });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  map.flat().forEach((value, place) => {
    if (value === null) return;
    const share = high > low ? (value - low) / (high - low) : 0;
    const stop = Math.min(share * (ANCHORS.length - 1), ANCHORS.length - 1.001);
    const [from, to, part] = [ANCHORS[Math.floor(stop)], ANCHORS[Math.floor(stop) + 1], stop % 1];
    const colour = from.map((c, n) => c + part * (to[n] - c));
    const opacity = OPACITY[0] + share * (OPACITY[1] - OPACITY[0]);
    pixels.data.set([...colour, 255 * opacity], 4 * place);
  });
  context.putImageData(pixels, 0, 0);
}
