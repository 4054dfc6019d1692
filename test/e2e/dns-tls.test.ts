import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { it } from "node:test";
import { connect } from "node:tls";
import { makeAuthority, makeCertificate } from "../../src/apiserver/certificate-maker.ts";
import { MessageFraming } from "../../src/dns/framing.ts";
import { CANARY } from "../dns/fuzz-udp.ts";
import { freePort, startDns } from "./dns-program.ts";
import { makeHome, startUp } from "./portolan.ts";
import { eventually, missing, run } from "./tools.ts";

it("portolan dns answers over TLS by its Corefile, and shows a new certificate without dropping a connection", {
  skip: missing("dig"),
}, async () => {
  await using home = await makeHome();
  await using up = await startUp(home);
  const file = (name: string): string => join(home.path, name);
  /** Writes a certificate by a new authority, and gives the authority's. */
  const certify = async (): Promise<string> => {
    const authority = makeAuthority("test", Date.now());
    const names = ["127.0.0.1", "dns.test"];
    const { certificate, key } = makeCertificate(
      authority,
      { commonName: "dns", organizations: [], alternativeNames: names, usage: "server" },
      Date.now(),
    );
    await writeFile(file("tls.crt"), certificate);
    await writeFile(file("tls.key"), key);
    return authority.pem.certificate;
  };
  const port = await freePort();
  const corefile = (ttl: number): Promise<void> =>
    writeFile(
      file("Corefile"),
      `. tls://.:${String(port)} {
  tls ${file("tls.crt")} ${file("tls.key")}
  kubernetes cluster.local {
    ttl ${String(ttl)}
  }
}
`,
    );
  await writeFile(file("ca.crt"), await certify());
  await corefile(5);
  await using dns = await startDns(home, up, ["--corefile", file("Corefile")]);
  const name = "kubernetes.default.svc.cluster.local";
  const ask = async (): Promise<string> => {
    const tls = ["+tls", `+tls-ca=${file("ca.crt")}`, "+tls-hostname=dns.test"];
    const flags = ["+noall", "+answer", "+time=2", "+tries=1"];
    const asked = run("dig", ["@127.0.0.1", `-p${String(port)}`, ...tls, ...flags, name]);
    return (await asked.catch(() => ({ stdout: "" }))).stdout.replaceAll(/\s+/g, " ");
  };
  assert.match(await ask(), / 5 IN A /);
  const open = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(open, "secureConnect");
  // Another authority: whoever trusts it alone is answered once its certificate is shown.
  await writeFile(file("ca.crt"), await certify());
  await corefile(6);
  process.kill(dns.pid, "SIGUSR1");
  await eventually("the new certificate is shown", async () => (await ask()).includes(" 6 IN A "));
  const received = once(open, "data") as Promise<[Buffer]>;
  open.write(MessageFraming.frame(CANARY));
  const [answer] = await received;
  assert.deepEqual(answer.subarray(2, 4), CANARY.subarray(0, 2));
  open.destroy();
});
