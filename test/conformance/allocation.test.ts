import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { createClient } from "../../src/client/rest.ts";
import { ADMIN, cidr, startTestServer } from "../apiserver/test-server.ts";
import type { Answer, TestServer } from "../apiserver/test-server.ts";
import { allocationProblems, readAllocations } from "./allocation-checker.ts";

const SERVICES = "/api/v1/namespaces/default/services";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

/** Small pools, so that writes get into each other's way. */
const SMALL = {
  serviceCidrs: [cidr("10.96.0.0/28"), cidr("fd00:96::/124")],
  nodePortRange: { first: 30_000, last: 30_015 },
};

async function problemsOf(api: TestServer): Promise<readonly string[]> {
  const client = createClient({ transport: (request) => api.server.handle(request, ADMIN) });
  return allocationProblems(await readAllocations(client, api.store));
}

const spec = fc
  .record({
    type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
    policy: fc.constantFrom("SingleStack", "PreferDualStack", "RequireDualStack", undefined),
    isHeadless: fc.boolean(),
    isLocal: fc.boolean(),
    optOut: fc.boolean(),
    ip: fc.option(fc.integer({ min: 0, max: 15 }), { nil: undefined, freq: 4 }),
    nodePort: fc.option(fc.integer({ min: 29_999, max: 30_017 }), { nil: undefined, freq: 4 }),
    ports: fc.uniqueArray(fc.constantFrom("TCP", "UDP", "SCTP"), { minLength: 1 }),
  })
  .map(({ type, policy, isHeadless, isLocal, optOut, ip, nodePort, ports }) => ({
    type,
    ...(type === "ExternalName" ? { externalName: "db.example.com" } : {}),
    ...(policy === undefined || type === "ExternalName" ? {} : { ipFamilyPolicy: policy }),
    ...(isHeadless && type === "ClusterIP" ? { clusterIP: "None" } : {}),
    ...(ip === undefined || isHeadless || type === "ExternalName"
      ? {}
      : { clusterIP: `10.96.0.${String(ip)}` }),
    ...(isLocal && type === "LoadBalancer" ? { externalTrafficPolicy: "Local" } : {}),
    ...(optOut && type === "LoadBalancer" ? { allocateLoadBalancerNodePorts: false } : {}),
    ports: ports.map((protocol, i) => ({
      name: protocol.toLowerCase(),
      port: 53,
      protocol,
      ...(i === 0 && nodePort !== undefined ? { nodePort } : {}),
    })),
  }));

const write = fc.record({
  verb: fc.constantFrom("create", "replace", "patch", "delete", "dryRun", "finalize"),
  name: fc.constantFrom("a", "b", "c", "d", "e"),
  spec,
});

type RandomWrite = typeof write extends fc.Arbitrary<infer T> ? T : never;

function run(api: TestServer, { verb, name, spec: body }: RandomWrite): Promise<Answer> {
  const url = `${SERVICES}/${name}`;
  const object = { metadata: { name }, spec: body };
  switch (verb) {
    case "create":
      return api.call("POST", SERVICES, object);
    case "replace":
      return api.call("PUT", url, object);
    case "patch":
      return api.call("PATCH", url, { spec: body }, MERGE);
    case "dryRun":
      return api.call("POST", `${SERVICES}?dryRun=All`, {
        metadata: { name: `${name}-dry` },
        spec: body,
      });
    case "finalize": {
      // A finalizer comes, or the last one goes, together with a change of the spec.
      const finalizers = body.ports.length > 1 ? ["example.com/wait"] : [];
      return api.call("PATCH", url, { metadata: { finalizers }, spec: body }, MERGE);
    }
    case "delete":
      return api.call("DELETE", url);
  }
}

describe("allocation through the API", () => {
  it("SVC-018, SVC-020, SVC-021, ALLOC-010, ALLOC-032: over any course of writes nothing is held twice, and IPAddresses are exactly what is in use", async () => {
    const outcomes = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(write, { maxLength: 4 }), { maxLength: 8 }),
        async (rounds) => {
          await using api = await startTestServer(SMALL);
          for (const round of rounds) {
            // All of a round at once.
            const answers = await Promise.all(round.map((one) => run(api, one)));
            for (const { status, text } of answers) {
              outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
              assert.ok([200, 201, 404, 409, 422, 500].includes(status), text);
            }
            assert.deepEqual(await problemsOf(api), []);
          }
          await api.restart();
          assert.deepEqual(await problemsOf(api), []);
        },
      ),
      { numRuns: 40 },
    );
    // The course was worth looking at: things were made, changed and refused.
    for (const status of [200, 201, 404, 409, 422]) assert.ok((outcomes.get(status) ?? 0) > 0);
  });

  it("ALLOC-002, ALLOC-010: of 50 creates at once that ask for one address exactly one wins", async () => {
    await using api = await startTestServer();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        api.call("POST", SERVICES, {
          metadata: { name: `s-${String(i)}` },
          spec: { clusterIP: "10.96.0.9", ports: [{ port: 80 }] },
        }),
      ),
    );
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    const lost = answers.filter(({ status }) => status !== 201);
    for (const { status, text } of lost) {
      assert.equal(status, 422);
      assert.match(text, /provided IP is already allocated/);
    }
    assert.deepEqual(await problemsOf(api), []);
  });

  it("ALLOC-001, ALLOC-010: several API servers on one store never give away the same", async () => {
    await using one = await startTestServer(SMALL);
    await using two = await one.another();
    const create = (server: Pick<TestServer, "call">, i: number) =>
      server.call("POST", SERVICES, {
        metadata: { name: `s-${String(i)}` },
        spec: { type: "NodePort", ports: [{ port: 80 }] },
      });
    // 13 addresses and 16 ports; every request has one.
    const answers = await Promise.all(
      Array.from({ length: 13 }, (_, i) => create(i % 2 === 0 ? one : two, i)),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map(() => 201),
    );
    assert.deepEqual(await problemsOf(one), []);
    const same = await Promise.all(
      [one, two].map((server, i) =>
        server.call(
          "PATCH",
          `${SERVICES}/s-${String(i)}`,
          { spec: { type: "ExternalName", externalName: "x" } },
          MERGE,
        ),
      ),
    );
    assert.deepEqual(
      same.map(({ status }) => status),
      [200, 200],
    );
    assert.deepEqual(await problemsOf(one), []);
    const taken = await Promise.all(
      [one, two].map((server, i) =>
        server.call("POST", SERVICES, {
          metadata: { name: `same-${String(i)}` },
          spec: {
            type: "NodePort",
            clusterIP: answers[0]?.json["spec"]?.["clusterIP"],
            ports: [
              { port: 80, nodePort: answers[1]?.json["spec"]?.["ports"]?.["0"]?.["nodePort"] },
            ],
          },
        }),
      ),
    );
    assert.deepEqual(
      taken.map(({ status }) => status).toSorted((a, b) => a - b),
      [201, 422],
    );
    assert.deepEqual(await problemsOf(one), []);
  });
});
