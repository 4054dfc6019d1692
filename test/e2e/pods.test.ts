import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { all, namePod, pod, service, shellPod } from "./manifests.ts";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing, pidsWith, run } from "./tools.ts";

describe("Pods as local processes", {
  skip: missing("kubectl", "dig", "curl"),
  concurrency: 3,
}, () => {
  let home: Home;
  let up: Up;
  before(async () => {
    home = await makeHome();
    up = await startUp(home);
  });
  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  const create = (manifest: string) => up.kubectl("create -f -", manifest);
  const get = (name: string, path: string) =>
    up.kubectl(["get", "pod", name, "-o", `jsonpath={${path}}`]);
  const ready = (name: string) =>
    up.kubectl(`wait --for=condition=Ready pod/${name} --timeout=20s`);
  const status = ".status.containerStatuses[0]";
  const pidsOf = async (name: string) => {
    const uid = await get(name, ".metadata.uid");
    return pidsWith("PORTOLAN_POD_UID", (value) => value === uid);
  };

  it("say that their program does not exist, in status and Event", async () => {
    await create(pod("nowhere", { command: ["/no/such/program"] }));
    await eventually(
      "the reason is there",
      async () =>
        (await get("nowhere", `${status}.state.waiting.reason`)) === "CreateContainerError",
    );
    assert.match(
      await get("nowhere", `${status}.state.waiting.message`),
      /"\/no\/such\/program": stat \/no\/such\/program: no such file or directory/,
    );
    assert.match(await up.kubectl("get pod nowhere"), /^nowhere +0\/1 +CreateContainerError +0 /m);
    await eventually("there is an Event", async () =>
      /Warning.*Failed.*no\/such\/program/.test(await up.kubectl("events --for pod/nowhere")),
    );
    await create(pod("unknown", { image: "example.org/unknown" }));
    await eventually("the reason is there", async () =>
      /Err(ImagePull)|ImagePullBackOff/.test(
        await get("unknown", `${status}.state.waiting.reason`),
      ),
    );
    await up.kubectl("delete pod nowhere unknown");
  });

  it("are restarted when they crash, with a back-off, and keep the log of the run before", async () => {
    await create(
      shellPod("crash", "echo run with $GREETING; exit 3", {
        env: [{ name: "GREETING", value: "hello" }],
      }),
    );
    await eventually(
      "it backs off",
      async () => (await get("crash", `${status}.state.waiting.reason`)) === "CrashLoopBackOff",
    );
    assert.equal(await get("crash", `${status}.lastState.terminated.exitCode`), "3");
    await eventually(
      "it ran again",
      async () => Number(await get("crash", `${status}.restartCount`)) >= 1,
      40_000,
    );
    assert.equal(await up.kubectl("logs crash --previous"), "run with hello\n");
    await up.kubectl("delete pod crash");
  });

  it("succeed or fail for good where nothing restarts them", async () => {
    await create(
      all(
        shellPod("good", "exit 0", {}, { restartPolicy: "Never" }),
        shellPod("bad", "echo because >&2; exit 7", {}, { restartPolicy: "Never" }),
      ),
    );
    await up.kubectl("wait pod/good --for=jsonpath={.status.phase}=Succeeded --timeout=20s");
    await up.kubectl("wait pod/bad --for=jsonpath={.status.phase}=Failed --timeout=20s");
    assert.equal(await get("bad", `${status}.state.terminated.exitCode`), "7");
    assert.equal(await up.kubectl("logs bad"), "because\n");
    await up.kubectl("delete pod good bad");
  });

  it("are restarted when their liveness probe fails", async () => {
    const file = join(home.path, "alive");
    await writeFile(file, "");
    await create(
      shellPod("lively", "sleep 1000", {
        livenessProbe: {
          exec: { command: ["test", "-e", file] },
          periodSeconds: 1,
          failureThreshold: 1,
        },
      }),
    );
    await ready("lively");
    const before = await pidsOf("lively");
    assert.ok(before.length > 0);
    await run("rm", [file]);
    await eventually(
      "it is restarted",
      async () => Number(await get("lively", `${status}.restartCount`)) >= 1,
    );
    await writeFile(file, "");
    assert.match(
      await up.kubectl("events --for pod/lively"),
      /Unhealthy.*[Ll]iveness probe failed/,
    );
    await eventually(
      "the first run is gone",
      async () => !(await pidsOf("lively")).some((pid) => before.includes(pid)),
    );
    await up.kubectl("delete pod lively");
  });

  it("get traffic only while they are ready", async () => {
    const file = join(home.path, "ready");
    await create(
      all(
        namePod("steady", "gate"),
        namePod("gated", "gate", {
          readinessProbe: {
            exec: { command: ["test", "-e", file] },
            periodSeconds: 1,
            failureThreshold: 1,
          },
        }),
        service("gate", "gate"),
        service("gate-peers", "gate", { clusterIP: "None" }),
      ),
    );
    await ready("steady");
    const address = await up.kubectl("get svc gate -o jsonpath={.spec.clusterIP}");
    const answering = async () => {
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => run("curl", ["-s", "-m", "5", `http://${address}:8000/`])),
      );
      return [...new Set(answers.map(({ stdout }) => stdout.trim()))].sort();
    };
    const listed = async () =>
      (await up.dig("+short gate-peers.default.svc.cluster.local")).trim().split("\n").length;
    await eventually("the one serves", async () => (await answering()).join() === "steady");
    assert.equal(await listed(), 1);
    await writeFile(file, "");
    await ready("gated");
    await eventually("both serve", async () => (await answering()).join() === "gated,steady");
    assert.equal(await listed(), 2);
    await run("rm", [file]);
    await up.kubectl("wait --for=condition=Ready=false pod/gated --timeout=20s");
    await eventually("DNS lists one", async () => (await listed()) === 1);
    assert.deepEqual(await answering(), ["steady"]);
    await up.kubectl("delete pod steady gated");
    await up.kubectl("delete svc gate gate-peers");
  });

  it("find their surroundings in the environment", async () => {
    await create(service("database", "none", { ports: [{ port: 5432 }] }));
    await up.kubectl("create configmap settings --from-literal=COLOR=blue --from-literal=SIZE=3");
    await up.kubectl("create secret generic hidden --from-literal=word=open");
    const env = [
      { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
      { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "SIZE", valueFrom: { configMapKeyRef: { name: "settings", key: "SIZE" } } },
      { name: "WORD", valueFrom: { secretKeyRef: { name: "hidden", key: "word" } } },
      { name: "COMPOSED", value: "$(NAME)-$(SIZE)" },
    ];
    await create(
      shellPod(
        "env",
        "env",
        { env, envFrom: [{ configMapRef: { name: "settings" } }] },
        { restartPolicy: "Never" },
      ),
    );
    await up.kubectl("wait pod/env --for=jsonpath={.status.phase}=Succeeded --timeout=20s");
    const lines = (await up.kubectl("logs env")).trim().split("\n");
    const ip = await get("env", ".status.podIP");
    const address = await up.kubectl("get svc database -o jsonpath={.spec.clusterIP}");
    for (const line of [
      "NODE=local",
      "NAME=env",
      "HOSTNAME=env",
      `IP=${ip}`,
      `POD_IP=${ip}`,
      "COLOR=blue",
      "SIZE=3",
      "WORD=open",
      "COMPOSED=env-3",
      `DATABASE_SERVICE_HOST=${address}`,
      "DATABASE_SERVICE_PORT=5432",
      `DATABASE_PORT=tcp://${address}:5432`,
      "KUBERNETES_SERVICE_PORT=443",
    ])
      assert.ok(lines.includes(line), `${line} is missing in\n${lines.join("\n")}`);
    await create(shellPod("lacking", "env", { envFrom: [{ configMapRef: { name: "absent" } }] }));
    await eventually(
      "the reason is there",
      async () =>
        (await get("lacking", `${status}.state.waiting.reason`)) === "CreateContainerConfigError",
    );
    assert.match(
      await get("lacking", `${status}.state.waiting.message`),
      /configmap "absent" not found/,
    );
    await up.kubectl("create configmap absent --from-literal=A=b");
    await eventually("it starts then", async () =>
      (await up.kubectl("logs lacking")).includes("A=b"),
    );
    await up.kubectl("delete pod env lacking");
  });

  it("end in their own time, within their grace period", async () => {
    const file = join(home.path, "grace");
    await create(
      all(
        namePod(
          "polite",
          "x",
          {
            env: [
              { name: "GRACE_FILE", value: file },
              { name: "TCP_PORT", value: "8080" },
            ],
          },
          { terminationGracePeriodSeconds: 20 },
        ),
        shellPod(
          "stubborn",
          "trap '' TERM; while :; do sleep 1; done",
          {},
          { terminationGracePeriodSeconds: 1 },
        ),
      ),
    );
    await ready("polite");
    await ready("stubborn");
    const pids = [...(await pidsOf("polite")), ...(await pidsOf("stubborn"))];
    assert.ok(pids.length >= 2);
    await up.kubectl("delete pod polite --timeout=15s");
    assert.equal(readFileSync(file, "utf8"), "polite ended by SIGTERM\n");
    await up.kubectl("delete pod stubborn --timeout=15s");
    assert.ok(!pids.some((pid) => existsSync(`/proc/${String(pid)}`)), "a process is left");
  });

  it("are ended at once by force", async () => {
    await create(
      shellPod(
        "forced",
        "trap '' TERM; while :; do sleep 1; done",
        {},
        { terminationGracePeriodSeconds: 600 },
      ),
    );
    await ready("forced");
    const pids = await pidsOf("forced");
    await up.kubectl("delete pod forced --force --grace-period=0 --timeout=15s");
    await eventually(
      "its process is gone",
      () => !pids.some((pid) => existsSync(`/proc/${String(pid)}`)),
    );
  });

  it("are ready when exec, tcp and http probes say so", async () => {
    await create(
      all(
        namePod("probed", "y", {
          startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          livenessProbe: {
            exec: { command: ["sh", "-c", 'test "$POD_IP" != ""'] },
            periodSeconds: 1,
          },
          readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 1 },
        }),
        namePod("unprobed", "y", {
          readinessProbe: { httpGet: { path: "/", port: 1 }, periodSeconds: 1 },
        }),
      ),
    );
    await ready("probed");
    await eventually("the probe failed", async () =>
      /Unhealthy.*Readiness probe failed/.test(await up.kubectl("events --for pod/unprobed")),
    );
    assert.match(await up.kubectl("get pod unprobed"), /^unprobed +0\/1 +Running /m);
    await up.kubectl("delete pod -l app=y");
  });

  it("run their init containers first, one after the other", async () => {
    const file = join(home.path, "order");
    const step = (name: string) => ({ name, command: ["sh", "-c", `echo ${name} >> ${file}`] });
    await create(
      shellPod(
        "ordered",
        `echo main >> ${file}; sleep 1000`,
        {},
        { initContainers: [step("one"), step("two")] },
      ),
    );
    await ready("ordered");
    await eventually("all ran", () => readFileSync(file, "utf8") === "one\ntwo\nmain\n");
    await up.kubectl("delete pod ordered");
  });
});
