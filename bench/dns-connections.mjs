// What an idle connection to `portolan dns` costs, TCP and TLS, and whether questions are answered meanwhile:
// npm run build && node bench/dns-connections.mjs [CONNECTIONS]. Clients are this process, which needs as many open files.
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connect as connectTls } from "node:tls";
import { spawnSync } from "node:child_process";
import { startApi } from "./dns-api.mjs";
import { conditions, cpuMs, residentMb } from "./measure.mjs";

const [count = 10_000] = process.argv.slice(2).map(Number);
const QUESTION = Buffer.concat([
  Buffer.from("0033123401000001000000000000", "hex"),
  Buffer.from("\x05svc-1\x07default\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01", "latin1"),
]);
QUESTION.writeUInt16BE(QUESTION.length - 2, 0);
const dir = mkdtempSync(join(tmpdir(), "portolan-dns-connections-"));
const file = (name) => join(dir, name);
makeCertificate();
console.log(conditions());
const api = await startApi(100, 10, 10);
writeFileSync(
  file("kubeconfig"),
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    clusters: [{ name: "c", cluster: { server: api.url } }],
    users: [{ name: "u", user: {} }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
  }),
);
writeFileSync(
  file("Corefile"),
  `. tls://.:0 {
  tls ${file("tls.crt")} ${file("tls.key")}
  kubernetes cluster.local
}
`,
);
for (const scheme of ["dns", "tls"]) {
  for (const bound of [4096, count + 10]) await measure(scheme, bound);
}
api.close();
rmSync(dir, { recursive: true });

async function measure(scheme, bound) {
  const { child, ports } = await start(bound);
  const open = () => {
    const at = { host: "127.0.0.1", port: ports[scheme] };
    const socket = scheme === "tls" ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
    socket.on("error", () => undefined);
    socket.resume();
    return socket;
  };
  const ready = scheme === "tls" ? "secureConnect" : "connect";
  await ask(open());
  const before = residentMb(child.pid);
  const cpuBefore = cpuMs(child.pid);
  const sockets = [];
  let closed = 0;
  for (let i = 0; i < count; i += 100) {
    const batch = Array.from({ length: 100 }, open);
    for (const socket of batch) socket.once("close", () => (closed += 1));
    await Promise.all(batch.map((socket) => once(socket, ready)));
    sockets.push(...batch);
  }
  const cpu = cpuMs(child.pid) - cpuBefore;
  const startMs = performance.now();
  const last = open();
  await ask(last);
  const answeredMs = performance.now() - startMs;
  const held = count + 1 - closed;
  const kb = ((residentMb(child.pid) - before) * 1024) / held;
  console.log(
    `${scheme}, bound ${bound}: ${count} opened, ${held} held, ${kb.toFixed(1)} KiB each, ${(cpu / count).toFixed(2)} ms of CPU each; a new one was answered in ${answeredMs.toFixed(1)} ms`,
  );
  for (const socket of [...sockets, last]) socket.destroy();
  child.kill("SIGTERM");
  await once(child, "exit");
}

async function ask(socket) {
  socket.write(QUESTION);
  await once(socket, "data");
}

async function start(bound) {
  const args = ["dist/portolan.js", "dns", "--kubeconfig", file("kubeconfig"), "--listen", "127.0.0.1:0", "--corefile", file("Corefile"), "--tcp-connections", String(bound), "-o", "json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const ports = Object.fromEntries(JSON.parse(line).listens.map((each) => [each.slice(0, 3), Number(each.split(":").at(-1))]));
    return { child, ports };
  }
  throw new Error("portolan dns ended before it was ready");
}

function makeCertificate() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(file("tls.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
  const made = spawnSync("openssl", ["req", "-x509", "-new", "-key", file("tls.key"), "-subj", "/CN=dns", "-out", file("tls.crt")]);
  if (made.status !== 0) throw new Error(`openssl: ${String(made.stderr)}`);
}
