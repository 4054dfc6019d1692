import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { silent } from "../../test/dns/fake-upstream.ts";
import { DnsIndex } from "../core/dns/dns-index.ts";
import { decodeMessage } from "../core/dns/decode.ts";
import { startForwarder } from "./forwarder.ts";
import { NO_METRICS } from "./metrics.ts";
import { createResponder, guarded } from "./responder.ts";

const peer = { address: "127.0.0.1", port: 4242 };
const query = Buffer.from(
  "000701000001000000000001037765620764656661756c740373766307636c7573746572056c6f63616c0000010001" +
    "00002904d0000000000000",
  "hex",
);

it("createResponder() answers hostile bytes with a well-formed message that repeats the id, or not at all", async () => {
  await using forwarder = startForwarder({
    upstreams: () => Promise.resolve([]),
    log: silent,
    nowMs: () => 0,
  });
  const index = new DnsIndex();
  index.setNamespace("default", true);
  const respond = createResponder({ metrics: NO_METRICS, nowMs: () => 0 }, [
    {
      zones: [[]],
      forwards: [{ from: [], except: [], forwarder }],
      cluster: {
        index: () => index,
        zone: {
          zones: [["cluster", "local"]],
          reverseZones: [],
          fallthrough: [],
          ignoresEmptyServices: false,
          autopath: undefined,
          reverseCidrs: [],
          ttlSeconds: 5,
          firstSerial: 1,
          podRecords: "insecure",
          serverAddresses: [],
        },
      },
    },
  ]);
  const edits = fc.array(fc.tuple(fc.nat(query.length - 1), fc.nat(255)), { maxLength: 4 });
  const hostile = fc.oneof(
    edits.map((changes) => {
      const bytes = Uint8Array.from(query);
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    }),
    fc.uint8Array({ maxLength: 100 }),
  );
  let answered = 0;
  await fc.assert(
    fc.asyncProperty(hostile, async (bytes) => {
      const answer = await respond(bytes, "udp", peer);
      if (answer === undefined) return;
      assert.ok(answer instanceof Uint8Array);
      answered += 1;
      const message = decodeMessage(answer);
      assert.ok(message?.isResponse);
      assert.equal(message.id, ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0));
      assert.ok(answer.length <= 512 + 720);
    }),
    { numRuns: 2000 },
  );
  assert.ok(answered > 500, String(answered));
});

it("guarded() drops the question whose answering fails, at once or later, and nothing else", async () => {
  const defect = (): never => {
    throw new Error("defect");
  };
  assert.equal(guarded(defect, silent)(query, "udp", peer), undefined);
  assert.equal(
    await guarded(() => Promise.reject(new Error("late")), silent)(query, "udp", peer),
    undefined,
  );
  const echo = guarded((message) => message, silent);
  assert.equal(echo(query, "udp", peer), query);
});
