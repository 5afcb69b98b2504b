// Run by test_arithmetic.py, which makes the vectors with companion.arithmetic.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as arithmetic from "../../book/web/arithmetic.js";

const vectors = JSON.parse(readFileSync(process.env.KC_VECTORS, "utf8"));

function close(actual, expected) {
  if (!Array.isArray(expected)) {
    return Math.abs(actual - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
  }
  return Array.isArray(actual) && actual.length === expected.length && expected.every((e, i) => close(actual[i], e));
}

for (const name of new Set(vectors.map((vector) => vector.name))) {
  test(name, () => {
    for (const { args, options = {}, expected, error } of vectors.filter((vector) => vector.name === name)) {
      const call = () => arithmetic[name](...args, ...(Object.keys(options).length ? [options] : []));
      const shown = `${name}(${JSON.stringify(args)}, ${JSON.stringify(options)})`;
      if (error !== undefined) {
        assert.throws(call, (thrown) => {
          assert.equal(thrown.message, error, shown);
          return true;
        }, shown);
      } else {
        const actual = call();
        assert.ok(close(actual, expected), `${shown} gave ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
      }
    }
  });
}
