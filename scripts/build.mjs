// Bundles the program and the library into dist/: one file loads faster than some hundred. What `portolan up` runs is
// bundled once more, as one script with V8's code cache beside it: a third of its start was compiling.
import { spawn } from "node:child_process";
import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";

const common = {
  outdir: "dist",
  bundle: true,
  platform: "node",
  target: "node20.19",
  // lmdb brings a native library; the others are loaded only when they are needed.
  packages: "external",
  sourcemap: "linked",
  logLevel: "warning",
  metafile: true,
};
/** Has the command `up` load the script by its loader. Others, the library too, get modules as usual. */
const byLoader = {
  name: "by-loader",
  setup(building) {
    building.onResolve({ filter: /\/programs\/all-in-one\.ts$/ }, ({ kind, importer }) =>
      kind === "dynamic-import" && importer.endsWith("/cli/up.ts")
        ? { path: "./up-loader.js", external: true }
        : undefined,
    );
  },
};
const modules = await build({
  ...common,
  entryPoints: {
    portolan: "src/cli/main.ts",
    index: "src/programs/start-cluster.ts",
    "udp-worker": "src/dns/udp-worker.ts",
  },
  splitting: true,
  format: "esm",
  banner: { js: "// Portolan, Apache-2.0" },
  plugins: [byLoader],
});
const script = await build({
  ...common,
  // Written below, once it is as it stays.
  write: false,
  entryPoints: { "up-script": "src/programs/all-in-one.ts" },
  // A code cache fits one text only: both go by its hash.
  entryNames: "[name]-[hash]",
  outExtension: { ".js": ".cjs" },
  format: "cjs",
  banner: {
    js: '// Portolan, Apache-2.0\nconst scriptUrl = require("node:url").pathToFileURL(__filename).href;',
  },
  define: { "import.meta.url": "scriptUrl", "import.meta.dirname": "__dirname" },
});
const outputs = { ...modules.metafile.outputs, ...script.metafile.outputs };
const scriptName = Object.keys(script.metafile.outputs)
  .map((path) => basename(path, ".cjs"))
  .find((name) => `dist/${name}.cjs` in outputs);
const cacheName = `${scriptName}.cache`;

for (const { path, text } of script.outputFiles) {
  // A script from a code cache has no way to import modules by itself: its loader lends it one.
  const lent = text.replaceAll(/\bimport\(("[\w@/.-]+")\)/g, "importModule($1)");
  const own = path.endsWith(".cjs") ? /.*[^.\w]import\(.*/.exec(lent)?.[0] : undefined;
  if (own !== undefined)
    throw new Error(`build: what portolan up runs imports a module that has no fixed name: ${own}`);
  replace(basename(path), path.endsWith(".cjs") ? lent : text);
}
// One of the same name may be of a text that was made otherwise.
rmSync(`dist/${cacheName}`, { force: true });

// V8 caches what has been compiled: by a start and an end in which the script leaves it behind.
const cacheUrl = (name) => `new URL(${JSON.stringify(name)}, import.meta.url)`;
const leave = `import { renameSync, writeFileSync } from "node:fs";
process.once("exit", () => {
  writeFileSync(${cacheUrl(`${cacheName}.new`)}, script.createCachedData());
  renameSync(${cacheUrl(`${cacheName}.new`)}, ${cacheUrl(cacheName)});
});
`;
replace("up-loader.js", `${loader()}${leave}`);
const reason = await startOnce();
replace("up-loader.js", loader());
if (reason !== undefined) {
  rmSync(`dist/${cacheName}`, { force: true });
  console.error(`build: portolan up will start without a code cache: ${reason}`);
}

// Older files go last, so that a program that runs from dist/ meanwhile always finds its parts.
for (const name of readdirSync("dist")) {
  // dist/types is made by build:types.
  const isKept = ["types", "up-loader.js", cacheName].includes(name) || `dist/${name}` in outputs;
  if (!isKept) rmSync(`dist/${name}`, { recursive: true });
}

/** A module that runs the script; a cache of another V8, or none, only makes it slower. */
function loader() {
  return `// Portolan, Apache-2.0
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

const filename = fileURLToPath(new URL("${scriptName}.cjs", import.meta.url));
const script = new Script(
  \`(function (exports, require, module, __filename, __dirname, importModule) {\${readFileSync(filename, "latin1")}\\n})\`,
  { filename, cachedData: cache() },
);
const made = { exports: {} };
const importModule = (name) => import(name);
script.runInThisContext()(made.exports, createRequire(filename), made, filename, dirname(filename), importModule);
export const { startAllInOne } = made.exports;
export const isCacheTaken = script.cachedDataRejected === false;

function cache() {
  try {
    return readFileSync(new URL("${cacheName}", import.meta.url));
  } catch {
    return undefined;
  }
}
`;
}

/** Whoever starts the program meanwhile finds the old file or the new one. */
function replace(name, text) {
  writeFileSync(`dist/${name}.new`, text);
  renameSync(`dist/${name}.new`, `dist/${name}`);
}

/** Starts and ends `portolan up`. @returns why it could not, or undefined. */
async function startOnce() {
  const free = ["--api-listen", "127.0.0.1:0", "--dns-listen", "127.0.0.1:0"];
  const up = spawn(
    process.execPath,
    ["dist/portolan.js", "up", "--ephemeral", ...free, "-o", "json"],
    {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 30_000,
      killSignal: "SIGKILL",
    },
  );
  up.stdout.once("data", () => up.kill("SIGTERM"));
  return new Promise((resolve) => {
    up.once("error", (error) => resolve(String(error)));
    up.once("exit", (code, signal) =>
      resolve(code === 0 ? undefined : `a first start ended with ${String(code ?? signal)}`),
    );
  });
}
