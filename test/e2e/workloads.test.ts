import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { all, PROGRAM, service } from "./manifests.ts";
import { makeHome, startUp } from "./portolan.ts";
import type { Home, Up } from "./portolan.ts";
import { eventually, missing, run } from "./tools.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/deployment.yaml");

type Fields = Readonly<Record<string, unknown>>;

/** A template of Pods that tell their names over HTTP on port 8080. */
function template(app: string, version = "one", container: Fields = {}): Fields {
  return {
    metadata: { labels: { app } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: "main",
          image: `web:${version}`,
          command: [process.execPath, PROGRAM],
          env: [
            { name: "TCP_PORT", value: "8080" },
            { name: "VERSION", value: version },
          ],
          ports: [{ name: "http", containerPort: 8080 }],
          readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 1 },
          ...container,
        },
      ],
    },
  };
}

function workload(kind: string, name: string, spec: Fields): string {
  const apiVersion =
    kind === "Job" ? "batch/v1" : kind === "ReplicationController" ? "v1" : "apps/v1";
  return JSON.stringify({ apiVersion, kind, metadata: { name }, spec });
}

function deployment(name: string, spec: Fields = {}): string {
  const selector = { matchLabels: { app: name } };
  return workload("Deployment", name, { replicas: 3, selector, template: template(name), ...spec });
}

/** A Job of Pods that run a line of shell. */
function shellJob(name: string, line: string, spec: Fields = {}): string {
  return workload("Job", name, {
    template: {
      spec: {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "main", command: ["sh", "-c", line] }],
      },
    },
    ...spec,
  });
}

