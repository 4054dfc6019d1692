import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseLogRequest } from "./log-request.ts";

const NOW = 100_000;

function parse(path: string): ReturnType<typeof parseLogRequest> {
  return parseLogRequest(new URL(path, "https://agent"), NOW);
}

describe("parseLogRequest()", () => {
  it("reads the path and all parameters", () => {
    assert.deepEqual(
      parse(
        "/containerLogs/shop/web/main?follow=true&previous=true&timestamps=true&tailLines=3&sinceSeconds=10&limitBytes=7",
      ),
      {
        kind: "logs",
        namespace: "shop",
        pod: "web",
        container: "main",
        previous: true,
        query: { follow: true, timestamps: true, tailLines: 3, sinceMs: 90_000, limitBytes: 7 },
      },
    );
  });

  it("has nothing set by default", () => {
    const asked = parse("/containerLogs/shop/web/main");
    assert.deepEqual(asked.kind === "logs" ? [asked.previous, asked.query] : asked, [
      false,
      {
        follow: false,
        timestamps: false,
        tailLines: undefined,
        sinceMs: undefined,
        limitBytes: undefined,
      },
    ]);
  });

  it("reads sinceTime", () => {
    const asked = parse("/containerLogs/a/b/c?sinceTime=1970-01-01T00:00:05Z");
    assert.equal(asked.kind === "logs" ? asked.query.sinceMs : asked, 5_000);
  });

  it("refuses numbers that are none, by name", () => {
    for (const query of [
      "tailLines=-1",
      "tailLines=x",
      "limitBytes=0",
      "sinceSeconds=1.5",
      "sinceTime=x",
    ]) {
      const asked = parse(`/containerLogs/a/b/c?${query}`);
      assert.equal(asked.kind, "invalid", query);
      assert.ok(asked.kind === "invalid" && asked.message.startsWith(query.split("=")[0] ?? "?"));
    }
  });

  it("leaves other paths alone", () => {
    for (const path of [
      "/",
      "/healthz",
      "/containerLogs/a/b",
      "/containerLogs/a/b/c/d",
      "/containerLogs/a/%zz/c",
    ])
      assert.deepEqual(parse(path), { kind: "other" }, path);
  });
});
