/**
 * The parameters of `POST /v1/chat/completions`, as data. Whatever is not allowed here is refused: an option nobody has
 * bounded is an option nobody can price before it runs.
 */

export type ParameterRule =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'number'; readonly min: number; readonly max: number }
  /** A whole number; its text goes upstream as it came. */
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'text'; readonly maxBytes: number }
  /** One text or a list of them. */
  | { readonly kind: 'texts'; readonly maxCount: number; readonly maxBytes: number }
  /** Has a shape of its own; `worker/chat-request.ts` reads it. */
  | { readonly kind: 'structure' };

export type AllowedParameter = {
  readonly rule: ParameterRule;
  /** What it can add to the bill at most, or why it adds nothing. */
  readonly bound: string;
};

/** An endpoint's allow-list. */
export type Parameters = ReadonlyMap<string, AllowedParameter>;

const sampling = 'chooses among tokens, adds none';

/** Ranges are the widest any Qwen server takes; a server that takes less refuses, and a refused call costs nothing. */
export const allowedParameters: Parameters = new Map<string, AllowedParameter>([
  ['model', { rule: { kind: 'structure' }, bound: 'selects the rates' }],
  ['messages', { rule: { kind: 'structure' }, bound: 'input: bytes of text, and a constant per message' }],
  ['stream', { rule: { kind: 'boolean' }, bound: 'none: the same tokens, sooner' }],
  ['stream_options', { rule: { kind: 'structure' }, bound: 'none: include_usage is always on upstream' }],
  ['max_tokens', { rule: { kind: 'structure' }, bound: "output: the answer, at most the model's maximum" }],
  [
    'max_completion_tokens',
    { rule: { kind: 'structure' }, bound: "output: thinking and answer, at most the model's maxima" },
  ],
  ['enable_thinking', { rule: { kind: 'structure' }, bound: 'output: makes thinking rates reachable' }],
  [
    'thinking_budget',
    { rule: { kind: 'structure' }, bound: "output: thinking, at most the model's maximum" },
  ],
  ['preserve_thinking', { rule: { kind: 'boolean' }, bound: 'input: earlier thinking, counted in messages' }],
  ['n', { rule: { kind: 'structure' }, bound: 'multiplies output, and input on the safe side; 1 to 4' }],
  ['temperature', { rule: { kind: 'number', min: 0, max: 2 }, bound: sampling }],
  ['top_p', { rule: { kind: 'number', min: 0, max: 1 }, bound: sampling }],
  ['top_k', { rule: { kind: 'integer', min: -1, max: 1_000_000 }, bound: sampling }],
  ['seed', { rule: { kind: 'integer', min: -Infinity, max: Infinity }, bound: sampling }],
  ['presence_penalty', { rule: { kind: 'number', min: -2, max: 2 }, bound: sampling }],
  ['frequency_penalty', { rule: { kind: 'number', min: -2, max: 2 }, bound: sampling }],
  ['repetition_penalty', { rule: { kind: 'number', min: 0, max: 10 }, bound: sampling }],
  [
    'stop',
    {
      rule: { kind: 'texts', maxCount: 16, maxBytes: 1_024 },
      bound: 'only shortens; not shown to the model',
    },
  ],
  ['logprobs', { rule: { kind: 'boolean' }, bound: 'describes tokens, adds none' }],
  ['top_logprobs', { rule: { kind: 'integer', min: 0, max: 20 }, bound: 'describes tokens, adds none' }],
  ['tools', { rule: { kind: 'structure' }, bound: 'input: bytes in the longest spelling, and constants' }],
  ['tool_choice', { rule: { kind: 'structure' }, bound: 'input: a name, and a constant' }],
  ['parallel_tool_calls', { rule: { kind: 'boolean' }, bound: 'none: calls are output, bounded as such' }],
  ['response_format', { rule: { kind: 'structure' }, bound: 'input: bytes of a schema, and a constant' }],
  [
    'vl_high_resolution_images',
    { rule: { kind: 'boolean' }, bound: "none: the bound of an image is the model's maximum already" },
  ],
  ['user', { rule: { kind: 'text', maxBytes: 512 }, bound: 'not shown to the model' }],
]);

/** Why some well-known parameters are refused, and what to do instead. */
export const refusedParameters: ReadonlyMap<string, string> = new Map([
  [
    'enable_search',
    'Server-side search adds an unknown number of input tokens. Give the model a tool that searches.',
  ],
  [
    'search_options',
    'Server-side search adds an unknown number of input tokens. Give the model a tool that searches.',
  ],
  [
    'web_search_options',
    'Server-side search adds an unknown number of input tokens. Give the model a tool that searches.',
  ],
  [
    'previous_response_id',
    'A stored conversation has no length this gateway can see. Send the messages themselves.',
  ],
  ['conversation', 'A stored conversation has no length this gateway can see. Send the messages themselves.'],
  ['store', 'Nothing is stored here. Leave it out.'],
  ['metadata', 'Nothing is stored here. Leave it out.'],
  ['audio', 'Audio has no token bound in the price table. Ask for text.'],
  ['modalities', 'Only text is answered. Leave it out.'],
  ['logit_bias', 'Model Studio does not know it and would ignore it.'],
  ['functions', 'Superseded by tools. Send tools.'],
  ['function_call', 'Superseded by tool_choice. Send tool_choice.'],
  ['prediction', 'Rejected prediction tokens are billed and have no bound. Leave it out.'],
  ['reasoning_effort', 'Qwen bounds its thinking in tokens. Send enable_thinking and thinking_budget.'],
  ['service_tier', 'There is one tier. Leave it out.'],
  ['best_of', 'Samples that are thrown away are billed too. Send n.'],
  ['prompt', 'That belongs to /v1/completions. Send messages.'],
  ['input', 'That belongs to /v1/responses or /v1/embeddings. Send messages.'],
  [
    'extra_body',
    'That is an argument of the openai package, not of the API. Put its members at the top level.',
  ],
  ['chat_template', 'A template of your own can write any number of tokens. Leave it out.'],
  [
    'chat_template_kwargs',
    'Template options are not bounded. Send enable_thinking and thinking_budget themselves.',
  ],
]);

/** Content parts of a message, and what each can add to the bill at most. */
export const allowedContentParts: ReadonlyMap<string, string> = new Map([
  [
    'text',
    'input: bytes of text; with cache_control {"type": "ephemeral"} at the dearest of the rates for input, creation and hit',
  ],
  [
    'image_url',
    'input: max_image_tokens of the model, however large the file; https or data:image/...;base64, detail, min_pixels, max_pixels; user messages only',
  ],
]);

/** Why other content parts are refused. */
export const refusedContentParts: ReadonlyMap<string, string> = new Map([
  ['input_audio', 'Audio has no token bound in the price table. Send text.'],
  ['video', 'Video has no token bound in the price table. Send text.'],
  ['video_url', 'The length of a remote video is unknown before it is fetched. Send text.'],
  ['file', 'A file has no token bound in the price table. Send its text.'],
]);
