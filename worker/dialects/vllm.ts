import type { Dialect } from './dialect.ts';
import { bareError, wrappedError } from './error-body.ts';
import { continuousUsage, oneLimit, templateOptions } from './self-hosted.ts';

/** vLLM's OpenAI server. Older ones answer errors without the wrapper. */
export const vllm: Dialect = {
  name: 'vllm',
  endpoints: ['chat/completions', 'embeddings', 'responses'],
  thinkingField: 'reasoning',
  spell(request) {
    if (request.endpoint !== 'chat/completions') return request.body;
    const body = oneLimit(request);
    const options = templateOptions(request);
    if (options) body.set('chat_template_kwargs', options);
    if (request.stream) body.set('stream_options', continuousUsage);
    return body;
  },
  readError: (body) => wrappedError(body) ?? bareError(body),
};
