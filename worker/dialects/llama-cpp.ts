import type { Dialect } from './dialect.ts';
import { wrappedError } from './error-body.ts';
import { oneLimit, templateOptions } from './self-hosted.ts';

/** llama.cpp's server, started with `--jinja`. Error codes are numbers. */
export const llamaCpp: Dialect = {
  name: 'llama-cpp',
  endpoints: ['chat/completions', 'embeddings'],
  thinkingField: 'reasoning_content',
  spell(request) {
    if (request.endpoint !== 'chat/completions') return request.body;
    const body = oneLimit(request);
    const options = templateOptions(request);
    if (options) body.set('chat_template_kwargs', options);
    return body;
  },
  readError: wrappedError,
};
