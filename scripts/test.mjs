// Runs every test file: node --import tsx scripts/test.mjs [part of a file name ...]
// Installs the tools that tests drive where it may (root on Debian), says so, and names what is skipped.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { relative, resolve } from "node:path";
import { run } from "node:test";

const TOOLS = {
  dig: "dnsutils",
  curl: "curl",
  unshare: "util-linux",
  nft: "nftables",
  ip: "iproute2",
  nc: "netcat-openbsd",
  iperf3: "iperf3",
  conntrack: "conntrack",
};

installTools();
// End-to-end tests start dist/portolan.js: it must be made of these sources.
execFileSync(process.execPath, ["scripts/build.mjs"], { stdio: "inherit" });

const wanted = process.argv.slice(2);
const files = ["src", "test"]
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true }).map((name) => `${folder}/${String(name)}`),
  )
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort()
  .map((name) => resolve(name));

const durations = new Map();
const counts = { passed: 0, failed: 0, skipped: 0 };
const skipped = [];
for await (const event of run({ files, concurrency: 2, timeout: 120_000 })) {
  const { type, data } = event;
  if (type === "test:stderr") process.stderr.write(data.message);
  if (type !== "test:pass" && type !== "test:fail") continue;
  // A suite, and the entry that stands for a whole file, only sum up their tests; but a file can fail as a whole.
  if (data.nesting === 0)
    durations.set(data.file, (durations.get(data.file) ?? 0) + data.details.duration_ms);
  const isContainer = data.details.type === "suite" || files.includes(data.name);
  if (isContainer && (type === "test:pass" || isFailureOfChildren(data))) continue;
  if (data.skip !== undefined) {
    counts.skipped++;
    skipped.push(`${data.name}: ${typeof data.skip === "string" ? data.skip : "skipped"}`);
  } else if (type === "test:pass") counts.passed++;
  else {
    counts.failed++;
    const error = data.details.error?.cause ?? data.details.error;
    console.log(`FAILED ${data.name} (${data.file ?? ""})`);
    console.log(error?.stack ?? String(error));
  }
}
const slowest = [...durations].sort(([, a], [, b]) => b - a).slice(0, 5);
for (const [file, ms] of slowest) console.log(`${(ms / 1000).toFixed(1)} s ${relative(".", file)}`);
for (const line of skipped) console.log(`SKIPPED ${line}`);
console.log(
  `${String(counts.passed)} passed, ${String(counts.failed)} failed, ${String(counts.skipped)} skipped`,
);
process.exit(counts.failed === 0 && counts.passed > 0 ? 0 : 1);

function isFailureOfChildren(data) {
  return data.details.error?.failureType === "subtestsFailed";
}

function installTools() {
  const missing = Object.keys(TOOLS).filter(
    (tool) => spawnSync("sh", ["-c", 'command -v "$1"', "sh", tool]).status !== 0,
  );
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => TOOLS[tool]))];
  if (process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) {
    console.log(`not found: ${missing.join(", ")}; tests that need them are skipped`);
    console.log(`to run them: sudo apt-get install ${packages.join(" ")}`);
    return;
  }
  console.log(
    `installing ${packages.join(" ")} with apt-get, for tests that drive ${missing.join(", ")}`,
  );
  const options = {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  execFileSync("apt-get", ["update", "-q"], options);
  execFileSync("apt-get", ["install", "-y", "-q", ...packages], options);
}
