import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome, startUp } from "../e2e/portolan.ts";
import type { Home, Up } from "../e2e/portolan.ts";
import { eventually, missing } from "../e2e/tools.ts";

const FOLDER = join(import.meta.dirname, "kubectl");

/** A command of a golden file, and all that kubectl says to it. */
interface Golden {
  readonly args: readonly string[];
  readonly expected: string;
}

/**
 * Golden files are written by hand from the format that Kubernetes documents and prints. `$ kubectl ARGS` begins
 * a command; below it are stdout, then stderr, then `[exit N]` unless that is 0.
 */
function readGolden(name: string): readonly Golden[] {
  const [, ...parts] = readFileSync(join(FOLDER, name), "utf8").split(/^\$ kubectl /m);
  return parts.map((part) => {
    const end = part.indexOf("\n");
    const words = part.slice(0, end).match(/'[^']*'|\S+/g) ?? [];
    const args = words.map((word) => word.replaceAll("'", ""));
    return { args, expected: part.slice(end + 1).trimEnd() };
  });
}

/** kubectl walks their keys in the order of a Go map, which is another each time. */
const UNORDERED = /^describe (secret|cm) /;
const sortedLines = (text: string): string => text.split("\n").toSorted().join("\n");

describe("kubectl prints what it prints of Kubernetes", { skip: missing("kubectl") }, () => {
  let home: Home;
  let up: Up;
  let names: readonly (readonly [value: string, name: string])[];
  before(async () => {
    home = await makeHome();
    up = await startUp(home);
    await up.kubectl(`apply -f ${join(FOLDER, "objects.yaml")}`);
    await up.kubectl("wait --for=condition=Ready pod/sleeper --timeout=20s");
    await eventually("the load balancer has its address, and the event says so", async () =>
      (await up.kubectl("describe svc lb")).includes("EnsuredLoadBalancer"),
    );
    await eventually(
      "the Pod is behind its Service",
      async () =>
        (await up.kubectl("get endpoints web -o jsonpath={.subsets[*].addresses[*].ip}")) !== "",
    );
    names = await addresses();
  });
  after(async () => {
    await up[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** What differs from run to run, and what the golden files call it. */
  const addresses = async () => {
    const read = (path: string) => up.kubectl(["get", ...path.split(" ")]);
    const found: [string, string][] = [];
    for (const name of ["web", "node", "lb", "kubernetes"]) {
      found.push([await read(`svc ${name} -o jsonpath={.spec.clusterIP}`), `<IP of ${name}>`]);
    }
    const ingress = await read("svc lb -o jsonpath={.status.loadBalancer.ingress[0].ip}");
    found.push([ingress, "<ingress of lb>"]);
    found.push([await read("pod sleeper -o jsonpath={.status.podIP}"), "<IP of sleeper>"]);
    found.push([await read("pod sleeper -o jsonpath={.status.hostIP}"), "<IP of local>"]);
    found.push([await read("servicecidr kubernetes -o jsonpath={.spec.cidrs[0]}"), "<CIDR>"]);
    // Longer texts first: an address may begin with another.
    return found.toSorted(([a], [b]) => b.length - a.length);
  };

  /** Alignment is kubectl's own work and follows the widths of what differs. */
  const normal = (text: string): string => {
    let result = text;
    for (const [value, name] of names) result = result.replaceAll(value, name);
    return result
      .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<UID>")
      .replace(/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000/g, "<time>")
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>")
      .replace(/(?<=\s)\d+[ms](\d+s)?(?=\s|$)/gm, "<age>")
      .replace(/-[bcdfghjklmnpqrstvwxz2456789]{8,10}(?![\w/])/g, "-<hash>")
      .replace(/=[bcdfghjklmnpqrstvwxz2456789]{8,10}(?![\w/])/g, "=<hash>")
      .replace(/-[bcdfghjklmnpqrstvwxz2456789]{5}(?![\w-])/g, "-<id>")
      .replace(/((Machine ID|System UUID|Kernel Version|OS Image|Boot ID):) .*/g, "$1  <machine's>")
      .replace(/(kubernetes\.io\/arch=|Architecture: +)(amd64|arm64)/g, "$1<arch>")
      .replace(/^( +(cpu|memory|ephemeral-storage):) +\d+(Ki)?$/gm, "$1  <machine's>")
      .replace(/^(PodCIDRs?:) .*/gm, "$1  <range of Pods>")
      .replace(/(Resource Version: +)\d+/g, "$1<version>")
      .replace(/ {2,}/g, "  ")
      .replace(/ +$/gm, "")
      .trimEnd();
  };

  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".txt"))) {
    it(`as in ${file}`, async () => {
      const commands = readGolden(file);
      assert.ok(commands.length > 0);
      for (const { args, expected } of commands) {
        const given = args.map((arg) => (arg.endsWith(".yaml") ? join(FOLDER, arg) : arg));
        const { code, stdout, stderr } = await up.tryKubectl(given, {
          env: {
            KUBE_EDITOR: "sed -i s/value/edited/",
            KUBECTL_EXTERNAL_DIFF: "diff -U0 --label old --label new -r",
          },
        });
        const said = `${stdout}${stderr}`.replaceAll(`${FOLDER}/`, "");
        const exit = code === 0 ? "" : `\n[exit ${String(code)}]`;
        const what = args.join(" ");
        const inOrder = UNORDERED.test(what) ? sortedLines : normal;
        assert.equal(
          inOrder(normal(`${said.trimEnd()}${exit}`)),
          inOrder(normal(expected)),
          `kubectl ${what}`,
        );
      }
    });
  }
});
