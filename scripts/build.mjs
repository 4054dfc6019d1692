// Bundles the program and the library into dist/: one file loads faster than some hundred. What is started in a hurry is
// a script with V8's code cache beside it, as a third of its start was loading and compiling: the command line,
// `portolan up` and the parts of a lab. The rest of the program, and the library, are modules as usual.
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { build } from "esbuild";
import { startLabOnce, startUpOnce } from "./build-starts.mjs";

/** By the name of the module that loads the script. */
const SCRIPTS = {
  // Runs itself.
  portolan: { source: "src/cli/main.ts", exports: [] },
  "up-loader": { source: "src/programs/all-in-one.ts", exports: ["startAllInOne"] },
  "lab-control-loader": {
    source: "src/programs/lab/control-plane.ts",
    exports: ["startLabControl"],
  },
  "lab-node-loader": { source: "src/programs/lab/node.ts", exports: ["startLabNode"] },
};
/** What is in the script of the command line: `portolan lab up` and what it starts of itself are there at once. */
const COMMAND_LINE = /\/src\/(cli\/(?!demo-table)|programs\/lab\/(lab|supervisor|part)\.ts$)/;
const BANNER = "// Portolan, Apache-2.0";

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
/** What the command line loads as modules, by their names in dist/. */
const loaded = {};
const scripts = new Map();
for (const [name, { source }] of Object.entries(SCRIPTS))
  scripts.set(name, await buildScript(name.replace("-loader", ""), source));
const modules = await build({
  ...common,
  entryPoints: {
    index: "src/programs/start-cluster.ts",
    "udp-worker": "src/dns/udp-worker.ts",
    ...loaded,
  },
  splitting: true,
  format: "esm",
  banner: { js: BANNER },
});
for (const { hash, outputs } of scripts.values()) {
  for (const { path, contents } of outputs) replace(basename(path), contents);
  // One of the same name may be of a text that was made otherwise.
  rmSync(`dist/${hash}.cache`, { force: true });
}

// V8 caches what has been compiled: by a start and an end in which the scripts leave it behind.
for (const [name, script] of scripts)
  replace(`${name}.js`, `${loader(name, script)}${leave(script)}`);
const reasons = { "portolan up": await startUpOnce(), "portolan lab": await startLabOnce() };
for (const [name, script] of scripts) replace(`${name}.js`, loader(name, script));
for (const [program, reason] of Object.entries(reasons)) {
  if (reason !== undefined)
    console.error(`build: ${program} will start without a code cache: ${reason}`);
}

// Older files go last, so that a program that runs from dist/ meanwhile always finds its parts.
const kept = new Set([
  // Made by build:types.
  "types",
  ...[...scripts].flatMap(([name, { hash, outputs }]) => [
    `${name}.js`,
    `${hash}.cache`,
    ...outputs.map(({ path }) => basename(path)),
  ]),
  ...Object.keys(modules.metafile.outputs).map((path) => basename(path)),
]);
for (const name of readdirSync("dist"))
  if (!kept.has(name)) rmSync(`dist/${name}`, { recursive: true });

/** @returns the script's files, and the name that goes by its hash: a code cache fits one text only. */
async function buildScript(name, source) {
  const { outputFiles } = await build({
    ...common,
    write: false,
    entryPoints: { [`${name}-script`]: source },
    entryNames: "[name]-[hash]",
    outExtension: { ".js": ".cjs" },
    format: "cjs",
    banner: {
      js: `${BANNER}\nconst scriptUrl = require("node:url").pathToFileURL(__filename).href;`,
    },
    define: { "import.meta.url": "scriptUrl", "import.meta.dirname": "__dirname" },
    plugins: [{ name: "apart", setup: ({ onResolve }) => onResolve({ filter: /\.ts$/ }, apart) }],
  });
  const outputs = outputFiles.map(({ path, text }) => ({
    path,
    contents: path.endsWith(".cjs") ? lendImport(text) : text,
  }));
  const hash = basename(outputs.find(({ path }) => path.endsWith(".cjs")).path, ".cjs");
  return { hash, outputs };
}

/**
 * Leaves out of the command line what a command loads to run. Other scripts are whole: two copies of one class would
 * be two classes.
 */
function apart({ kind, path, importer }) {
  const source = new URL(path, `file://${importer}`).pathname;
  if (kind !== "dynamic-import" || !COMMAND_LINE.test(importer) || COMMAND_LINE.test(source))
    return undefined;
  const script = Object.keys(SCRIPTS).find((name) => source.endsWith(`/${SCRIPTS[name].source}`));
  const name = script ?? basename(source, ".ts");
  if (script === undefined) loaded[name] = source;
  return { path: `./${name}.js`, external: true };
}

/** A script from a code cache has no way to import modules by itself: its loader lends it one. */
function lendImport(text) {
  const lent = text.replaceAll(/\bimport\(("[\w@./-]+")\)/g, "importModule($1)");
  const own = /.*[^.\w]import\(.*/.exec(lent)?.[0];
  if (own !== undefined)
    throw new Error(`build: a script imports a module that has no fixed name: ${own}`);
  return lent;
}

/** A module that runs the script; a cache of another V8, or none, only makes it slower. */
function loader(name, { hash }) {
  const { exports } = SCRIPTS[name];
  return `${name === "portolan" ? "#!/usr/bin/env node\n" : ""}${BANNER}
// Asked for in this way, as wrapping each as a module costs a millisecond.
const [fs, { createRequire }, path, url, vm] = ["fs", "module", "path", "url", "vm"].map((name) =>
  process.getBuiltinModule(\`node:\${name}\`),
);
const filename = url.fileURLToPath(new URL("${hash}.cjs", import.meta.url));
const script = new vm.Script(
  \`(function (exports, require, module, __filename, __dirname, importModule) {\${fs.readFileSync(filename, "latin1")}\\n})\`,
  { filename, cachedData: cache() },
);
export const isCacheTaken = script.cachedDataRejected === false;
const made = { exports: {} };
const importModule = (name) => import(name);
script.runInThisContext()(made.exports, createRequire(filename), made, filename, path.dirname(filename), importModule);
${exports.length === 0 ? "" : `export const { ${exports.join(", ")} } = made.exports;\n`}
function cache() {
  try {
    return fs.readFileSync(new URL("${hash}.cache", import.meta.url));
  } catch {
    return undefined;
  }
}
`;
}

/** Has a loader write the code cache when the program ends; the next one adds to it. */
function leave({ hash }) {
  const url = (name) => `new URL(${JSON.stringify(name)}, import.meta.url)`;
  return `process.once("exit", () => {
  // As at a start: a cache of other flags is none.
  process.getBuiltinModule("node:v8").setFlagsFromString("--heap-growing-percent=0");
  const draft = ${url(`${hash}.cache`)} + "." + process.pid;
  fs.writeFileSync(new URL(draft), script.createCachedData());
  fs.renameSync(new URL(draft), ${url(`${hash}.cache`)});
});
`;
}

/** Whoever starts the program meanwhile finds the old file or the new one. */
function replace(name, contents) {
  writeFileSync(`dist/${name}.new`, contents);
  renameSync(`dist/${name}.new`, `dist/${name}`);
}