describe("workloads by kubectl", { skip: missing("kubectl", "dig", "curl") }, () => {
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
  const kubectl: Up["kubectl"] = (args, options) => up.kubectl(args, options);
  const create = (manifest: string) => kubectl("create -f -", manifest);
  const field = (what: string, path: string) =>
    kubectl(["get", ...what.split(" "), "-o", `jsonpath={${path}}`]);
  const gone = (what: string) =>
    eventually(`${what} is gone`, async () => (await kubectl(`get ${what} -o name`)) === "");

  it("rolls a Deployment out and back while its Service answers", async () => {
    await create(deployment("web"));
    assert.match(
      await kubectl("rollout status deployment/web --timeout=30s"),
      /deployment "web" successfully rolled out/,
    );
    await kubectl("expose deployment web --port=8000 --target-port=8080");
    const address = await field("service web", ".spec.clusterIP");
    const ask = () => run("curl", ["-s", "-m", "5", `http://${address}:8000/`]);
    await eventually("the Service answers", async () => (await ask()).code === 0);
    const names = async () => (await kubectl("get pods -l app=web -o name")).trim().split("\n");
    const before = await names();
    const asking = { isOver: false };
    const answers = (async () => {
      const answered = new Set<string>();
      while (!asking.isOver) answered.add(`pod/${(await ask()).stdout.trim()}`);
      return answered;
    })();
    await kubectl("set env deployment/web VERSION=two");
    await kubectl("annotate deployment web kubernetes.io/change-cause=second");
    await kubectl("rollout status deployment/web --timeout=30s");
    asking.isOver = true;
    const answered = await answers;
    assert.ok(
      before.some((pod) => answered.has(pod)),
      "the old Pods answered",
    );
    const now = await names();
    assert.ok(
      now.some((pod) => answered.has(pod) && !before.includes(pod)),
      "the new ones, too",
    );
    assert.match(await kubectl("rollout history deployment/web"), /^1 +<none>\n2 +second$/m);
    const columns = "get deployment web --no-headers -o wide";
    assert.match(await kubectl(columns), /^web +3\/3 +3 +3 +\S+ +main +web:one +app=web\n$/);

    await kubectl("rollout undo deployment/web");
    await kubectl("rollout status deployment/web --timeout=30s");
    const version = '.spec.template.spec.containers[0].env[?(@.name=="VERSION")].value';
    assert.equal(await field("deployment web", version), "one");
    assert.equal(
      await field("deployment web", ".metadata.annotations.deployment\\.kubernetes\\.io/revision"),
      "3",
    );
    await kubectl("rollout undo deployment/web --to-revision=2");
    await kubectl("rollout status deployment/web --timeout=30s");
    assert.equal(await field("deployment web", version), "two");
    assert.match(
      await kubectl("describe deployment web"),
      /Progressing +True +NewReplicaSetAvailable[^]*ScalingReplicaSet/,
    );
  });

  it("pauses, resumes, restarts and scales a Deployment", async () => {
    await create(deployment("paced", { replicas: 2 }));
    await kubectl("rollout status deployment/paced --timeout=30s");
    await kubectl("rollout pause deployment/paced");
    await kubectl("set image deployment/paced main=web:two");
    await eventually("the pause is seen", async () =>
      (await field("deployment paced", ".status.conditions[*].reason")).includes(
        "DeploymentPaused",
      ),
    );
    assert.equal((await kubectl("get rs -l app=paced -o name")).trim().split("\n").length, 1);
    await kubectl("scale deployment/paced --replicas=3");
    await kubectl("wait --for=jsonpath={.status.readyReplicas}=3 deployment/paced --timeout=30s");
    await kubectl("rollout resume deployment/paced");
    await kubectl("rollout status deployment/paced --timeout=30s");
    assert.equal(
      await field("pods -l app=paced", ".items[*].spec.containers[0].image"),
      "web:two web:two web:two",
    );
    await kubectl("rollout restart deployment/paced");
    await kubectl("rollout status deployment/paced --timeout=30s");
    assert.match(await kubectl("rollout history deployment/paced"), /^3 /m);
    await kubectl("delete deployment paced --cascade=foreground --timeout=30s");
    assert.equal(await kubectl("get rs,pods -l app=paced -o name"), "");
  });

  it("says that a rollout is late, and why Pods cannot be made", async () => {
    // Nobody listens where the probe asks.
    const quiet = template("late", "one", { command: ["sleep", "1000"] });
    await create(deployment("late", { replicas: 1, progressDeadlineSeconds: 1, template: quiet }));
    assert.match(
      await up.kubectlFails("rollout status deployment/late --timeout=20s"),
      /deployment "late" exceeded its progress deadline/,
    );
    await kubectl("delete deployment late --cascade=background");
  });

  it("deletes by each propagation, and adopts what was orphaned", async () => {
    await create(deployment("kept", { replicas: 1 }));
    await kubectl("rollout status deployment/kept --timeout=30s");
    const [pod] = (await kubectl("get pods -l app=kept -o name")).split("\n");
    await kubectl("delete deployment kept --cascade=orphan");
    assert.equal((await kubectl("get rs -l app=kept -o name")).trim().split("\n").length, 1);
    await create(deployment("kept", { replicas: 1 }));
    await kubectl("rollout status deployment/kept --timeout=30s");
    assert.equal((await kubectl("get pods -l app=kept -o name")).trim(), pod);
    await kubectl("delete deployment kept");
    await gone("rs,pods -l app=kept");
  });

  it("gives the Pods of a StatefulSet names that DNS knows, and scales it in order", async () => {
    const spec = {
      replicas: 2,
      serviceName: "db",
      selector: { matchLabels: { app: "db" } },
      template: template("db"),
      ordinals: { start: 1 },
    };
    await create(
      all(service("db", "db", { clusterIP: "None" }), workload("StatefulSet", "db", spec)),
    );
    await kubectl("rollout status statefulset/db --timeout=30s");
    for (const name of ["db-1", "db-2"]) {
      const ip = await field(`pod ${name}`, ".status.podIP");
      await eventually(`${name} is in DNS`, async () => {
        const said = await up.dig(`+short ${name}.db.default.svc.cluster.local`);
        return said.trim() === ip;
      });
      assert.equal((await run("curl", ["-s", `http://${ip}:8080/`])).stdout, `${name}\n`);
    }
    await kubectl("scale statefulset/db --replicas=1");
    await eventually(
      "one is left",
      async () => (await kubectl("get pods -l app=db -o name")) === "pod/db-1\n",
    );
    await kubectl("set env statefulset/db VERSION=two");
    await kubectl("rollout status statefulset/db --timeout=30s");
    await kubectl("rollout undo statefulset/db");
    await kubectl("rollout status statefulset/db --timeout=30s");
    assert.match(
      await kubectl("get statefulset db --no-headers -o wide"),
      /^db +1\/1 +\S+ +main +web:one\n$/,
    );
  });

  it("runs a DaemonSet on the node, and updates it", async () => {
    const spec = { selector: { matchLabels: { app: "log" } }, template: template("log") };
    await create(workload("DaemonSet", "log", spec));
    await kubectl("rollout status daemonset/log --timeout=30s");
    await kubectl("set env daemonset/log VERSION=two");
    await kubectl("rollout status daemonset/log --timeout=30s");
    assert.match(
      await kubectl("get daemonset log --no-headers -o wide"),
      /^log +1 +1 +1 +1 +1 +<none> +\S+ +main +web:one +app=log\n$/,
    );
  });

  it("runs Jobs to their end, and keeps count of them", async () => {
    await create(
      all(
        shellJob("sum", "echo $JOB_COMPLETION_INDEX", {
          completions: 3,
          parallelism: 2,
          completionMode: "Indexed",
        }),
        shellJob("bad", "exit 1", { backoffLimit: 0 }),
        shellJob("brief", "exit 0", { ttlSecondsAfterFinished: 1 }),
      ),
    );
    await kubectl("wait --for=condition=Complete job/sum --timeout=30s");
    assert.equal(await field("job sum", ".status.completedIndexes"), "0-2");
    assert.match(await kubectl("get job sum --no-headers"), /^sum +Complete +3\/3 /);
    assert.equal(await kubectl("logs -l batch.kubernetes.io/job-completion-index=1"), "1\n");
    await kubectl("wait --for=condition=Failed job/bad --timeout=30s");
    assert.equal(
      await field("job bad", '.status.conditions[?(@.type=="Failed")].reason'),
      "BackoffLimitExceeded",
    );
    await gone("job brief --ignore-not-found");
    await kubectl("delete job sum bad");
    await gone("pods -l job-name");
  });

  it("drains the node, whose Pods are made anew once it is uncordoned", async () => {
    await create(deployment("moved", { replicas: 1 }));
    await kubectl("rollout status deployment/moved --timeout=30s");
    await kubectl("drain local --ignore-daemonsets --force --timeout=30s --pod-selector=app=moved");
    await kubectl("uncordon local");
    await kubectl("rollout status deployment/moved --timeout=30s");
    await kubectl("delete deployment moved");
  });

  it("refuses what it does not serve", async () => {
    await create(deployment("fixed", { replicas: 1 }));
    assert.match(
      await up.kubectlFails("autoscale deployment fixed --max=3"),
      /the server could not find the requested resource/,
    );
    await kubectl("delete deployment fixed");
  });

  it("runs the example of a Deployment with its Service", async () => {
    await using example = await startUp(home, { args: ["-f", EXAMPLE] });
    await example.kubectl("rollout status deployment/web --timeout=30s");
    const address = await example.kubectl("get service web -o jsonpath={.spec.clusterIP}");
    await eventually("it answers", async () => {
      const { stdout } = await run("curl", ["-s", "-m", "5", `http://${address}:8080/`]);
      return stdout.startsWith('{"pod":"web-');
    });
  });

  it("goes on with a rollout after it was killed in the midst of it", async () => {
    const dataDir = join(home.path, "killed");
    const first = await startUp(home, { dataDir });
    await first.kubectl("create -f -", deployment("web", { replicas: 4 }));
    await first.kubectl("rollout status deployment/web --timeout=30s");
    await first.kubectl("set env deployment/web VERSION=two");
    await eventually(
      "the rollout has begun",
      async () => (await first.kubectl("get rs -o name")).trim().split("\n").length === 2,
    );
    await first.kill9();
    await using second = await startUp(home, { dataDir });
    await second.kubectl("rollout status deployment/web --timeout=40s");
    await eventually(
      "only the new Pods are left",
      async () => (await second.kubectl("get pods -o name")).trim().split("\n").length === 4,
    );
    const sizes = await second.kubectl(["get", "rs", "-o", "jsonpath={.items[*].spec.replicas}"]);
    assert.deepEqual(sizes.split(" ").sort(), ["0", "4"]);
  });
});
