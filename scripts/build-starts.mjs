// Starts of the program just built, each with an orderly end.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LIMIT_MS = 30_000;

/** Starts and ends `portolan up`. @returns why it could not, or undefined. */
export async function startUpOnce() {
  const free = ["--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"];
  return startOnce(["up", "--ephemeral", ...free, "-o", "json"], process.env, () => true);
}

/** Starts and ends `portolan lab` once it runs a Pod. @returns why it could not, or undefined. */
export async function startLabOnce() {
  const home = mkdtempSync(join(tmpdir(), "portolan-build-"));
  try {
    const started = join(home, "started");
    const manifests = join(home, "manifests.yaml");
    writeFileSync(manifests, manifestsOf(started));
    const env = { ...process.env, XDG_STATE_HOME: home, TMPDIR: home };
    return await startOnce(["lab", "up", "--nodes", "1", "-f", manifests, "-o", "json"], env, () =>
      existsSync(started),
    );
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** A Pod that makes a file, and a Service. */
function manifestsOf(file) {
  const container = {
    name: "main",
    command: ["sh", "-c", 'touch "$1" && exec sleep infinity', "sh", file],
    ports: [{ containerPort: 80 }],
    volumeMounts: [{ name: "settings", mountPath: "/settings" }],
  };
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { a: "1" } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web" },
      spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
    },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web", labels: { app: "web" } },
      spec: {
        containers: [container],
        volumes: [{ name: "settings", configMap: { name: "settings" } }],
      },
    },
  ]
    .map((object) => JSON.stringify(object))
    .join("\n---\n");
}

/** @param isUsed whether the program, once ready, has done all that it is to do. */
async function startOnce(args, env, isUsed) {
  const program = spawn(process.execPath, ["dist/portolan.js", ...args], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  program.stderr.on("data", (chunk) => (said += chunk));
  let look;
  program.stdout.once("data", () => {
    look = setInterval(() => {
      if (!isUsed()) return;
      clearInterval(look);
      program.kill("SIGTERM");
    }, 10);
  });
  const limit = setTimeout(() => program.kill("SIGKILL"), LIMIT_MS);
  try {
    return await new Promise((resolve) => {
      program.once("error", (error) => resolve(String(error)));
      program.once("close", (code, signal) =>
        resolve(
          code === 0
            ? undefined
            : `a first start ended with ${String(code ?? signal)}: ${said.trim()}`,
        ),
      );
    });
  } finally {
    clearInterval(look);
    clearTimeout(limit);
  }
}
