import type { JsonObject } from "./json.ts";
import { encodeProtobuf } from "./protobuf-encode.ts";
import type { MessageType } from "./schema.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";
import { DELIMITED, WireError, WireReader, WireWriter } from "./wire.ts";

export const PROTOBUF_MEDIA_TYPE = "application/vnd.kubernetes.protobuf";

/** `k8s` and a zero byte start every body of that media type. */
const MAGIC = [0x6b, 0x38, 0x73, 0x00];

export type Envelope =
  | {
      readonly kind: "opened";
      readonly apiVersion: string;
      readonly objectKind: string;
      /** The message itself, for decodeProtobuf; a view of the body. */
      readonly raw: Uint8Array;
    }
  | { readonly kind: "malformed"; readonly message: string };

/** Opens a body of {@link PROTOBUF_MEDIA_TYPE}: the magic bytes, then a runtime.Unknown around the object. */
export function openEnvelope(body: Uint8Array): Envelope {
  if (!MAGIC.every((byte, i) => body[i] === byte)) {
    return {
      kind: "malformed",
      message:
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    };
  }
  try {
    const [typeMeta, raw, encoding, contentType] = chunks(body.subarray(MAGIC.length), 4);
    if (
      decodeUtf8(encoding) !== "" ||
      !["", PROTOBUF_MEDIA_TYPE].includes(decodeUtf8(contentType))
    ) {
      return {
        kind: "malformed",
        message: "the protobuf envelope holds something else than protobuf",
      };
    }
    const [apiVersion, kind] = chunks(typeMeta, 2);
    return {
      kind: "opened",
      apiVersion: decodeUtf8(apiVersion),
      objectKind: decodeUtf8(kind),
      raw,
    };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { kind: "malformed", message: `proto: ${error.message}` };
  }
}

type Chunks = readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];

/** The length-delimited fields 1 to `count` of a message; empty where absent. */
function chunks(bytes: Uint8Array, count: number): Chunks {
  const found: [Uint8Array, Uint8Array, Uint8Array, Uint8Array] = [EMPTY, EMPTY, EMPTY, EMPTY];
  const reader = new WireReader(bytes);
  while (!reader.isAtEnd) {
    const { field, form } = reader.tag();
    if (field > count) reader.skip(form);
    else if (form === DELIMITED) found[field - 1] = reader.delimited();
    else throw new WireError(`wrong wireType = ${String(form)} in the envelope`);
  }
  return found;
}

const EMPTY = new Uint8Array();

/** Wraps an object, with its apiVersion and kind, as a body of {@link PROTOBUF_MEDIA_TYPE}. */
export function sealEnvelope(
  schema: MessageType,
  object: JsonObject & { readonly apiVersion: string; readonly kind: string },
): Uint8Array {
  const typeMeta = new WireWriter();
  typeMeta.delimited(1, encodeUtf8(object.apiVersion));
  typeMeta.delimited(2, encodeUtf8(object.kind));
  const unknown = new WireWriter();
  unknown.delimited(1, typeMeta.finish());
  unknown.delimited(2, encodeProtobuf(schema, object));
  unknown.delimited(3, EMPTY);
  unknown.delimited(4, EMPTY);
  const message = unknown.finish();
  const body = new Uint8Array(MAGIC.length + message.length);
  body.set(MAGIC);
  body.set(message, MAGIC.length);
  return body;
}
