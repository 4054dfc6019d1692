/** npm run kill-loops -- [times] [seed]: the long form of loop-kills.test.ts. */
import { runKills } from "./loop-kills.ts";

const [, , times = "200", seed = "1"] = process.argv;
let state = Number(seed);
const report = await runKills(
  Number(times),
  () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  },
  (text) => process.stderr.write(`${text}\n`),
);
process.stdout.write(`${JSON.stringify(report)}\n`);
