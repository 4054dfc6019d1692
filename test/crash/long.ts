// Kills portolan up under load again and again: npm run crash -- [--times 100]
import { parseArgs } from "node:util";
import { makeHome } from "../e2e/portolan.ts";
import { runCrashes } from "./crash-run.ts";

const { values } = parseArgs({ options: { times: { type: "string", default: "100" } } });
const say = (text: string) => process.stdout.write(`${text}\n`);
await using home = await makeHome();
const report = await runCrashes(home, Number(values.times), say);
say(
  `${String(report.crashes)} crashes, ${String(report.acknowledgedWrites)} acknowledged writes, ${String(report.services)} Services: nothing lost, half written, doubled or leaked`,
);
