import assert from "node:assert/strict";
import { it } from "node:test";
import { ip, port, silent } from "../../test/dns/fake-upstream.ts";
import { parseCorefile } from "../core/dns/corefile/corefile.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { buildEngine } from "./corefile-engine.ts";

async function socketsOf(corefile: string): Promise<readonly string[]> {
  const deps = {
    openCluster: () => Promise.reject(new Error("there is no cluster here")),
    log: silent,
    metrics: new Metrics(),
    print: () => undefined,
    nowMs: () => 0,
    version: "test",
  };
  const blocks = parseCorefile(corefile, { env: {} });
  const listen = { address: ip("127.0.0.1"), port: port(53) };
  await using engine = await buildEngine(deps, blocks, listen);
  return engine.sockets.map(({ id, blocks: those }) => `${id} ${String(those.length)}`);
}

it("buildEngine() has one zone at several addresses, but only once at each", async () => {
  const block = (key: string, bind = ""): string =>
    `${key} {\n${bind === "" ? "" : `bind ${bind}\n`}}\n`;
  assert.deepEqual(await socketsOf(block(".:53", "127.0.0.2") + block(".:53", "127.0.0.3")), [
    "dns://127.0.0.2:53 1",
    "dns://127.0.0.3:53 1",
  ]);
  assert.deepEqual(await socketsOf(block(".") + block("example.org:53")), ["dns://127.0.0.1:53 2"]);
  // The port, and the addresses of an interface, are known only where the server is.
  for (const text of [block(".:53") + block("."), block(".", "lo") + block(".", "127.0.0.1")]) {
    await assert.rejects(socketsOf(text), /^Error: two server blocks for \. listen on dns:\/\/127/);
  }
});

it("buildEngine() has one certificate at a socket, and one answer to who may come in", async () => {
  const block = (zone: string, tls: string): string => `tls://${zone} {\n tls ${tls}\n}\n`;
  for (const tls of ["a b", "c d {\n  client_auth require\n }"]) {
    const text = block("a.example", "c d") + block("b.example", tls);
    await assert.rejects(
      socketsOf(text),
      /^Error: server blocks on tls:\/\/\S+:853 have different tls;/,
    );
  }
});
