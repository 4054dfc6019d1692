import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { startPortolan } from "./portolan.ts";
import type { Home, Started, Up } from "./portolan.ts";
import { eventually, run } from "./tools.ts";

export interface Dns extends Started {
  readonly address: string;
  /** dig's answer section, a record a line, or its status when there is none. */
  ask(...args: string[]): Promise<readonly string[]>;
}

/** `portolan dns` beside a cluster, asked by dig. */
export async function startDns(
  home: Home,
  up: Up,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Dns> {
  const command = [
    "dns",
    "--kubeconfig",
    up.kubeconfig,
    "--listen",
    "127.0.0.1:0",
    "-o",
    "json",
    ...args,
  ];
  const started = startPortolan(home, command, env);
  const line = await eventually("dns is ready", () =>
    started
      .stdout()
      .split("\n")
      .find((text) => text.startsWith("{")),
  );
  // The program's own ready line.
  const { dns } = JSON.parse(line) as { dns: string };
  const [host = "", port = ""] = dns.split(":");
  return {
    ...started,
    address: dns,
    ask: async (...question) => {
      const flags = ["+time=5", "+tries=1", "+noall", "+answer", "+comments"];
      const { stdout } = await run("dig", [`@${host}`, `-p${port}`, ...flags, ...question]);
      const records = stdout
        .split("\n")
        .filter((text) => text !== "" && !text.startsWith(";"))
        .map((text) => text.replaceAll(/\s+/g, " "));
      return records.length > 0 ? records : [/status: (\w+)/.exec(stdout)?.[1] ?? stdout];
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}
