import { decodeObject } from "../api/machinery/decode.ts";
import { MAX_JSON_VALUES, findDuplicateKeys, parseJson } from "../api/machinery/json-text.ts";
import type { ParsedJson } from "../api/machinery/json-text.ts";
import { isJsonObject } from "../api/machinery/json.ts";
import { apiVersionOf } from "../api/machinery/kind.ts";
import type { CustomKind, KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { openEnvelope, PROTOBUF_MEDIA_TYPE } from "../api/machinery/protobuf-envelope.ts";
import { decodeProtobuf } from "../api/machinery/protobuf.ts";
import type { MessageType } from "../api/machinery/schema.ts";
import type { ApiRequest } from "./exchange.ts";
import { badRequest, tooManyValues, unsupportedMediaType, yamlTooLarge } from "./failures.ts";
import type { FieldValidation } from "./query.ts";
import { MAX_YAML_BYTES, MAX_YAML_TOKENS, excessOf } from "./yaml-depth.ts";

const JSON_TYPE = "application/json";
const YAML_TYPE = "application/yaml";
const BODY_TYPES = [JSON_TYPE, YAML_TYPE, PROTOBUF_MEDIA_TYPE] as const;

/** YAML aliases can blow a small text up; no manifest needs more than a few. */
const MAX_YAML_ALIASES = 100;

/** What a body is decoded as. */
export interface BodyType {
  /** "" takes any: options come in the version of whatever API the client speaks. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly schema: MessageType;
  /** Decodes in place of the schema. */
  readonly custom?: CustomKind | undefined;
}

export interface DecodedBody {
  /** In canonical form, without defaults. */
  readonly object: KubernetesObject;
  /** For `Warning` headers: fields that were not taken. */
  readonly warnings: readonly string[];
}

/** A parsed body before it meets a schema, with what strict validation must know of its text. */
interface ParsedBody {
  readonly value: unknown;
  readonly duplicates: readonly string[];
}

export function bodyTypeOf(kind: KindDefinition): BodyType {
  const { schema, custom } = kind;
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, schema, custom };
}

/** "application/json; charset=utf-8" -> "application/json"; a body without a type is JSON. */
export function mediaTypeOf(request: ApiRequest): string {
  const header = request.headers["content-type"] ?? JSON_TYPE;
  return header.split(";", 1)[0]?.trim().toLowerCase() ?? "";
}

/**
 * Reads a request's body as an object of the given type.
 * @throws StatusError 400 for a malformed body, 415 for a type of content that is not read.
 */
export async function decodeBody(
  request: ApiRequest,
  type: BodyType,
  validation: FieldValidation,
): Promise<DecodedBody> {
  const parsed = await parseBody(request, type);
  return decodeParsed(parsed.value, type, validation, parsed.duplicates);
}

/** Brings a parsed value into canonical form, or says what is wrong with it. */
export function decodeParsed(
  value: unknown,
  type: BodyType,
  validation: FieldValidation,
  duplicates: readonly string[] = [],
): DecodedBody {
  const fail = (why: string) =>
    badRequest(
      `${type.kind} in version "${versionIn(type)}" cannot be handled as a ${type.kind}: ${why}`,
    );
  if (!isJsonObject(value)) throw fail("the body is not an object");
  checkType(value, type);
  const decoded = type.custom?.decode(value) ?? decodeObject(type.schema, value);
  if (decoded.kind === "malformed") throw fail(decoded.message);
  const problems = validation === "Ignore" ? [] : [...duplicates, ...decoded.unknownFields];
  if (validation === "Strict" && problems.length > 0) {
    throw fail(`strict decoding error: ${problems.join(", ")}`);
  }
  // The schema of every kind has metadata; a body may leave it out.
  const { metadata, ...rest } = decoded.object as unknown as KubernetesObject;
  const object = {
    ...rest,
    apiVersion: type.apiVersion,
    kind: type.kind,
    metadata: metadata ?? {},
  };
  return { object, warnings: problems };
}

async function parseBody(request: ApiRequest, type: BodyType): Promise<ParsedBody> {
  const { body } = request;
  const mediaType = mediaTypeOf(request);
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") throw unsupportedMediaType(BODY_TYPES);
  switch (mediaType) {
    case JSON_TYPE:
      return parseJsonText(textOf(body), type, request.takesObjects === true);
    case YAML_TYPE:
    case "application/x-yaml":
      return { value: await parseYamlText(textOf(body)), duplicates: [] };
    case PROTOBUF_MEDIA_TYPE:
      // Custom resources have no field numbers.
      if (type.custom !== undefined) throw unsupportedMediaType([JSON_TYPE, YAML_TYPE]);
      return { value: parseProtobuf(body ?? new Uint8Array(), type), duplicates: [] };
    default:
      throw unsupportedMediaType(BODY_TYPES);
  }
}

