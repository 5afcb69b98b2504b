// Answers questions of the tests: JSON in from stdin, JSON out. Which module is asked, the argument says.
import { readFileSync } from "node:fs";

import * as digits from "../../book/web/digit-model.js";
import * as filters from "../../book/web/filter-model.js";
import * as networks from "../../book/web/network-model.js";

const ANSWERS = {
  filters: (questions) =>
    questions.map(({ picture, kernel, options }) => {
      const [height, width] = [picture.length, picture[0].length];
      const map = { data: Float32Array.from(picture.flat()), width, height };
      const output = filters.correlate(map, kernel, options);
      const places = [[0, 0], [output.height - 1, output.width - 1]];
      const corners = places.map((at) => filters.cornerOf(map, kernel.length, at, options));
      const middle = (kernel.length - 1) / 2;
      const back = corners.map(([i, j]) => filters.outputAt(map, kernel.length, [i + middle, j + middle], options));
      return { ...output, data: [...output.data], corners, places, back, rectified: [...filters.rectify(output).data] };
    }),
  presets: () => Object.fromEntries(Object.entries(networks.PRESETS).map(([k, v]) => [k, v.text])),
  networks: (texts) =>
    texts.map((text) => {
      const network = networks.read(text);
      const answer = { ...networks.analyse(network), text: networks.write(network) };
      if (answer.total) answer.code = networks.kerasCode(network);
      return answer;
    }),
  reading: (texts) =>
    texts.map((text) => {
      try {
        return networks.read(text);
      } catch (error) {
        return error.message;
      }
    }),
  digits: ({ weights, shapes, images }) => {
    const arrays = digits.unpack(weights, shapes);
    return images.map((image) => {
      const { first, second, probabilities } = digits.classify(Float32Array.from(image), arrays);
      return { first: [...first.values], second: [...second.values], probabilities };
    });
  },
  drawings: (drawings) =>
    drawings.map(({ radius, lines }) => {
      const drawing = digits.blank();
      for (const [from, to] of lines) digits.stroke(drawing, from, to, radius);
      const digit = digits.prepare(drawing);
      return { drawing: [...drawing], digit: digit && [...digit] };
    }),
};

const answer = ANSWERS[process.argv[2]](JSON.parse(readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify(answer));
