import type { Dialect } from './dialect.ts';
import { bareError, wrappedError } from './error-body.ts';
import { continuousUsage, oneLimit, templateOptions } from './self-hosted.ts';

/** SGLang: the error is the body itself, and reasoning tokens stand beside the totals. */
export const sglang: Dialect = {
  name: 'sglang',
  endpoints: ['chat/completions', 'embeddings'],
  thinkingField: 'reasoning_content',
  spell(request) {
    if (request.endpoint !== 'chat/completions') return request.body;
    const body = oneLimit(request);
    const options = templateOptions(request);
    if (options) body.set('chat_template_kwargs', options);
    if (request.stream) body.set('stream_options', continuousUsage);
    return body;
  },
  readError: (body) => bareError(body) ?? wrappedError(body),
};