/** @param isOwn made by JSON.stringify in this process, which writes no key twice. */
function parseJsonText(text: string, type: BodyType, isOwn: boolean): ParsedBody {
  const parsed = parseJsonBody(text);
  if (parsed.kind === "malformed") {
    throw badRequest(
      `the object provided is unrecognized (must be of type ${type.kind}): couldn't get version/kind; json parse error: ${parsed.message}`,
    );
  }
  return { value: parsed.value, duplicates: isOwn ? [] : findDuplicateKeys(text) };
}

/** As {@link parseJson}. @throws StatusError 413 for one with too many values. */
export function parseJsonBody(text: string): Exclude<ParsedJson, { readonly kind: "tooMany" }> {
  const parsed = parseJson(text);
  if (parsed.kind === "tooMany") throw tooManyValues(MAX_JSON_VALUES);
  return parsed;
}

/** One YAML document, with keys that occur twice refused. */
export async function parseYamlText(text: string): Promise<unknown> {
  // Loaded on first use: few bodies are YAML, and the package costs start-up time.
  const { Lexer, LineCounter, Parser, isScalar, parseDocument, visit } = await import("yaml");
  if (text.length > MAX_YAML_BYTES) throw yamlTooLarge(`${String(MAX_YAML_BYTES)} bytes`);
  switch (excessOf(text, new Lexer(), new Parser())) {
    case undefined:
      break;
    case "depth":
      throw badRequest("error converting YAML to JSON: the text nests too deep");
    case "tokens":
      throw yamlTooLarge(`${String(MAX_YAML_TOKENS)} words, marks and line ends`);
  }
  // The package's own search for keys that occur twice takes quadratic time.
  // So does its showing of all places where something is wrong; the first one is enough.
  const lineCounter = new LineCounter();
  const document = parseDocument(text, {
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
    logLevel: "error",
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw badRequest(
      `error converting YAML to JSON: ${error.message} at line ${String(line)}, column ${String(col)}`,
    );
  }
  visit(document, {
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        const name: unknown = isScalar(key) ? key.value : key;
        if (keys.has(name)) {
          throw badRequest(
            `error converting YAML to JSON: key ${JSON.stringify(name)} already set in map`,
          );
        }
        keys.add(name);
      }
    },
  });
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
    // Through JSON, so that what is read is what JSON could have said (no dates, no NaN), and not too deep.
    const parsed = parseJsonBody(JSON.stringify(value) ?? "null");
    if (parsed.kind === "malformed") throw badRequest(parsed.message);
    return parsed.value;
  } catch (failure) {
    // Aliases: one without an anchor, a value within itself, or a nest of them that is too deep.
    const isOfText =
      failure instanceof ReferenceError ||
      failure instanceof TypeError ||
      failure instanceof RangeError;
    if (!isOfText) throw failure;
    throw badRequest(`error converting YAML to JSON: ${failure.message.split("\n", 1)[0] ?? ""}`);
  }
}

export function textOf(body: Uint8Array | undefined): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body ?? new Uint8Array());
  } catch {
    // The only failure is bytes that are not UTF-8.
    throw badRequest("the body is not valid UTF-8");
  }
}

function parseProtobuf(body: Uint8Array, type: BodyType): unknown {
  const envelope = openEnvelope(body);
  if (envelope.kind === "malformed") throw badRequest(envelope.message);
  const decoded = decodeProtobuf(type.schema, envelope.raw);
  if (decoded.kind === "tooMany") throw tooManyValues(MAX_JSON_VALUES);
  if (decoded.kind === "malformed") {
    throw badRequest(
      `${type.kind} in version "${versionIn(type)}" cannot be handled as a ${type.kind}: ${decoded.message}`,
    );
  }
  const { apiVersion, objectKind: kind } = envelope;
  return { ...decoded.value, apiVersion, kind };
}

/** A body may leave its type out; one that names another is refused. */
function checkType(value: Readonly<Record<string, unknown>>, type: BodyType): void {
  const apiVersion = typeTextOf(value, "apiVersion", type);
  const kind = typeTextOf(value, "kind", type);
  if (apiVersion !== "" && type.apiVersion !== "" && apiVersion !== type.apiVersion) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${type.apiVersion})`,
    );
  }
  if (kind !== "" && kind !== type.kind) {
    throw badRequest(
      `${kind} in version "${versionIn(type)}" cannot be handled as a ${type.kind}: the kind in the data does not match the resource`,
    );
  }
}

function typeTextOf(
  value: Readonly<Record<string, unknown>>,
  field: "apiVersion" | "kind",
  type: BodyType,
): string {
  const text = value[field] ?? "";
  if (typeof text === "string") return text;
  const found = Array.isArray(text) ? "array" : typeof text === "boolean" ? "bool" : typeof text;
  throw badRequest(
    `the object provided is unrecognized (must be of type ${type.kind}): couldn't get version/kind; json parse error: json: cannot unmarshal ${found} into Go struct field .${field} of type string`,
  );
}

function versionIn({ apiVersion }: BodyType): string {
  return apiVersion.slice(apiVersion.indexOf("/") + 1);
}
