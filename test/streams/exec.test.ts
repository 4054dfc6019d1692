import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { startPodCluster } from "./pod-cluster.ts";
import type { PodCluster } from "./pod-cluster.ts";

/** The two protocols that kubectl speaks. */
const PROTOCOLS = {
  websocket: {},
  "SPDY/3.1": {
    KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false",
    KUBECTL_PORT_FORWARD_WEBSOCKETS: "false",
  },
} as const;

/** Resolves when no process has the word among its arguments. */
async function untilGone(word: string): Promise<void> {
  while (readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && argumentsOf(pid).includes(word)))
    await sleep(20);
}

async function untilRuns(word: string): Promise<void> {
  while (!readdirSync("/proc").some((pid) => /^\d+$/.test(pid) && argumentsOf(pid)[1] === word))
    await sleep(20);
}

function argumentsOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

describe("exec, attach and cp", () => {
  let pods: PodCluster;
  before(async () => (pods = await startPodCluster()));
  after(() => pods[Symbol.asyncDispose]());

  for (const [protocol, env] of Object.entries(PROTOCOLS)) {
    describe(`over ${protocol}`, () => {
      const exec = (args: readonly string[], stdin?: string) =>
        pods.kubectl(["exec", ...args], stdin === undefined ? { env } : { env, stdin });

      it("runs a command in the container's environment and gives its exit code", async () => {
        const command = ["sh", "-c", "echo $GREETING; echo problem >&2; exit 7"];
        const { code, stdout, stderr } = await exec(["web", "--", ...command]);
        assert.deepEqual([code, stdout], [7, "hello world\n"]);
        assert.equal(stderr, "problem\ncommand terminated with exit code 7\n");
        assert.equal((await exec(["web", "--", "true"])).code, 0);
      });

      it("hands arguments on as they are", async () => {
        const words = ["a b", "$GREETING", "it's", '"', "", "*"];
        const { stdout } = await exec(["web", "--", "printf", "%s\\n", ...words]);
        assert.equal(stdout, `${words.join("\n")}\n`);
      });

      it("carries stdin to its end, and output of any size", async () => {
        const input = "0123456789abcdef".repeat(200_000);
        const { code, stdout } = await exec(["-i", "web", "--", "cat"], input);
        assert.equal(code, 0);
        assert.ok(stdout === input, `${String(stdout.length)} characters came back`);
      });

      it("ends with the command, though a process outside its group holds its output", async () => {
        const mark = `4${protocol === "websocket" ? "3" : "4"}00.25`;
        const script = `echo begun; setsid sleep ${mark} & until pgrep -f "^sleep ${mark}"; do :; done`;
        const { code, stdout } = await exec(["web", "--", "sh", "-c", script]);
        assert.equal(code, 0);
        assert.match(stdout, /^begun\n\d+\n$/);
        await untilGone(mark);
      });

      it("says why a command cannot be run", async () => {
        const { code, stderr } = await exec(["web", "--", "no-such-program"]);
        assert.equal(code, 1);
        assert.match(
          stderr,
          /error executing command in container: exec: "no-such-program": executable file not found/,
        );
      });

      it("refuses containers and Pods that there are not", async () => {
        const container = await exec(["web", "-c", "other", "--", "true"]);
        assert.match(container.stderr, /\(BadRequest\): container other is not valid for pod web/);
        const pod = await exec(["gone", "--", "true"]);
        assert.match(pod.stderr, /pods "gone" not found/);
      });

      it("leaves no process behind when the client vanishes", async () => {
        const mark = `4${protocol === "websocket" ? "1" : "2"}00.25`;
        const script = `setsid sleep ${mark} & sleep ${mark}; true`;
        const child = pods.start(["exec", "-i", "web", "--", "sh", "-c", script], env);
        await untilRuns(mark);
        child.kill("SIGKILL");
        await untilGone(mark);
      });

      it("ends a command with its container", async () => {
        const name = protocol === "websocket" ? "short-a" : "short-b";
        await pods.run(name, { command: ["sleep", "1000"] });
        const child = pods.start(["exec", name, "--", "sh", "-c", "echo started; sleep 1000"], env);
        const ended = once(child, "close");
        await once(child.stdout, "data");
        await pods.kubectl(["delete", "pod", name, "--force", "--grace-period=0"]);
        assert.deepEqual(await ended, [137, null]);
      });

      it("gives a terminal with -t", async () => {
        const untilSized = 'until [ "$(stty size)" = "30 100" ]; do sleep 0.05; done';
        const command = ["sh", "-c", `tty; ${untilSized}; read line; echo got $line; exit 5`];
        // kubectl wants a terminal of its own, and tells its size.
        const line = [
          "stty rows 30 columns 100;",
          "kubectl exec -it web --",
          ...command.map(quote),
        ];
        const child = spawn("script", ["-qec", line.join(" "), "/dev/null"], {
          env: {
            ...env,
            PATH: process.env["PATH"] ?? "",
            HOME: pods.dir,
            KUBECONFIG: pods.cluster.kubeconfig,
            SHELL: "/bin/sh",
          },
        });
        child.stdin.write("hello\n");
        const output = await text(child.stdout);
        assert.match(output, /\/dev\/pts\/\d+\r\n/);
        assert.match(output, /got hello\r\n/);
        assert.match(output, /exit code 5/);
        child.stdin.end();
      });
    });
  }

  it("cp copies folders both ways", async () => {
    const there = join(pods.dir, "there");
    await mkdir(join(pods.dir, "from/sub"), { recursive: true });
    await mkdir(there);
    const content = "line\n".repeat(50_000);
    await writeFile(join(pods.dir, "from/sub/file"), content);
    const up = await pods.kubectl(["cp", "from", `web:${there}/`]);
    assert.equal(up.code, 0, up.stderr);
    assert.ok((await readFile(join(there, "from/sub/file"), "utf8")) === content);
    const down = await pods.kubectl(["cp", `web:${there}/from`, "back"]);
    assert.equal(down.code, 0, down.stderr);
    assert.ok((await readFile(join(pods.dir, "back/sub/file"), "utf8")) === content);
  });

  it("attach shows what is written from now on, and sends stdin where the container has one", async () => {
    const script = 'while read line; do echo "got $line"; done; echo end; sleep 0.3; exit 3';
    await pods.run("reader", { command: ["sh", "-c", script], stdin: true, stdinOnce: true });
    const { stdout } = await pods.kubectl(["attach", "-i", "reader"], { stdin: "one\ntwo\n" });
    assert.equal(stdout, "got one\ngot two\nend\n");
  });

  it("attach lets clients come and go where stdin stays open", async () => {
    await pods.run("open", {
      command: ["sh", "-c", "while read x; do echo got $x; done"],
      stdin: true,
    });
    for (const word of ["one", "two"]) {
      const child = pods.start(["attach", "-i", "open"]);
      child.stdin.write(`${word}\n`);
      const [line] = await once(child.stdout, "data");
      assert.equal(String(line), `got ${word}\n`);
      child.kill("SIGKILL");
    }
  });

  it("attach refuses stdin where there is none", async () => {
    const { code, stderr } = await pods.kubectl(["attach", "-i", "web"]);
    assert.equal(code, 1);
    assert.match(stderr, /stdin of container main is not open/);
  });

  it("logs -f goes on as before", async () => {
    await pods.run("talker", { command: ["sh", "-c", "echo one; sleep 0.2; echo two"] });
    const { stdout } = await pods.kubectl(["logs", "-f", "talker"]);
    assert.equal(stdout, "one\ntwo\n");
  });
});

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
