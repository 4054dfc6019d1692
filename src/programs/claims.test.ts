import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { it } from "node:test";
import { claim } from "./claims.ts";

const HOLDER = { pid: process.pid, dataDir: "/somewhere" };

it("claim() gives a name to one holder at a time and says who has it", async () => {
  const name = `test/${String(process.pid)}/one`;
  const first = await claim([name], HOLDER);
  assert.ok(first.kind === "claimed");
  assert.deepEqual(await claim([name], HOLDER), { kind: "taken", name, holder: HOLDER });
  await first[Symbol.asyncDispose]();
  const second = await claim([name], HOLDER);
  assert.ok(second.kind === "claimed");
  await second[Symbol.asyncDispose]();
});

it("claim() takes all names or none", async () => {
  const [a, b] = [`test/${String(process.pid)}/a`, `test/${String(process.pid)}/b`];
  const held = await claim([b], HOLDER);
  assert.ok(held.kind === "claimed");
  assert.equal((await claim([a, b], HOLDER)).kind, "taken");
  const free = await claim([a], HOLDER);
  assert.equal(free.kind, "claimed");
  await held[Symbol.asyncDispose]();
  if (free.kind === "claimed") await free[Symbol.asyncDispose]();
});

it("claim() is over with the process that made it, also when that is killed", async () => {
  const name = `test/${String(process.pid)}/killed`;
  const program = `
    import { claim } from ${JSON.stringify(join(import.meta.dirname, "claims.ts"))};
    const held = await claim([${JSON.stringify(name)}], { pid: process.pid, dataDir: "/child" });
    process.stdout.write(held.kind);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [output] = (await once(child.stdout, "data")) as [Buffer];
  assert.equal(output.toString(), "claimed");
  const taken = await claim([name], HOLDER);
  assert.deepEqual(taken, {
    kind: "taken",
    name,
    holder: { pid: child.pid, dataDir: "/child" },
  });
  child.kill("SIGKILL");
  await once(child, "close");
  const free = await claim([name], HOLDER);
  assert.ok(free.kind === "claimed");
  await free[Symbol.asyncDispose]();
});
