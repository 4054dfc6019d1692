// What `portolan dns` costs a question, beside other servers on the same machine in the same run:
// npm run build && node bench/dns.mjs [SERVICES HEADLESS ENDPOINTS [SECONDS [alone]]]; alone: without the other servers.
// All servers run at once and are asked in turn, so that other work on the machine meets all alike. The load generators
// have the same cores. CPU is the server's processes' own, user and system.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startApi } from "./dns-api.mjs";
import { CHANGED, questions } from "./dns-cluster.mjs";
import { loadsOf, memoryMb, question, sample } from "./dns-load.mjs";
import { COREDNS, KNOT, MIEKG, NSD, yardsticks } from "./dns-yardsticks.mjs";
import { conditions, cpuMs, median, percentile, temporaryFolder } from "./measure.mjs";

const [services = 9000, headless = 1000, endpoints = 100, seconds = 2] = process.argv.slice(2, 6).map(Number);
const isAlone = process.argv[6] === "alone";
const size = [services, headless, endpoints];
const SAMPLES = 3;
const COLD_STARTS = 3;
const CHANGES = 200;
const ASK_AGAIN_MS = 100;
const THREADS = "portolan dns --workers 2";
const dir = temporaryFolder();
const asked = join(dir, "questions");
const list = questions(100_000, ...size).map((each) => `${each.join(" ")}\n`);
writeFileSync(asked, list.join(""));
const loads = await loadsOf(asked);
const [{ load: blast }] = loads;
const name = (label) => `${label}.default.svc.cluster.local`;

console.log(conditions());
console.log(
  `${services + headless} Services, ${headless * endpoints + 5000} headless endpoints (5,000 of one Service), ${new Set(list).size} different questions; medians of ${SAMPLES} samples of ${seconds} s`,
);
console.log(`asked by ${loads.map(({ label, what }) => `"${label}": ${what}`).join("; ")}; each on the servers' cores, with 256 questions under way`);
const api = await startApi(...size);
const kubeconfig = join(dir, "kubeconfig");
writeFileSync(
  kubeconfig,
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server: api.url } }],
    users: [{ name: "u", user: {} }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
  }),
);
let nextPort = 20_053;
const others = isAlone ? [] : await yardsticks(dir, size, kubeconfig);
// Those that run, also when this ends in the middle.
const running = new Set();
process.once("exit", () => {
  for (const child of running) child.kill("SIGTERM");
});

await coldStart("portolan dns", (port) => startPortolan(port, 1));
const coreDns = others.find(([label]) => label === COREDNS);
if (coreDns !== undefined) await coldStart(...coreDns);

const servers = [];
for (const [label, start] of [
  [THREADS, (port) => startPortolan(port, 2)],
  // A limit that nobody reaches: what counting costs.
  ["portolan dns --rate-limit", (port) => startPortolan(port, 2, undefined, ["--rate-limit", "999999999"])],
  ["portolan dns --workers 0", (port) => startPortolan(port, 0)],
  ["portolan dns without the native library", (port) => startPortolan(port, 2, withoutKoffi())],
  ...others,
]) {
  const port = nextPort++;
  const child = started(start(port));
  await firstAnswer(port, name("svc-1"));
  const before = memoryMb(child.pid);
  // Until each question was asked twice: the threads' answers are made then. Others remember nothing, or in a second.
  const least = label === THREADS ? 3 * list.length : 1;
  for (let total = 0; total < least; ) total += (await blast(port, 1)).answers;
  servers.push({ label, port, child, before, samples: loads.map(() => []) });
}
for (let i = 0; i < SAMPLES; i++) {
  for (const [which, { load }] of loads.entries()) {
    for (const server of servers) server.samples[which].push(await sample(load, server.port, server.child.pid, seconds));
  }
}
/** One figure for each load. */
const figures = servers.map(({ label, child, before, samples }) => {
  const of = (key) => samples.map((all) => median(all.map((each) => each[key])));
  return {
    server: label,
    perSecond: of("perSecond"),
    us: of("us"),
    loadUs: of("loadUs"),
    before,
    after: memoryMb(child.pid),
    lost: samples.map((all) => all.reduce((sum, each) => sum + each.lost, 0)),
    codes: samples[0][0].codes,
  };
});
const [ours] = figures;
printFigures();
printBars();
const [threads] = servers;
await changes(threads.port, threads.child.pid);
for (const { child } of servers) await stop(child);
api.close();

function printFigures() {
  const rows = figures.map(({ server, perSecond, us, loadUs, lost, before, after }) => [
    server,
    ...loads.flatMap((_, i) => [thousands(perSecond[i]), us[i].toFixed(2), loadUs[i]?.toFixed(2) ?? "-", lost[i]]),
    (us[0] / ours.us[0]).toFixed(2),
    `${before.rss.toFixed(0)} / ${before.pss.toFixed(0)}`,
    `${after.rss.toFixed(0)} / ${after.pss.toFixed(0)}`,
  ]);
  const ofLoads = loads.flatMap(({ label }) => [`${label}: questions/s`, "us CPU each", "its own", "lost"]);
  const head = ["server", ...ofLoads, "its / our CPU", "MB RSS / PSS at first", "after all"];
  console.log(`| ${head.join(" | ")} |\n|${head.map(() => " --- |").join("")}`);
  for (const row of rows) console.log(`| ${row.join(" | ")} |`);
  console.log(`codes: ${figures.map(({ server, codes }) => `${server} ${JSON.stringify(codes)}`).join("; ")}`);
}

