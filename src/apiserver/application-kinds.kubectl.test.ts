import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startKubectlServer } from "../../test/apiserver/kubectl.ts";
import type { KubectlServer } from "../../test/apiserver/kubectl.ts";

const APPLICATION = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: outside }
spec: { controller: example.org/ingress }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  ingressClassName: outside
  tls: [{ hosts: [shop.example.org], secretName: shop-tls }]
  rules:
  - host: shop.example.org
    http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }] }
  - http: { paths: [{ path: /a, pathType: Exact, backend: { service: { name: shop, port: { name: http } } } }] }
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: shop }
spec:
  podSelector: { matchLabels: { app: shop } }
  ingress: [{ from: [{ namespaceSelector: {} }, { ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }], ports: [{ protocol: TCP, port: 80, endPort: 90 }] }]
  egress: [{}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: shop }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: shop }
  maxReplicas: 5
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: shop }
spec: { maxUnavailable: 25%, selector: { matchLabels: { app: shop } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: tidy }
spec:
  schedule: "*/5 9-17 * * MON-FRI"
  timeZone: Europe/Berlin
  jobTemplate: { spec: { template: { spec: { restartPolicy: OnFailure, containers: [{ name: c, image: tidy:1 }] } } } }
`;

describe("kubectl and the kinds of whole applications", () => {
  let server: KubectlServer;
  before(async () => {
    server = await startKubectlServer();
  });
  after(() => server[Symbol.asyncDispose]());
  const run = (line: string, stdin = "") => server.run(line.split(" "), { stdin });
  const refused = async (manifest: object): Promise<string> => {
    const stdin = JSON.stringify(manifest);
    const { code, stderr } = await server.kubectl(["apply", "-f", "-"], { stdin });
    assert.notEqual(code, 0, stdin);
    return stderr;
  };

  it("applies a stock application, and says what nothing here acts on", async () => {
    const args = ["apply", "-f", "-"];
    const { code, stdout, stderr } = await server.kubectl(args, { stdin: APPLICATION });
    assert.equal(code, 0, stderr);
    assert.equal(stdout.match(/ created$/gm)?.length, 6);
    const warned = [
      ...stderr.matchAll(/^Warning: (\w+) are stored, but nothing here acts on them/gm),
    ];
    assert.deepEqual(
      warned.map(([, plural]) => plural),
      ["Ingresses", "NetworkPolicies", "HorizontalPodAutoscalers"],
    );
    assert.equal((await run("apply -f -", APPLICATION)).match(/ unchanged$/gm)?.length, 6);
    assert.equal(
      (await run("apply --server-side --force-conflicts -f -", APPLICATION)).match(
        /serverside-applied$/gm,
      )?.length,
      6,
    );
    assert.equal(await run("diff -f -", APPLICATION), "");
  });

  it("shows them as Kubernetes does", async () => {
    const cases = [
      [
        "get ingressclass",
        /^NAME +CONTROLLER +PARAMETERS +AGE\noutside +example\.org\/ingress +<none> /,
      ],
      [
        "get ing",
        /^NAME +CLASS +HOSTS +ADDRESS +PORTS +AGE\nshop +outside +shop\.example\.org +80, 443 /,
      ],
      ["get netpol", /^NAME +POD-SELECTOR +AGE\nshop +app=shop /],
      [
        "get hpa",
        /^NAME +REFERENCE +TARGETS +MINPODS +MAXPODS +REPLICAS +AGE\nshop +Deployment\/shop +cpu: <unknown>\/80% +1 +5 +0 /,
      ],
      [
        "get pdb",
        /^NAME +MIN AVAILABLE +MAX UNAVAILABLE +ALLOWED DISRUPTIONS +AGE\nshop +N\/A +25% +0 /,
      ],
      [
        "get cj -o wide",
        /^NAME +SCHEDULE +TIMEZONE +SUSPEND +ACTIVE +LAST SCHEDULE +AGE +CONTAINERS +IMAGES +SELECTOR\ntidy +\*\/5 9-17 \* \* MON-FRI +Europe\/Berlin +False +0 +<none> +\S+ +c +tidy:1 +<none>/,
      ],
      ["describe ing shop", /shop\.example\.org +\n +\/ +shop:80/],
      ["describe netpol shop", /CIDR: 10\.0\.0\.0\/8\n +Except: 10\.1\.0\.0\/16/],
      [
        "describe hpa shop",
        /resource cpu on pods +\(as a percentage of request\): +<unknown> \/ 80%/,
      ],
      ["describe pdb shop", /Max unavailable: +25%/],
      ["describe cj tidy", /Concurrency Policy: +Allow\n/],
    ] as const;
    for (const [line, expected] of cases) assert.match(await run(line), expected, line);
  });

  it("makes them by its own commands", async () => {
    await run("create cronjob hourly --image=tidy:1 --schedule=@hourly");
    await run("create job once --from=cronjob/hourly");
    assert.equal(
      await run("get job once -o jsonpath={.metadata.ownerReferences[0].kind}"),
      "CronJob",
    );
    await run("create pdb other --selector=app=other --min-available=1");
    await run("create ingress plain --rule=example.org/=web:80");
  });

  it("refuses what is wrong, with the field's name", async () => {
    const cronJob = (spec: object): object => ({
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: { name: "bad" },
      spec: {
        schedule: "* * * * *",
        jobTemplate: {
          spec: {
            template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] } },
          },
        },
        ...spec,
      },
    });
    const object = (apiVersion: string, kind: string, spec: object): object => ({
      apiVersion,
      kind,
      metadata: { name: "bad" },
      spec,
    });
    const networking = "networking.k8s.io/v1";
    const scaleTargetRef = { kind: "Deployment", name: "d" };
    const cases: readonly (readonly [object, RegExp])[] = [
      [
        cronJob({ schedule: "61 * * * *" }),
        /spec\.schedule: Invalid value: "61 \* \* \* \*": end of range/,
      ],
      [cronJob({ schedule: "TZ=UTC * * * * *" }), /cannot use TZ or CRON_TZ in schedule/],
      [
        cronJob({ timeZone: "Mars/Olympus" }),
        /spec\.timeZone: Invalid value: "Mars\/Olympus": unknown time zone/,
      ],
      [cronJob({ concurrencyPolicy: "Maybe" }), /supported values: "Allow", "Forbid", "Replace"/],
      [
        object("policy/v1", "PodDisruptionBudget", { minAvailable: 1, maxUnavailable: 1 }),
        /cannot be both set/,
      ],
      [
        object("policy/v1", "PodDisruptionBudget", { minAvailable: "101%" }),
        /must not be greater than 100%/,
      ],
      [
        object("autoscaling/v2", "HorizontalPodAutoscaler", { scaleTargetRef, maxReplicas: 0 }),
        /spec\.maxReplicas: Invalid value: 0: must be greater than 0/,
      ],
      [
        object("autoscaling/v2", "HorizontalPodAutoscaler", {
          scaleTargetRef,
          maxReplicas: 2,
          metrics: [{ type: "Pods" }],
        }),
        /spec\.metrics\[0\]\.pods: Required value/,
      ],
      [object(networking, "Ingress", {}), /either `defaultBackend` or `rules` must be specified/],
      [
        object(networking, "Ingress", { defaultBackend: {} }),
        /resource or service backend is required/,
      ],
      [
        object(networking, "Ingress", { rules: [{ host: "10.0.0.1" }] }),
        /must be a DNS name, not an IP address/,
      ],
      [
        object(networking, "NetworkPolicy", { podSelector: {}, ingress: [{ from: [{}] }] }),
        /spec\.ingress\[0\]\.from\[0\]: Required value: must specify a peer/,
      ],
      [
        object(networking, "NetworkPolicy", { podSelector: {}, policyTypes: ["Both"] }),
        /supported values: "Egress", "Ingress"/,
      ],
      [object(networking, "IngressClass", {}), /spec\.controller: Required value/],
    ];
    for (const [manifest, expected] of cases) assert.match(await refused(manifest), expected);
  });

  it("shows one Event by both APIs, and takes it by both", async () => {
    const event = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: "shop.1" },
      eventTime: "2026-01-02T03:04:05.000006Z",
      reportingController: "example.org/shop",
      reportingInstance: "shop-1",
      action: "Selling",
      reason: "Sold",
      type: "Normal",
      note: "sold out",
      regarding: { apiVersion: "v1", kind: "Pod", name: "shop", namespace: "default" },
    };
    await run("create -f -", JSON.stringify(event));
    assert.match(await run("get events"), /Normal +Sold +pod\/shop +sold out/);
    assert.match(await run("get events.events.k8s.io"), /Normal +Sold +pod\/shop +sold out/);
    const selected =
      "get events.events.k8s.io --field-selector regarding.name=shop -o jsonpath={.items[*].note}";
    assert.equal(await run(selected), "sold out");
    assert.equal(await run("get events shop.1 -o jsonpath={.involvedObject.name}"), "shop");
    const series = { series: { count: 2, lastObservedTime: "2026-01-02T03:05:00.000000Z" } };
    await server.run(["patch", "events.events.k8s.io", "shop.1", "-p", JSON.stringify(series)]);
    assert.equal(await run("get events shop.1 -o jsonpath={.series.count}"), "2");
    const { eventTime: _, ...old } = event;
    assert.match(
      await refused({ ...old, metadata: { name: "shop.2" } }),
      /eventTime: Required value/,
    );
    await run("delete events shop.1");
    const left = await run("get events.events.k8s.io --field-selector reason=Sold -o name");
    assert.equal(left, "");
  });

  it("tells watchers of the one API what came by the other", async () => {
    const core = (name: string): string =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name },
        message: `note of ${name}`,
        involvedObject: { kind: "Pod", name: "shop", namespace: "default" },
      });
    await run("create -f -", core("early"));
    const steps: Promise<string>[] = [];
    const change = async (): Promise<string> => {
      await run("create -f -", core("late"));
      return run("delete event late");
    };
    const output = '{.type} {.object.note} {.object.regarding.name}{"\\n"}';
    const args = ["get", "events.events.k8s.io", "-w", "--output-watch-events", "-o"];
    const { stdout } = await server.kubectl([...args, `jsonpath=${output}`], {
      until: (text) => {
        if (text.includes("note of early") && steps.length === 0) steps.push(change());
        return text.includes("DELETED note of late");
      },
    });
    await Promise.all(steps);
    assert.match(stdout, /ADDED note of early shop\n/);
    assert.match(stdout, /ADDED note of late shop\nDELETED note of late shop\n/);
  });
});
