// node bench/startup.mjs [runs]: time from process start to the ready line, and to the first answered request;
// resident memory when idle. Peer in the same run: a Node process that only starts and prints a line.
import { spawnSync } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { get } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { conditions, median, startUp } from "./measure.mjs";

const runs = Number(process.argv[2] ?? 11);
const ready = [];
const answered = [];
const resident = [];
const node = [];
for (let i = 0; i < runs; i++) {
  const before = performance.now();
  spawnSync(process.execPath, ["-e", "console.log(1)"]);
  node.push(performance.now() - before);

  const bare = await startUp();
  ready.push(bare.readyAt - bare.spawnedAt);
  await wait(3000);
  resident.push(bare.residentMb());
  await bare.stop();

  const example = await startUp(["-f", "examples/five-services.yaml"]);
  await firstAnswer(example.dns);
  answered.push(performance.now() - example.spawnedAt);
  await example.stop();
}
const row = (name, values, unit) =>
  console.log(
    `${name.padEnd(58)} median ${median(values).toFixed(0)} ${unit} (min ${Math.min(...values).toFixed(0)}, max ${Math.max(...values).toFixed(0)})`,
  );
console.log(`${conditions()}; ${String(runs)} runs, in turn`);
row("bare `node -e` start to end (floor)", node, "ms");
row("up --ephemeral: process start to ready line", ready, "ms");
row("up -f five-services.yaml: to first answer by name and address", answered, "ms");
row("resident memory, no Services, 3 s after ready", resident, "MB");

/** Asks DNS for the ClusterIP Service's name and sends a request there, until a Pod answers. */
async function firstAnswer(dns) {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([dns]);
  for (;;) {
    try {
      const [address] = await resolver.resolve4("shop.default.svc.cluster.local");
      if ((await request(`http://${address}:8080/`)).includes('"pod"')) return;
    } catch {
      // Not yet.
    }
    await wait(5);
  }
}

function request(url) {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, timeout: 1000 }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}
