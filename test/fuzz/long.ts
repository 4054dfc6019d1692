// Fuzzes the API for as long as is asked: npm run fuzz -- [--minutes 10] [--seed N]
import { parseArgs } from "node:util";
import { runByteCampaign } from "./byte-campaign.ts";
import { runCampaign } from "./campaign.ts";
import { checkHeap } from "./heap.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
  },
});
const endMs = performance.now() + Number(values.minutes) * 60_000;
/** A campaign starts from an empty server, so that a failure can be had again in seconds. */
const REQUESTS = 20_000;
const CONNECTIONS = 300;

const goesOn = (limit: number) => (done: number) => done < limit && performance.now() < endMs;
const totals = new Map<string, number>();
const heap = checkHeap();
for (let seed = Number(values.seed); performance.now() < endMs; seed++) {
  say(`seed ${String(seed)}`);
  add("API", await runCampaign({ seed, goesOn: goesOn(REQUESTS) }));
  add("bytes", await runByteCampaign({ seed, goesOn: goesOn(CONNECTIONS) }));
  heap.check();
}
for (const [what, count] of totals) say(`${what}: ${String(count)}`);
say("all answers were right");

function add(name: string, counts: ReadonlyMap<number, number>): void {
  for (const [code, count] of counts) {
    const what = `${name} ${code === 0 ? "closed without an answer" : String(code)}`;
    totals.set(what, (totals.get(what) ?? 0) + count);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
