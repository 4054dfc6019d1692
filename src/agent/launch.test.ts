import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostEnvironment } from "./host-env.ts";
import { commandOf } from "./launch.ts";

const IMAGES = { "web:1": { command: ["node", "web.js"] } };

describe("commandOf()", () => {
  it("takes the command before the image's program, and adds args to either", () => {
    const command = ["run"];
    assert.deepEqual(commandOf({ image: "web:1" }, IMAGES), ["node", "web.js"]);
    assert.deepEqual(commandOf({ image: "web:1", args: ["-p"] }, IMAGES), ["node", "web.js", "-p"]);
    assert.deepEqual(commandOf({ image: "web:1", command }, IMAGES), ["run"]);
    assert.deepEqual(commandOf({ command, args: ["-p"] }, IMAGES), ["run", "-p"]);
  });

  it("gives nothing for an image that is not mapped", () => {
    assert.equal(commandOf({ image: "web:2", args: ["-p"] }, IMAGES), undefined);
    assert.equal(commandOf({ image: "constructor" }, IMAGES), undefined);
  });
});

describe("hostEnvironment()", () => {
  it("passes on what programs need, and no credentials", () => {
    const host = { PATH: "/bin", HOME: "/home/me", KUBECONFIG: "/k", AWS_SECRET_ACCESS_KEY: "s" };
    assert.deepEqual(hostEnvironment(host), { PATH: "/bin", HOME: "/home/me" });
  });

  it("has a PATH in any case", () => {
    assert.match(hostEnvironment({})["PATH"] ?? "", /:\/usr\/bin:/);
  });
});