/** Bounds on questions a second are held against the first load, and what the others say stands behind it. */
function printBars() {
  const ratios = (label) => {
    const other = figures.find(({ server }) => server === label);
    return other && ours.perSecond.map((own, i) => own / other.perSecond[i]);
  };
  const bars = [
    ["CPU a question <= 7 us", ours.us, ours.us.every((us) => us <= 7)],
    ...[
      [MIEKG, 3],
      [NSD, 1],
      [KNOT, 1],
      [COREDNS, 1],
    ].map(([label, least]) => [`questions/s at least ${least} x ${label}'s`, ratios(label), ratios(label)?.[0] >= least]),
    ["resident MB after all questions <= 250 (10,000 Services) or 110 (1,000)", [ours.after.rss], ours.after.rss <= (services + headless > 1000 ? 250 : 110)],
  ];
  for (const [what, values, holds] of bars) {
    if (values === undefined) continue;
    const [first, ...others] = values.map((value, i) => (i === 0 ? value.toFixed(2) : `${loads[i].label} ${value.toFixed(2)}`));
    console.log(`${holds ? "holds" : "does not hold"}: ${what}: ${first}${others.length > 0 ? ` (${others.join(", ")})` : ""}`);
  }
}

function startPortolan(port, workers, program = "dist/portolan.js", more = []) {
  const args = [program, "dns", "--kubeconfig", kubeconfig, "--listen", `127.0.0.1:${port}`, "--workers", String(workers), ...more, "-o", "json"];
  return spawn(process.execPath, args, { stdio: ["ignore", "ignore", process.env.VERBOSE ? "inherit" : "ignore"] });
}

/** The program as it is where koffi cannot load: threads that cannot run leave it to Node's own sockets. */
function withoutKoffi() {
  const folder = join(dir, "without-koffi");
  mkdirSync(join(folder, "node_modules"), { recursive: true });
  cpSync("dist", join(folder, "dist"), { recursive: true });
  cpSync("package.json", join(folder, "package.json"));
  for (const { name: entry } of readdirSync("node_modules", { withFileTypes: true })) {
    if (entry.startsWith(".") || entry.includes("koffi") || entry.includes("koromix")) continue;
    symlinkSync(resolve("node_modules", entry), join(folder, "node_modules", entry));
  }
  return join(folder, "dist/portolan.js");
}

/** From the start of the program to its first right answer, asked every 2 ms. */
async function coldStart(label, start) {
  const times = [];
  for (let i = 0; i < COLD_STARTS; i++) {
    const port = nextPort++;
    const began = performance.now();
    const child = started(start(port));
    await firstAnswer(port, name("svc-1"));
    times.push(performance.now() - began);
    await stop(child);
  }
  console.log(`${label}: from exec to the first right answer ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
}

/** How long a change of an endpoint takes from the API's event to the answer, with nothing else to do. */
async function changes(port, pid) {
  const socket = createSocket("udp4");
  let id = 0;
  // Until it is answered: what is lost is asked again.
  const ask = () =>
    new Promise((done) => {
      id = (id + 1) & 0xffff;
      const message = question(id, name(CHANGED), "A");
      const send = () => socket.send(message, port, "127.0.0.1");
      const again = setInterval(send, ASK_AGAIN_MS);
      const take = (answer) => {
        // A late answer to a question asked twice.
        if (answer.readUInt16BE(0) !== message.readUInt16BE(0)) return;
        clearInterval(again);
        socket.off("message", take);
        done((answer[3] & 15) === 0);
      };
      socket.on("message", take);
      send();
    });
  const times = [];
  const before = cpuMs(pid);
  for (let i = 0; i < CHANGES; i++) {
    const began = performance.now();
    const isThere = api.change();
    while ((await ask()) !== isThere);
    times.push(performance.now() - began);
  }
  socket.close();
  const cpu = (cpuMs(pid) - before) / CHANGES;
  console.log(
    `endpoint of 5,000 changed ${CHANGES} times: event written to answer changed p50 ${median(times).toFixed(1)} ms, p99 ${percentile(times, 99).toFixed(1)} ms; ${cpu.toFixed(2)} ms CPU each, with the questions asked meanwhile`,
  );
}

/** Waits until a server answers a name with records. */
async function firstAnswer(port, asked) {
  const socket = createSocket("udp4");
  const answered = new Promise((done) => {
    socket.on("message", (message) => {
      if ((message[3] & 15) === 0 && message.readUInt16BE(6) > 0) done();
    });
  });
  // Nobody may listen yet.
  socket.on("error", () => undefined);
  const timer = setInterval(() => socket.send(question(7, asked, "A"), port, "127.0.0.1"), 2);
  await answered;
  clearInterval(timer);
  socket.close();
}

function started(child) {
  running.add(child);
  return child;
}

async function stop(child) {
  running.delete(child);
  if (child.exitCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

function thousands(value) {
  return Number.isNaN(value) ? "-" : Math.round(value).toLocaleString("en");
}
