import { members } from './qwen-answers.ts';

/** The servers the stand-in can be mistaken for. */
export type StandInDialect = 'dashscope' | 'vllm' | 'sglang' | 'llama-cpp' | 'ollama' | '0g-router';

type Body = { readonly [key: string]: unknown };

export type Speech = {
  /** Where its API is. */
  readonly basePath: string;
  /** Its request in Model Studio's words. */
  readonly understand: (body: Body) => Body;
  /** A delta or a message in its own words. */
  readonly say: (delta: Body) => Body;
  readonly countUsage: (usage: Body) => Body;
  /** Whether it counts on every chunk when asked to. */
  readonly countsOnTheWay: boolean;
  readonly complain: (error: Body, status: number) => Body;
};

const own = (body: Body): Body => body;

/** One limit for everything, and a chat template with options. */
function selfHosted(body: Body): Body {
  const { max_tokens, chat_template_kwargs, reasoning_effort, ...rest } = body;
  for (const name of ['thinking_budget', 'enable_thinking', 'max_completion_tokens'])
    if (name in rest) throw new TypeError(`a self-hosted server does not know ${name}`);
  const thinks = members(chat_template_kwargs)?.['enable_thinking'];
  return {
    ...rest,
    ...(max_tokens === undefined ? {} : { max_completion_tokens: max_tokens }),
    ...(thinks === undefined ? {} : { enable_thinking: thinks }),
    ...(reasoning_effort === 'none' ? { enable_thinking: false } : {}),
  };
}

function reasoning(delta: Body): Body {
  const { reasoning_content, ...rest } = delta;
  return reasoning_content === undefined ? delta : { ...rest, reasoning: reasoning_content };
}

const totals = ({ prompt_tokens, completion_tokens, total_tokens }: Body): Body => ({
  prompt_tokens,
  completion_tokens,
  total_tokens,
});

const speeches: { readonly [dialect in StandInDialect]: Speech } = {
  dashscope: {
    basePath: '/compatible-mode/v1',
    understand: own,
    say: own,
    countUsage: own,
    countsOnTheWay: false,
    complain: (error) => ({ error }),
  },
  vllm: {
    basePath: '/v1',
    understand: selfHosted,
    say: reasoning,
    countUsage: (usage) => ({ ...totals(usage), prompt_tokens_details: null }),
    countsOnTheWay: true,
    complain: (error, status) => ({ error: { ...error, code: status } }),
  },
  sglang: {
    basePath: '/v1',
    understand: selfHosted,
    say: own,
    countUsage: (usage) => ({
      ...totals(usage),
      prompt_tokens_details: null,
      reasoning_tokens: members(usage['completion_tokens_details'])?.['reasoning_tokens'] ?? 0,
    }),
    countsOnTheWay: true,
    complain: (error, status) => ({ object: 'error', ...error, code: status }),
  },
  'llama-cpp': {
    basePath: '/v1',
    understand: selfHosted,
    say: own,
    countUsage: totals,
    countsOnTheWay: false,
    complain: ({ message }, status) => ({ error: { code: status, message, type: 'server_error' } }),
  },
  ollama: {
    basePath: '/v1',
    understand: selfHosted,
    say: reasoning,
    countUsage: totals,
    countsOnTheWay: false,
    complain: ({ message }) => ({ error: { message, type: 'api_error', param: null, code: null } }),
  },
  '0g-router': {
    basePath: '/v1',
    understand: own,
    say: own,
    countUsage: own,
    countsOnTheWay: false,
    complain: (error) => ({ error, x_0g_trace: { tee_verified: false } }),
  },
};

export const speechOf = (dialect: StandInDialect): Speech => speeches[dialect];
