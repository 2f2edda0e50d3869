// What vLLM, SGLang, llama.cpp and Ollama have in common: one limit, and a chat template that runs beside the model.
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '../json.ts';
import { limitParameters } from '../output-limit.ts';
import type { PricedRequest } from '../priced-request.ts';

/** Members only Model Studio knows, which a stricter server would refuse. */
const modelStudioOnly = ['preserve_thinking', 'vl_high_resolution_images'];

/**
 * `max_tokens` of a self-hosted server bounds everything it generates, the chain of thought included. So the sum of the
 * priced limits goes there, and nothing else does.
 */
export function oneLimit(request: PricedRequest): Map<string, JsonValue> {
  const body = new Map(request.body);
  for (const name of [...limitParameters, ...modelStudioOnly]) body.delete(name);
  body.set('max_tokens', request.outputLimit);
  const messages = body.get('messages');
  if (isJsonArray(messages)) body.set('messages', messages.map(withoutCacheMarks));
  return body;
}

/** Options of Qwen's chat template: whether it thinks, and whether it keeps earlier thoughts. */
export function templateOptions(request: PricedRequest): JsonObject | undefined {
  const options = new Map<string, JsonValue>();
  const thinks = request.body.get('enable_thinking');
  if (thinks !== undefined) options.set('enable_thinking', thinks);
  const keeps = request.body.get('preserve_thinking');
  if (keeps !== undefined) options.set('preserve_thinking', keeps);
  return options.size === 0 ? undefined : options;
}

/** Usage on every chunk: a stream that is cut is still counted exactly up to its last chunk. */
export const continuousUsage: JsonObject = new Map([
  ['include_usage', true],
  ['continuous_usage_stats', true],
]);

/** An explicit context cache is Model Studio's; here the mark means nothing, and is not charged for. */
function withoutCacheMarks(message: JsonValue): JsonValue {
  const content = isJsonObject(message) ? message.get('content') : undefined;
  if (!isJsonObject(message) || !isJsonArray(content)) return message;
  return new Map(message).set(
    'content',
    content.map((part) =>
      isJsonObject(part) ? new Map([...part].filter(([name]) => name !== 'cache_control')) : part,
    ),
  );
}
