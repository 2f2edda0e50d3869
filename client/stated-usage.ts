// What the answer itself says it used: upstream's count, on its way to the caller. Pure.

export type StatedUsage = { readonly input: bigint; readonly output: bigint };

/** Of a stream only the end is kept: the usage chunk is its last event but `[DONE]`. */
const streamTailBytes = 16_384;
/** A longer answer is not read for its usage. */
const answerBytesMax = 16 * 1024 * 1024;

/**
 * Collects as much of a body as is needed to read its usage: all of a JSON answer, the end of a stream.
 */
export function createUsageReader(isStream: boolean): {
  push(chunk: Uint8Array): void;
  /** `undefined` where the answer does not say: most streams do only when asked to (`stream_options.include_usage`). */
  read(): StatedUsage | undefined;
} {
  let parts: Uint8Array[] = [];
  let length = 0;
  return {
    push(chunk) {
      length += chunk.length;
      if (!isStream && length > answerBytesMax) parts = [];
      else parts.push(chunk.slice());
      while (isStream && parts.length > 1 && length - (parts[0]?.length ?? 0) >= streamTailBytes) {
        length -= parts.shift()?.length ?? 0;
      }
    },
    read() {
      const decoder = new TextDecoder();
      const text = parts.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode();
      parts = [];
      return isStream ? lastUsage(text) : usageOf(parsed(text));
    },
  };
}

function lastUsage(text: string): StatedUsage | undefined {
  for (const line of text.split(/\r\n|\r|\n/).reverse()) {
    const stated = line.startsWith('data:') ? usageOf(parsed(line.slice(5))) : undefined;
    if (stated) return stated;
  }
  return undefined;
}

/** Of a chat completion or chunk, of a response (`/v1/responses` has other names), or of an event with a response in it. */
function usageOf(json: unknown): StatedUsage | undefined {
  const { usage, response } = members(json);
  const stated = members(usage ?? members(response)['usage']);
  const input = stated['prompt_tokens'] ?? stated['input_tokens'];
  const output = stated['completion_tokens'] ?? stated['output_tokens'];
  return isCount(input) && isCount(output) ? { input: BigInt(input), output: BigInt(output) } : undefined;
}

const members = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // half an event, or no JSON at all
  }
}
