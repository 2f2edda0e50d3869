import type { Usage } from '../protocol/pricing.ts';
import { ok, type Result, refuse } from '../protocol/result.ts';

export type UsageFault = {
  readonly code: 'usage_missing' | 'usage_invalid';
  /** The member that is missing or wrong. */
  readonly param: string;
};

type Members = { readonly [key: string]: unknown };

/** Parsed JSON from upstream: an object, or nothing. */
export const members = (value: unknown): Members | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;

/**
 * Reads the `usage` member of an answer, of a chunk or of an embedding, as Model Studio, vLLM, SGLang and Ollama write it.
 *
 * Details are optional and nullable, and an explicit 0 is a 0. `completion_tokens` may be absent where the total says
 * what it is (embeddings). A part larger than its whole is cut to it: totals are what upstream bills, and no detail may
 * throw a measured total away. Anything negative, fractional or above 2^53 is refused.
 */
export function readUsage(usage: unknown): Result<Usage, UsageFault> {
  const totals = members(usage);
  if (!totals) return refuse({ code: 'usage_missing', param: 'usage' });
  const faults: UsageFault[] = [];
  const count = (holder: Members | undefined, name: string, path: string): bigint | undefined => {
    const value = holder?.[name] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
    faults.push({ code: 'usage_invalid', param: `${path}${name}` });
    return undefined;
  };

  // `/v1/responses` has other names for the same things.
  const ins = members(totals['prompt_tokens_details'] ?? totals['input_tokens_details']);
  const outs = members(totals['completion_tokens_details'] ?? totals['output_tokens_details']);
  const input = count(totals, 'prompt_tokens', 'usage.') ?? count(totals, 'input_tokens', 'usage.');
  const total = count(totals, 'total_tokens', 'usage.');
  const derived = input !== undefined && total !== undefined && total >= input ? total - input : undefined;
  const output =
    count(totals, 'completion_tokens', 'usage.') ?? count(totals, 'output_tokens', 'usage.') ?? derived;
  const cached = count(ins, 'cached_tokens', 'usage.prompt_tokens_details.') ?? 0n;
  const created = count(ins, 'cache_creation_input_tokens', 'usage.prompt_tokens_details.') ?? 0n;
  const thinking =
    count(outs, 'reasoning_tokens', 'usage.completion_tokens_details.') ??
    // SGLang has it beside the totals.
    count(totals, 'reasoning_tokens', 'usage.') ??
    0n;

  const [fault] = faults;
  if (fault) return refuse(fault);
  if (input === undefined) return refuse({ code: 'usage_missing', param: 'usage.prompt_tokens' });
  if (output === undefined) return refuse({ code: 'usage_missing', param: 'usage.completion_tokens' });
  const cachedInput = least(cached, input);
  return ok({
    input,
    cachedInput,
    cacheCreation: least(created, input - cachedInput),
    output,
    thinking: least(thinking, output),
    estimated: false,
  });
}

/** What was seen of an answer that upstream never counted to its end. */
export type Observed = {
  /** The last usage upstream reported, if any: it counts everything up to that report. */
  readonly reported: Usage | undefined;
  /** What came after that report: UTF-8 bytes of thinking and of everything else, and the frames they came in. */
  readonly since: { readonly thinkingBytes: number; readonly answerBytes: number; readonly frames: number };
};

/** Nothing was seen, nothing was reported. */
export const nothingObserved: Observed = {
  reported: undefined,
  since: { thinkingBytes: 0, answerBytes: 0, frames: 0 },
};

/** What the request allows at most, and how long its prompt was: `ChatRequest` has these. */
export type EstimateBasis = {
  readonly inputBound: bigint;
  readonly outputBound: bigint;
  readonly promptBytes: bigint;
};

/**
 * A token is four to five bytes of English or Chinese, three or four of code, one of digits. Three leans to the operator a
 * little: cutting a stream must not be a way to pay less.
 */
const bytesPerToken = 3n;

/**
 * The usage of a stream that was cut, or of an answer without usage. Fair to both: it goes by the text, not by the ceiling,
 * which is a bound several times as high. It is never free (at least one token of input), never above what was
 * held (`input <= inputBound`, `output <= outputBound`), and never more than the bytes that were seen.
 *
 * Upstream's last report is kept where there was one, and only what came after it is estimated. Each frame of content
 * has at least one token. Caches are not guessed.
 */
export function estimateUsage(observed: Observed, basis: EstimateBasis): Usage {
  const { reported, since } = observed;
  const byText = least(basis.inputBound, most(1n, tokens(basis.promptBytes)));
  const thinkingBytes = BigInt(since.thinkingBytes);
  const bytes = thinkingBytes + BigInt(since.answerBytes);
  const written = least(bytes, most(tokens(bytes), BigInt(since.frames)));
  const output = least(basis.outputBound, (reported?.output ?? 0n) + written);
  const input = reported ? least(basis.inputBound, reported.input) : byText;
  const cachedInput = least(reported?.cachedInput ?? 0n, input);
  return {
    input,
    cachedInput,
    cacheCreation: least(reported?.cacheCreation ?? 0n, input - cachedInput),
    output,
    thinking: least(output, (reported?.thinking ?? 0n) + least(written, tokens(thinkingBytes))),
    estimated: true,
  };
}

const tokens = (bytes: bigint): bigint => (bytes + bytesPerToken - 1n) / bytesPerToken;
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const most = (a: bigint, b: bigint): bigint => (a < b ? b : a);
