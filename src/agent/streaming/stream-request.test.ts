import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseTerminalSize } from "./client-streams.ts";
import { renderStatus } from "./status.ts";
import { parseStreamRequest } from "./stream-request.ts";

const parse = (path: string) => parseStreamRequest(new URL(path, "https://agent"));

describe("parseStreamRequest()", () => {
  it("reads what the API server asks for", () => {
    assert.deepEqual(
      parse("/exec/ns/p/c?command=sh&command=-c&command=a%20b&input=1&output=1&tty=1"),
      {
        kind: "exec",
        namespace: "ns",
        pod: "p",
        container: "c",
        command: ["sh", "-c", "a b"],
        choice: { stdin: true, stdout: true, stderr: false, tty: true },
      },
    );
    assert.deepEqual(parse("/attach/ns/p/c?output=1&error=1"), {
      kind: "attach",
      namespace: "ns",
      pod: "p",
      container: "c",
      command: [],
      choice: { stdin: false, stdout: true, stderr: true, tty: false },
    });
    assert.deepEqual(parse("/portForward/ns/p?port=80&port=81"), {
      kind: "portForward",
      namespace: "ns",
      pod: "p",
      ports: ["80", "81"],
    });
  });

  it("says what is missing", () => {
    assert.match(JSON.stringify(parse("/exec/ns/p/c?output=1")), /at least 1 command/);
    assert.match(JSON.stringify(parse("/exec/ns/p/c?command=a")), /at least 1 of stdin/);
  });

  it("knows no other paths", () => {
    for (const path of [
      "/",
      "/exec/ns/p",
      "/portForward/ns/p/c",
      "/exec/ns/p/c/d",
      "/exec/%ff/p/c",
    ])
      assert.equal(parse(path).kind, "other", path);
    fc.assert(
      fc.property(fc.webPath(), (path) => {
        assert.equal(parse(`/x${path}`).kind, "other");
      }),
    );
  });
});

describe("parseTerminalSize()", () => {
  it("reads a size, and nothing else", () => {
    assert.deepEqual(parseTerminalSize('{"Width":80,"Height":24}'), { columns: 80, rows: 24 });
    for (const bad of [
      "",
      "{",
      "null",
      "7",
      "{}",
      '{"Width":0,"Height":1}',
      '{"Width":80,"Height":70000}',
    ])
      assert.equal(parseTerminalSize(bad), undefined, bad);
  });
});

describe("renderStatus()", () => {
  it("gives exit codes as clients look for them", () => {
    const { reason, details } = JSON.parse(renderStatus({ kind: "exited", exitCode: 7 }));
    assert.equal(reason, "NonZeroExitCode");
    assert.deepEqual(details, { causes: [{ reason: "ExitCode", message: "7" }] });
    assert.equal(JSON.parse(renderStatus({ kind: "exited", exitCode: 0 })).status, "Success");
  });
});
